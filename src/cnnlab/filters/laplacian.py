"""Laplacians: dxx + dyy, positive for a dark spot on bright ground. h by w kernel sides.

In ramp form the response of every one of them to x²/2 and to y²/2 is exactly 1, so 2 to (x² + y²)/2, and 0 to 1, x, y.
"""

import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.filters.bank import FilterBank, joined
from cnnlab.filters.families import family
from cnnlab.filters.gaussian import LARGEST, SMALLEST, default_size, derivative_taps, partials
from cnnlab.filters.normalisation import moment
from cnnlab.filters.parameters import choice, number, numbers, odd, refuse, scale_names
from cnnlab.filters.stencils import rescaled


@family("Laplacian on 4 or 8 neighbours")
def laplacian(*, neighbours: int = 4, normalise: str = "ramp") -> FilterBank:
    """Laplacian on 4 or 8 neighbours, 3 x 3, centre negative. Ramp form: the integers over 1 or 3."""
    choice("laplacian", "neighbours", neighbours, (4, 8))
    corner, scale = (0.0, 1.0) if neighbours == 4 else (1.0, 3.0)
    rows = [[corner, 1.0, corner], [1.0, -float(neighbours), 1.0], [corner, 1.0, corner]]
    kernel = torch.tensor(rows, dtype=torch.float64) / scale
    source = "Rosenfeld & Kak 1982, Digital Picture Processing"
    return rescaled("laplacian", FilterBank(kernel.view(1, 1, 3, 3), ("laplacian",), source), normalise)


@family("Laplacian of Gaussian, at any scales")
def log(*, sigma: float | tuple[float, ...] = 1.0, size: int | None = None, normalise: str = "ramp") -> FilterBank:
    """Laplacian of Gaussian (Marr & Hildreth 1980), one kernel for each `sigma` (pixels, 0.1 to 100).

    The sum of the Gaussian's dyy and dxx (see `gaussian`), so the polynomial law is exact; scipy's
    `gaussian_laplace` samples instead and comes close from sigma 1 on. `size` odd, by default 2 ceil(4 sigma)
    + 1.
    """
    scales = numbers("log", "sigma", sigma, SMALLEST, LARGEST)
    banks = []
    for scale, name in zip(scales, scale_names("log", "s", scales), strict=True):
        side = _side("log", size, 4 * scale / 3)
        try:
            dyy, _, dxx = partials(scale, 2, side)
        except UsageError as error:
            raise UsageError(f"log: {error}; take a larger sigma") from None
        banks.append(_one(name, dyy + dxx, "Laplacian of Gaussian, Marr & Hildreth 1980", normalise))
    return joined(banks)


@family("difference of Gaussians, at any scales")
def dog(
    *,
    sigma: float | tuple[float, ...] = 1.0,
    ratio: float = 1.6,
    size: int | None = None,
    normalise: str = "ramp",
) -> FilterBank:
    """Difference of Gaussians G(ratio sigma) - G(sigma), close to the Laplacian of Gaussian for ratio 1.6.

    The sign is that of the Laplacian, the opposite of scikit-image's `difference_of_gaussians`. `sigma` in
    pixels, 0.1 to 100; `ratio` from 1.01 to 10; `size` odd, by default 2 ceil(3 ratio sigma) + 1.
    """
    scales = numbers("dog", "sigma", sigma, SMALLEST, LARGEST)
    number("dog", "ratio", ratio, 1.01, 10.0)
    banks = []
    for scale, name in zip(scales, scale_names("dog", "s", scales), strict=True):
        side = _side("dog", size, ratio * scale)
        wide, narrow = (derivative_taps(width, 0, side) for width in (ratio * scale, scale))
        difference = torch.outer(wide, wide) - torch.outer(narrow, narrow)
        curvature = moment(difference, 0, 2)
        if curvature < 1e-6:
            refuse("dog", "sigma", scale, f"larger: G({ratio:g} sigma) and G(sigma) are the same on {side} taps")
        banks.append(_one(name, difference / curvature, "difference of Gaussians, Marr & Hildreth 1980", normalise))
    return joined(banks)


def _side(family: str, size: int | None, sigma: float) -> int:
    return odd(family, "size", default_size(sigma) if size is None else size, least=3)


def _one(name: str, kernel_hw: Tensor, source: str, normalise: str) -> FilterBank:
    family = name.partition("_")[0]
    return rescaled(family, FilterBank(kernel_hw[None, None], (name,), source), normalise)
