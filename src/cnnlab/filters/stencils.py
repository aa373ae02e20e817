"""Derivative stencils of small integers and published taps. P partial derivatives, h by w and n kernel sides.

Each stencil stands once, in STENCILS, as its source prints it (reversed where need be, so that the
response to growing intensity is positive under correlation); every kernel, scale and orientation is derived from there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.filters.bank import FilterBank
from cnnlab.filters.families import family
from cnnlab.filters.parameters import MOST_ORIENTATIONS, choice, integer
from cnnlab.filters.rotation import angle_names, angles, steered


@dataclass(frozen=True)
class Stencil:
    """`difference` runs along the derivative axis, `smoothing` across it; any scale, centred, odd lengths."""

    difference: tuple[float, ...]
    smoothing: tuple[float, ...]
    source: str
    order: int = 1  # of the derivative

    def along(self) -> Tensor:
        """(n,) float64 taps that respond with exactly 1 to x (order 1) or x²/2 (order 2)."""
        taps = torch.tensor(self.difference, dtype=torch.float64)
        x = torch.arange(len(taps), dtype=torch.float64) - len(taps) // 2
        return taps / (taps * x**self.order / self.order).sum()

    def across(self) -> Tensor:
        """(n,) float64 taps of sum 1, padded with zeros to the length of `along`."""
        taps = torch.tensor(self.smoothing, dtype=torch.float64)
        margin = (len(self.difference) - len(taps)) // 2
        return torch.nn.functional.pad(taps / taps.sum(), (margin, margin))


_FORNBERG = "Fornberg 1988, Math. Comp. 51(184), table 1"
_OPENCV = "Sobel & Feldman 1968; sides 5 and 7 by binomial smoothing, as OpenCV's getDerivKernels"
_FARID = "Farid & Simoncelli 2004, IEEE TIP 13(4), table I"

STENCILS = {
    "central_2": Stencil((-1, 0, 1), (1,), _FORNBERG),
    "central_4": Stencil((1, -8, 0, 8, -1), (1,), _FORNBERG),
    "central_6": Stencil((-1, 9, -45, 0, 45, -9, 1), (1,), _FORNBERG),
    "central_2_second": Stencil((1, -2, 1), (1,), _FORNBERG, order=2),
    "central_4_second": Stencil((-1, 16, -30, 16, -1), (1,), _FORNBERG, order=2),
    "central_6_second": Stencil((2, -27, 270, -490, 270, -27, 2), (1,), _FORNBERG, order=2),
    "prewitt": Stencil((-1, 0, 1), (1, 1, 1), "Prewitt 1970, in Picture Processing and Psychopictorics"),
    "sobel_3": Stencil((-1, 0, 1), (1, 2, 1), _OPENCV),
    "sobel_5": Stencil((-1, -2, 0, 2, 1), (1, 4, 6, 4, 1), _OPENCV),
    "sobel_7": Stencil((-1, -4, -5, 0, 5, 4, 1), (1, 6, 15, 20, 15, 6, 1), _OPENCV),
    "scharr": Stencil((-1, 0, 1), (3, 10, 3), "Scharr 2000, PhD thesis, Heidelberg"),
    "farid_5": Stencil(
        (-0.109604, -0.276691, 0.0, 0.276691, 0.109604),
        (0.037659, 0.249153, 0.426375, 0.249153, 0.037659),
        _FARID,
    ),
    "farid_7": Stencil(
        (-0.018708, -0.125376, -0.193091, 0.0, 0.193091, 0.125376, 0.018708),
        (0.004711, 0.069321, 0.245410, 0.361117, 0.245410, 0.069321, 0.004711),
        _FARID,
    ),
}


def first_partials(key: str) -> Tensor:
    """(2, n, n) float64: (d/dy, d/dx) of a stencil of order 1; the response to a unit ramp is exactly 1."""
    stencil = STENCILS[key]
    along, across = stencil.along(), stencil.across()
    return torch.stack([torch.outer(along, across), torch.outer(across, along)])


def second_partials(accuracy: int) -> Tensor:
    """(3, n, n) float64: central (dyy, dxy, dxx); exactly 1 to y²/2, xy and x²/2."""
    second, first = STENCILS[f"central_{accuracy}_second"], STENCILS[f"central_{accuracy}"].along()
    along, across = second.along(), second.across()
    return torch.stack([torch.outer(along, across), torch.outer(first, first), torch.outer(across, along)])


def derivative_bank(
    family: str, partials_Phw: Tensor, source: str, normalise: str, orientations: int | None
) -> FilterBank:
    """Partials of one order ((dy, dx), (dyy, dxy, dxx), ...), or that derivative along n directions.

    The first is named `family_dy` and so on, the second `family_t45` by degrees. A (dy, dx) pair is a vector.
    """
    order = len(partials_Phw) - 1
    if orientations is None:
        names = [f"{family}_d{'x' * x}{'y' * (order - x)}" for x in range(order + 1)]
        kernels, vectors = partials_Phw, ((0, 1),) if order == 1 else ()
    else:
        integer(family, "orientations", orientations, 1, MOST_ORIENTATIONS)
        names = [f"{family}_{name}" for name in angle_names(orientations)]
        kernels = torch.stack([steered(partials_Phw, angle) for angle in angles(orientations)])
        vectors = ()
    result = FilterBank(kernels.unsqueeze(1), tuple(names), source, vectors)
    return rescaled(family, result, normalise)


def rescaled(family: str, ramp_bank: FilterBank, normalise: str) -> FilterBank:
    """A bank built in ramp form, in another form; UsageError names the family and the parameter."""
    choice(family, "normalise", normalise, ("ramp", "integers", "l2", "l1"))
    if normalise == "ramp":
        return ramp_bank
    try:
        return ramp_bank.normalised(normalise)
    except UsageError as error:
        raise UsageError(f"{family}: normalise={normalise!r} is not valid: {error}") from None


@family("central differences, accuracy 2, 4 or 6, first or second derivative")
def central(
    *, accuracy: int = 2, order: int = 1, normalise: str = "ramp", orientations: int | None = None
) -> FilterBank:
    """Central differences of `accuracy` 2, 4 or 6 (the error falls as h^accuracy), `order` 1 or 2.

    (dy, dx) or (dyy, dxy, dxx), sides accuracy + 1; dxy is the product of both first differences.
    """
    choice("central", "accuracy", accuracy, (2, 4, 6))
    choice("central", "order", order, (1, 2))
    partials = first_partials(f"central_{accuracy}") if order == 1 else second_partials(accuracy)
    return derivative_bank("central", partials, _FORNBERG, normalise, orientations)


@family("first derivative, box smoothing across")
def prewitt(*, normalise: str = "ramp", orientations: int | None = None) -> FilterBank:
    """(dy, dx), 3 x 3. scikit-image's prewitt_h and prewitt_v have the same signs and respond with 2 to a ramp."""
    return _first("prewitt", "prewitt", normalise, orientations)


