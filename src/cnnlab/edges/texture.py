"""Edges between textures, and edges inside of a texture. B batch, C channel, H W image, n taps."""

import torch
from torch import Tensor, nn

from cnnlab.edges.borders import pad
from cnnlab.edges.gradient import Gradient
from cnnlab.filters import bank

FINE, COARSE = 1.0, 4.0  # sigma in pixels
QUIET = 1e-3  # intensity per pixel: a contrast that is none
FLOOR = 0.01  # intensity per pixel, added to the mean of the surround


class TextureGradient(nn.Module):
    """Gradient of local contrast: filter, rectify, filter (Malik & Perona 1990, JOSA A 7(5)).

    The first channel's derivative at scale FINE along 0, 90, 45 and 135 degrees, rectified, under the root (the
    contrast of textures as of brightness), then the Gaussian gradient at scale COARSE: four channels. Nothing is
    trained.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fine = Gradient(bank(f"gaussian(sigma={FINE}, order=1)"))
        self.coarse = Gradient(bank(f"gaussian(sigma={COARSE}, order=1)"))

    @property
    def halo(self) -> tuple[int, int]:
        reach = self.fine.halo[0] + self.coarse.halo[0]
        return reach, reach

    def inside(self, padded_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """(dy, dx), each (B, 4, H, W), of an image that has its border already."""
        ((dy, dx),) = self.fine.inside(padded_BCHW[:, :1])
        root_half = 0.5**0.5
        contrast_B4HW = torch.cat([dx, (dx + dy) * root_half, dy, (dx - dy) * root_half], dim=1).abs()
        ((coarse_dy, coarse_dx),) = self.coarse.inside((contrast_B4HW + QUIET).sqrt())
        return coarse_dy, coarse_dx


def suppression(strength_B1HW: Tensor, exponent: float, radius: int) -> Tensor:
    """(FLOOR + mean strength of the surround) ** -exponent, (B, 1, H, W): the factor of surround suppression.

    The surround is the square of side 2 radius + 1, mirrored at the border. Edges inside of a texture stand among
    their like, contours stand alone (Grigorescu, Petkov & Westenberg 2003, IEEE TIP 12(7); as a
    division: Heeger 1992, Visual Neuroscience 9(2)).
    """
    mean = pad(strength_B1HW, radius, radius, radius, radius, "reflect").double()
    for dim in (-1, -2):
        total = nn.functional.pad(mean.cumsum(dim), (1, 0) if dim == -1 else (0, 0, 1, 0))
        size = total.shape[dim] - (2 * radius + 1)
        mean = (total.narrow(dim, 2 * radius + 1, size) - total.narrow(dim, 0, size)) / (2 * radius + 1)
    return (mean.clamp_min(0) + FLOOR).pow(-exponent).to(strength_B1HW.dtype)
