"""A kernel on another grid: embedded, resampled or rotated, without losing its law.

K kernel, h, w kernel as given, n, m kernel as asked. y grows down, x grows right.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab._choices import UsageError

LAW = 0.1  # a moment above this fraction of the sum of its absolute terms is a law of the kernel
TINY = 1e-30  # keeps 0 / 0 at 0


def size_text(size: tuple[int, ...]) -> str:
    """>>> size_text((3, 5))
    '3x5'
    """
    return "x".join(map(str, size))


def embed(kernel_K1hw: Tensor, size: tuple[int, int]) -> Tensor:
    """Zeros around the kernel; anchor (index n // 2, as in OpenCV) on anchor, so responses do not shift.

    Returns (K, 1, *size). Raises ValueError if the kernel is larger than `size`: it is never cut.
    """
    given = tuple(kernel_K1hw.shape[-2:])
    if given[0] > size[0] or given[1] > size[1]:
        raise UsageError(
            f"a kernel of {size_text(given)} does not fit into a convolution of {size_text(size)}; "
            "use fit='resample', a smaller bank, or a larger convolution"
        )
    top, left = (n // 2 - g // 2 for n, g in zip(size, given, strict=True))
    return F.pad(kernel_K1hw, (left, size[1] - given[1] - left, top, size[0] - given[0] - top))


def resample(kernel_K1hw: Tensor, size: tuple[int, int]) -> Tensor:
    """The kernel stretched or shrunk to `size` taps: bilinear, averaged over what a coarser tap covers.

    Returns (K, 1, *size), float64. Kept up to rounding: a sum of 0; and the size of the lowest law the kernel
    has: the sum of the taps (a blur), the response to a ramp (a first derivative), to a parabola (a second
    derivative), else the norm. A direction is kept only where both sides change by the same factor.
    """
    if tuple(kernel_K1hw.shape[-2:]) == size:
        return kernel_K1hw.clone()
    stretched = F.interpolate(kernel_K1hw, size=size, mode="bilinear", antialias=True, align_corners=False)
    return _keep_law(kernel_K1hw, stretched)


def rotate(kernel_K1hw: Tensor, degrees: float) -> Tensor:
    """The kernel turned about its centre, from x towards y (clockwise on the screen), bilinear.

    Returns the shape given; what leaves the grid is lost, then the law is restored as in `resample`.
    """
    h, w = kernel_K1hw.shape[-2:]
    y, x = _grid(h, w, kernel_K1hw)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    from_x, from_y = cosine * x + sine * y, cosine * y - sine * x
    scale_x, scale_y = max(w - 1, 1) / 2, max(h - 1, 1) / 2
    grid_hw2 = torch.stack([from_x / scale_x, from_y / scale_y], dim=-1)
    grid_Khw2 = grid_hw2.expand(len(kernel_K1hw), -1, -1, -1)
    return _keep_law(kernel_K1hw, F.grid_sample(kernel_K1hw, grid_Khw2, align_corners=True))


def _grid(h: int, w: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates (y, x) of the taps in pixels, 0 at the middle of the kernel."""
    y = torch.arange(h, dtype=like.dtype) - (h - 1) / 2
    x = torch.arange(w, dtype=like.dtype) - (w - 1) / 2
    y_hw, x_hw = torch.meshgrid(y, x, indexing="ij")
    return y_hw, x_hw


def _moments(kernel_K1hw: Tensor) -> tuple[Tensor, Tensor]:
    """(K, 4): the size of the moments of order 0, 1, 2 (Frobenius, so no rotation changes it) and the norm;
    and (K, 4) whether each is one of the kernel's laws: not a mere rest of terms that cancel.
    """
    h, w = kernel_K1hw.shape[-2:]
    y, x = _grid(h, w, kernel_K1hw)
    sizes, laws = [], []
    for monomials in ([torch.ones_like(x)], [y, x], [y * y, 2**0.5 * y * x, x * x]):
        terms_KMhw = kernel_K1hw * torch.stack(monomials)
        size_K = terms_KMhw.sum(dim=(2, 3)).norm(dim=1)
        sizes.append(size_K)
        laws.append(size_K > LAW * terms_KMhw.abs().sum(dim=(1, 2, 3)))
    sizes.append(kernel_K1hw.flatten(1).norm(dim=1))
    laws.append(sizes[-1] > 0)
    return torch.stack(sizes, dim=1), torch.stack(laws, dim=1)


def _dc_share(kernel_K1hw: Tensor) -> Tensor:
    """(K, 1, 1, 1): the sum of the taps over the sum of their sizes, 0 for a derivative, 1 for a blur."""
    taps = (1, 2, 3)
    return kernel_K1hw.sum(taps, keepdim=True) / kernel_K1hw.abs().sum(taps, keepdim=True).clamp_min(TINY)


def _keep_law(before_K1hw: Tensor, after_K1nm: Tensor) -> Tensor:
    """Gives `after` the share of DC of `before`, then its lowest law: DC, ramp, parabola, else norm."""
    after_K1nm = after_K1nm - (_dc_share(after_K1nm) - _dc_share(before_K1hw)) * after_K1nm.abs()
    wanted_K4, is_law_K4 = _moments(before_K1hw)
    found_K4, is_still_law_K4 = _moments(after_K1nm)
    # A law that the new grid cannot carry (a ramp on a single tap) falls back to the norm.
    order_K1 = (is_law_K4 & is_still_law_K4).to(torch.uint8).argmax(dim=1, keepdim=True)
    gain_K1 = wanted_K4.gather(1, order_K1) / found_K4.gather(1, order_K1).clamp_min(TINY)
    return after_K1nm * gain_K1[:, :, None, None]