@family("first derivative, binomial smoothing across; size 3, 5 or 7")
def sobel(*, size: int = 3, normalise: str = "ramp", orientations: int | None = None) -> FilterBank:
    """(dy, dx), size 3, 5 or 7. `normalise="integers"` is OpenCV's and scipy's; scikit-image's responds with 2."""
    choice("sobel", "size", size, (3, 5, 7))
    return _first("sobel", f"sobel_{size}", normalise, orientations)


@family("first derivative, 3 10 3 across: closest to isotropic at 3 x 3")
def scharr(*, normalise: str = "ramp", orientations: int | None = None) -> FilterBank:
    """(dy, dx), 3 x 3. `normalise="integers"` is OpenCV's Scharr."""
    return _first("scharr", "scharr", normalise, orientations)


@family("Farid-Simoncelli first derivative, optimised for rotation; size 5 or 7")
def farid(*, size: int = 5, normalise: str = "ramp", orientations: int | None = None) -> FilterBank:
    """(dy, dx), size 5 or 7. The published taps respond with 0.992 and 1.000 to a ramp; here exactly 1."""
    choice("farid", "size", size, (5, 7))
    return _first("farid", f"farid_{size}", normalise, orientations)


def _first(family: str, key: str, normalise: str, orientations: int | None) -> FilterBank:
    return derivative_bank(family, first_partials(key), STENCILS[key].source, normalise, orientations)


@family("Roberts cross: 2 x 2 differences along the diagonals")
def roberts(*, normalise: str = "ramp", orientations: int | None = None) -> FilterBank:
    """Roberts cross, 2 x 2: the derivatives along 45° (down right) and 135° (down left), one vector.

    Both respond with exactly 1 to a unit ramp along their direction, so the norm is the gradient's magnitude (as in
    scikit-image). The response belongs to the middle of the four pixels. `orientations` steers the two exactly.
    """
    down_right = torch.tensor([[-1.0, 0.0], [0.0, 1.0]], dtype=torch.float64) / 2**0.5
    down_left = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64) / 2**0.5
    source = "Roberts 1963, PhD thesis, MIT"
    if orientations is not None:
        partials = torch.stack([down_right + down_left, down_right - down_left]) / 2**0.5
        return derivative_bank("roberts", partials, source, normalise, orientations)
    kernels = torch.stack([down_right, down_left]).unsqueeze(1)
    names = ("roberts_t45", "roberts_t135")
    return rescaled("roberts", FilterBank(kernels, names, source, ((0, 1),)), normalise)
