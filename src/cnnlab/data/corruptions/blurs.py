"""Blurs. All read the image between its pixels, so that lengths of less than a pixel, as small images need them, count.

B batch, C channel, H height, W width, P points, k kernel side.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab.data.corruptions.draws import Draws
from cnnlab.data.corruptions.warps import affine, places, smooth, warp


def gaussian_blur(image_BCHW: Tensor, parameters: tuple[float], pixel: float, draws: Draws) -> Tensor:
    """Standard deviation in pixels of the benchmark."""
    return smooth(image_BCHW, parameters[0] * pixel)


def defocus_blur(image_BCHW: Tensor, parameters: tuple[float], pixel: float, draws: Draws) -> Tensor:
    """The mean over a disc; its radius in pixels of the benchmark."""
    radius = parameters[0] * pixel
    # The seeds of a sunflower cover a disc evenly.
    count = max(256, math.ceil(16 * radius**2))
    turn_P = torch.arange(count, dtype=torch.float64) * math.pi * (3 - math.sqrt(5))
    away_P = radius * ((torch.arange(count, dtype=torch.float64) + 0.5) / count).sqrt()
    offset_P2 = torch.stack([away_P * turn_P.sin(), away_P * turn_P.cos()], dim=-1)
    offset_1P2 = torch.cat([offset_P2, -offset_P2])[None]  # so that nothing moves
    return _mean_of_shifts(image_BCHW, offset_1P2, torch.full((2 * count,), 0.5 / count), radius)


def motion_blur(image_BCHW: Tensor, parameters: tuple[float, float], pixel: float, draws: Draws) -> Tensor:
    """The mean along a line to one side, falling off as half a Gaussian; its angle from -45 to 45 degrees.

    parameters: how far the line goes and the standard deviation, in pixels of the benchmark.
    """
    length, deviation = parameters[0] * pixel, parameters[1] * pixel
    angle_B1 = draws.uniform(-math.pi / 4, math.pi / 4, 1).double().cpu()
    count = max(64, math.ceil(8 * length))
    along_P = (torch.arange(count, dtype=torch.float64) + 0.5) * (length / count)
    weight_P = torch.exp(-((along_P / deviation) ** 2) / 2)
    offset_BP2 = torch.stack([angle_B1.sin() * along_P, angle_B1.cos() * along_P], dim=-1)
    return _mean_of_shifts(image_BCHW, offset_BP2, weight_P / weight_P.sum(), length)


def zoom_blur(image_BCHW: Tensor, parameters: tuple[float, float], pixel: float, draws: Draws) -> Tensor:
    """The mean of the image and its enlargements about the centre, from 1 in equal steps to the largest.

    parameters: the largest enlargement and the step.
    """
    largest, step = parameters
    total_BCHW = image_BCHW.clone()
    count = round((largest - 1) / step) + 1
    for zoom in torch.linspace(1, largest, count, dtype=torch.float64).tolist():
        matrix_22 = torch.eye(2, dtype=torch.float64, device=image_BCHW.device) / zoom
        total_BCHW += affine(image_BCHW, matrix_22.expand(len(image_BCHW), 2, 2), "border")
    return total_BCHW / (count + 1)


def glass_blur(image_BCHW: Tensor, parameters: tuple[float, float, int], pixel: float, draws: Draws) -> Tensor:
    """Blur, scatter, blur again, as through frosted glass.

    parameters: standard deviation of the blur, how far a pixel is scattered along each axis at most, both in pixels of
    the benchmark, and how often they are scattered.
    """
    deviation, reach, times = parameters
    image_BCHW = smooth(image_BCHW, deviation * pixel)
    y_1H1, x_11W = places(image_BCHW)
    for _ in range(times):
        move_B2HW = draws.uniform(-1, 1, 2, *image_BCHW.shape[-2:]).double() * (reach * pixel)
        image_BCHW = warp(image_BCHW, y_1H1 + move_B2HW[:, 0], x_11W + move_B2HW[:, 1], "border")
    return smooth(image_BCHW, deviation * pixel)


def _mean_of_shifts(image_BCHW: Tensor, offset_BP2: Tensor, weight_P: Tensor, reach: float) -> Tensor:
    """out[y, x] = sum over P of weight * in[y + dy, x + dx], bilinear, the border repeated.

    offset_BP2: (dy, dx) float64, none longer than `reach`; one row serves all images.
    """
    height, width = image_BCHW.shape[-2:]
    radius = math.ceil(reach) + 1
    kernel_Bkk = _splat(offset_BP2, weight_P, radius).to(image_BCHW)
    padded_BCHW = F.pad(image_BCHW, (radius,) * 4, mode="replicate")
    size = padded_BCHW.shape[-2:]
    # Products of spectra: a disc of 80 pixels costs no more than one of 8.
    spectrum = torch.fft.rfft2(padded_BCHW) * torch.fft.rfft2(kernel_Bkk, s=size).conj()[:, None]
    return torch.fft.irfft2(spectrum, s=size)[..., :height, :width]


def _splat(offset_BP2: Tensor, weight_P: Tensor, radius: int) -> Tensor:
    """(B, 2 radius + 1, 2 radius + 1): each point's weight shared by the four pixels around it."""
    side = 2 * radius + 1
    corner_BP2 = offset_BP2.floor()
    part_BP2 = offset_BP2 - corner_BP2
    corner_BP2 = corner_BP2.long() + radius
    kernel_BN = torch.zeros(len(offset_BP2), side * side, dtype=torch.float64)
    for dy in (0, 1):
        for dx in (0, 1):
            share_BP = (part_BP2[..., 0] - (1 - dy)).abs() * (part_BP2[..., 1] - (1 - dx)).abs()
            index_BP = (corner_BP2[..., 0] + dy) * side + corner_BP2[..., 1] + dx
            kernel_BN.scatter_add_(1, index_BP, share_BP * weight_P.double())
    return kernel_BN.unflatten(1, (side, side))
