"""Scales of a kernel: unit response, unit norms, smallest integers. h by w kernel sides.

`ramp`      the response to the polynomial that the kernel measures is 1: 1 (a smoothing kernel), a unit ramp along
            its direction (a first derivative), x²/2 or xy (a second derivative)
`l2`, `l1`  the squares, or the absolute values, sum to 1
`integers`  the smallest integers in the same proportions: the classical form, as 1 2 1
"""

import math
from fractions import Fraction

import torch
from torch import Tensor

from cnnlab._choices import UsageError, check_choice

NORMALISATIONS = ("ramp", "integers", "l2", "l1")
TOLERANCE = 1e-9


def scaled(kernel_hw: Tensor, how: str) -> Tensor:
    """The kernel times a positive factor. UsageError if `how` is unknown or impossible for this kernel."""
    check_choice("normalisation", how, NORMALISATIONS)
    if not kernel_hw.any():
        raise UsageError(f"a kernel of zeros has no {how} normalisation")
    if how == "integers":
        return integers(kernel_hw)
    if how == "ramp":
        return kernel_hw / unit_response(kernel_hw)
    return kernel_hw / torch.linalg.vector_norm(kernel_hw, ord=2 if how == "l2" else 1)


def moment(kernel_hw: Tensor, y_power: int, x_power: int) -> Tensor:
    """The kernel's response at the origin to y^a x^b / (a! b!), the origin at the kernel's centre."""
    y, x = (torch.arange(side, dtype=kernel_hw.dtype) - (side - 1) / 2 for side in kernel_hw.shape)
    polynomial = torch.outer(y**y_power, x**x_power) / (math.factorial(y_power) * math.factorial(x_power))
    return (kernel_hw * polynomial).sum()


def responses(kernel_hw: Tensor, order: int) -> list[float]:
    """Responses to y^order/order!, ..., x^order/order! (order + 1 of them); rounding noise becomes 0."""
    pairs = [(order - x_power, x_power) for x_power in range(order + 1)]
    exact = [moment(kernel_hw, *pair).item() for pair in pairs]
    noise = [moment_size(kernel_hw, *pair) * TOLERANCE for pair in pairs]
    return [value if abs(value) > limit else 0.0 for value, limit in zip(exact, noise, strict=True)]


def moment_size(kernel_hw: Tensor, y_power: int, x_power: int) -> float:
    """Sum of the absolute terms of `moment`: what its rounding error is measured against."""
    y, x = (torch.arange(side, dtype=kernel_hw.dtype) - (side - 1) / 2 for side in kernel_hw.shape)
    polynomial = torch.outer(y.abs() ** y_power, x.abs() ** x_power)
    return (kernel_hw.abs() * polynomial).sum().item() / (math.factorial(y_power) * math.factorial(x_power))


def unit_response(kernel_hw: Tensor) -> float:
    """The response to the polynomial that the kernel measures; positive, the same for a rotated kernel.

    Order 0: the absolute sum. Order 1: the length of its gradient. Order 2: with λ, μ the eigenvalues of its
    matrix of second derivatives, max(|λ|, |μ|, |λ - μ|), which is 1 for dxx, dxy and the Laplacian dxx + dyy.
    UsageError for a kernel that measures a higher order.
    """
    constant = responses(kernel_hw, 0)[0]
    if constant:
        return abs(constant)
    dy, dx = responses(kernel_hw, 1)
    if dy or dx:
        return math.hypot(dy, dx)
    dyy, dxy, dxx = responses(kernel_hw, 2)
    spread = math.hypot(dxx - dyy, dxy)
    largest = max((abs(dxx + dyy) + spread) / 2, spread)
    if largest == 0:
        raise UsageError("a kernel whose response to every quadratic is 0 has no ramp normalisation; use l2 or l1")
    return largest


def integers(kernel_hw: Tensor) -> Tensor:
    """Smallest integers proportional to the kernel; UsageError if there are none."""
    size = kernel_hw.abs()
    unit = size[size > TOLERANCE * size.max()].min().item()
    ratios = [Fraction(value / unit).limit_denominator(64) for value in kernel_hw.flatten().tolist()]
    factor = math.lcm(*(ratio.denominator for ratio in ratios))
    result = torch.tensor([float(ratio * factor) for ratio in ratios], dtype=kernel_hw.dtype).view_as(kernel_hw)
    if not torch.allclose(result / factor * unit, kernel_hw, rtol=1e-9, atol=TOLERANCE * size.max().item()):
        raise UsageError("these kernels are no multiple of small integers; use ramp, l2 or l1")
    return result
