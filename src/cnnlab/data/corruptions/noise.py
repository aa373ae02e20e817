"""Noise. Every function: (image_BCHW in [0, 1], its parameters, `pixel`, `draws`) -> the same shape, not clipped."""

import torch
from torch import Tensor

from cnnlab.data.corruptions.draws import Draws


def gaussian_noise(image_BCHW: Tensor, parameters: tuple[float], pixel: float, draws: Draws) -> Tensor:
    """Plus normal noise of the standard deviation given, anew in every channel."""
    (deviation,) = parameters
    return image_BCHW + deviation * draws.normal(*image_BCHW.shape[1:])


def shot_noise(image_BCHW: Tensor, parameters: tuple[float], pixel: float, draws: Draws) -> Tensor:
    """Photons: Poisson counts of which white has `photons` on average."""
    (photons,) = parameters
    return draws.poisson(image_BCHW * photons) / photons


def impulse_noise(image_BCHW: Tensor, parameters: tuple[float], pixel: float, draws: Draws) -> Tensor:
    """Salt and pepper: a share of the values becomes 0 or 1, equally often."""
    (share,) = parameters
    hit_BCHW = draws.uniform(0, 1, *image_BCHW.shape[1:]) < share
    salt_BCHW = (draws.sign(*image_BCHW.shape[1:]) + 1) / 2
    return torch.where(hit_BCHW, salt_BCHW, image_BCHW)


def speckle_noise(image_BCHW: Tensor, parameters: tuple[float], pixel: float, draws: Draws) -> Tensor:
    """Times 1 plus normal noise: dark parts stay dark."""
    (deviation,) = parameters
    return image_BCHW + image_BCHW * deviation * draws.normal(*image_BCHW.shape[1:])
