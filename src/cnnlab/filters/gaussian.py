"""Gaussian kernels and their derivatives. P partial derivatives of one order, h by w and n kernel sides."""

import math

import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.filters.bank import FilterBank, joined
from cnnlab.filters.families import family
from cnnlab.filters.parameters import integer, numbers, odd, refuse, scale_names
from cnnlab.filters.stencils import derivative_bank, rescaled

SMALLEST, LARGEST = 0.1, 100.0  # sigma in pixels
HIGHEST_ORDER = 20


def default_size(sigma: float, order: int = 0) -> int:
    """2 ceil(3 sigma) + 1, three standard deviations to either side, and at least order + 1 taps."""
    return 2 * max(math.ceil(3 * sigma), math.ceil(order / 2)) + 1


def derivative_taps(sigma: float, order: int, size: int) -> Tensor:
    """(size,) float64 taps of the derivative of `order`, correlated: growing intensity responds positively.

    The sampled Gaussian times the one polynomial of degree `order` for which the response to x^order/order! is
    exactly 1 and to every lower power exactly 0. This is the weighted least-squares fit of a polynomial, the
    sampled form of the Hermite functions (Lindeberg 1994, Scale-Space Theory in Computer Vision; Savitzky &
    Golay 1964 with Gaussian weights), and tends to the sampled derivative of the Gaussian as sigma grows.
    UsageError if the Gaussian leaves too few taps above rounding noise to measure that derivative.
    """
    x = torch.arange(size, dtype=torch.float64) - size // 2
    root = torch.exp(-((x / (2 * sigma)) ** 2))  # the square root of the Gaussian
    previous, current, length = torch.zeros_like(x), root / torch.linalg.vector_norm(root), 0.0
    for _ in range(order):  # the three-term recurrence of orthogonal polynomials
        following = x * current - length * previous
        length = torch.linalg.vector_norm(following)
        previous, current = current, following / length
    taps = root * current
    taps = taps / (taps * x**order).sum() * math.factorial(order)
    lower = [(taps * x**power).sum().abs() / (taps * x**power).abs().sum() for power in range(order)]
    if not taps.isfinite().all() or max(lower, default=0) > 1e-9:
        raise UsageError(f"sigma={sigma:g} is too small for order {order} on {size} taps")
    return taps


def partials(sigma: float, order: int, size: int) -> Tensor:
    """(order + 1, size, size) float64: all partials of one order, from d/dy^order to d/dx^order."""
    taps = [derivative_taps(sigma, each, size) for each in range(order + 1)]
    return torch.stack([torch.outer(taps[order - x_order], taps[x_order]) for x_order in range(order + 1)])


@family("Gaussian and its derivatives of any order, at any scales")
def gaussian(
    *,
    sigma: float | tuple[float, ...] = 1.0,
    order: int = 0,
    size: int | None = None,
    normalise: str = "ramp",
    orientations: int | None = None,
) -> FilterBank:
    """Gaussian (`order` 0) or all its partial derivatives of one order, or that along n directions.

    Order 1 gives (dy, dx), order 2 (dyy, dxy, dxx), and so on; several `sigma` (pixels, 0.1 to 100) give
    groups named by scale (`gaussian_s2_dx`). `size` is odd, by default 2 ceil(3 sigma) + 1. In ramp form a
    derivative responds with exactly 1 to its own monomial y^a x^b / (a! b!) and 0 to the other monomials of up to
    that order; along a direction u, exactly 1 to (u·x)^n / n!. scipy's `gaussian_filter` samples instead: the
    same up to its gain for orders 0 and 1, close for higher orders (and scipy's `order=1` has the same sign).
    """
    integer("gaussian", "order", order, 0, HIGHEST_ORDER)
    if size is not None:
        odd("gaussian", "size", size, least=order + 1)
    if order == 0 and orientations is not None:
        refuse("gaussian", "orientations", orientations, "None for order 0, which is round")
    scales = numbers("gaussian", "sigma", sigma, SMALLEST, LARGEST)
    groups = []
    for scale, name in zip(scales, scale_names("gaussian", "s", scales), strict=True):
        side = size or default_size(scale, order)
        try:
            kernels = partials(scale, order, side)
        except UsageError as error:
            raise UsageError(f"gaussian: {error}; take a larger sigma or a lower order") from None
        groups.append(_group(name, kernels, normalise, orientations))
    return joined(groups)


def _group(name: str, partials_Phw: Tensor, normalise: str, orientations: int | None) -> FilterBank:
    source = "Gaussian derivatives, Lindeberg 1994, with exact responses to polynomials"
    if len(partials_Phw) > 1:
        return derivative_bank(name, partials_Phw, source, normalise, orientations)
    return rescaled("gaussian", FilterBank(partials_Phw.unsqueeze(1), (name,), source), normalise)
