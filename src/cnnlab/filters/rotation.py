"""Rotation of kernels. P partial derivatives of one order, K kernels, h by w kernel sides, n kernel side.

A direction is the angle θ measured from +x towards +y (y down, so clockwise on the screen). n orientations
are θ_k = kπ/n, k = 0 .. n - 1: half a turn, since a derivative half a turn on is the same up to sign.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab._choices import UsageError


def angles(orientations: int) -> list[float]:
    """θ_k = kπ/n in radians."""
    return [math.pi * k / orientations for k in range(orientations)]


def angle_names(orientations: int) -> list[str]:
    """ "t0", "t45", "t22.5": the angles of `angles` in degrees."""
    return [f"t{180 * k / orientations:.6g}" for k in range(orientations)]


def direction(angle: float) -> tuple[float, float]:
    """(cos, sin) of an angle in radians, exactly 0 where only rounding keeps them from it."""
    cos, sin = math.cos(angle), math.sin(angle)
    return (0.0 if abs(cos) < 1e-15 else cos), (0.0 if abs(sin) < 1e-15 else sin)


def steered(partials_Phw: Tensor, angle: float) -> Tensor:
    """Derivative of order P - 1 along `angle` (radians), exactly, from all partials of that order.

    `partials_Phw` runs from d/dy^(P-1) to d/dx^(P-1): (dy, dx) or (dyy, dxy, dxx). Returns (h, w):
    (cos θ d/dx + sin θ d/dy)^(P-1) by the binomial theorem (Freeman & Adelson 1991, IEEE PAMI 13(9)).
    """
    order = len(partials_Phw) - 1
    cos, sin = direction(angle)
    weights = [math.comb(order, x) * cos**x * sin ** (order - x) for x in range(order + 1)]
    return torch.einsum("p,phw->hw", torch.tensor(weights, dtype=partials_Phw.dtype), partials_Phw)


def resampled(kernels_K1nn: Tensor, angle: float) -> Tensor:
    """Kernels rotated by `angle` (radians, +x towards +y) about their centre; same shape and sums.

    Multiples of 90° move the entries and are exact. Other angles interpolate bicubically with zeros outside,
    which is an approximation; the sum of each kernel is restored, so derivatives still respond with 0 to a
    constant. Raises UsageError if the kernels are not square.
    """
    size = kernels_K1nn.shape[-1]
    if kernels_K1nn.shape[-2] != size:
        raise UsageError(f"only square kernels can be rotated, got {tuple(kernels_K1nn.shape[-2:])}")
    quarters = angle / (math.pi / 2)
    if abs(quarters - round(quarters)) < 1e-12:
        return torch.rot90(kernels_K1nn, -round(quarters), dims=(-2, -1))
    cos, sin = direction(angle)
    backward = torch.tensor([[cos, sin, 0.0], [-sin, cos, 0.0]], dtype=kernels_K1nn.dtype)
    grid = F.affine_grid(backward.expand(len(kernels_K1nn), 2, 3), list(kernels_K1nn.shape), align_corners=False)
    rotated = F.grid_sample(kernels_K1nn, grid, mode="bicubic", padding_mode="zeros", align_corners=False)
    missing = (kernels_K1nn - rotated).sum(dim=(-2, -1), keepdim=True)
    return rotated + missing / size**2
