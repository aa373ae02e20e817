"""Analytic shapes with free parameters, and their least-squares fit to kernels.

K kernels, M candidates, P free parameters, L parts that enter linearly, S starts, J = KS, h by w kernel sides,
N = hw pixels.

A shape is a sum of L parts times free coefficients; the parts depend on the parameters: the even and odd part of a
Gabor function on its wavelength, say. So amplitude, sign, phase and the direction of a gradient come from linear
algebra, and only the rest is searched (variable projection: Golub & Pereyra 1973, SIAM J. Numer. Anal. 10(2)).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

_ROUNDS = 30
_AT_ONCE = 2**21  # numbers of a grid in memory
_NUDGE = 1e-5  # of a parameter, for its numerical derivative


@dataclass(frozen=True)
class Shape:
    """`parts(parameters_MP, h, w)` is (M, L, N); `parameters` are named, angles in radians, lengths as logarithms."""

    name: str
    parameters: tuple[str, ...]
    parts: Callable[[Tensor, int, int], Tensor]
    coefficients: int  # L

    @property
    def freedom(self) -> int:
        """Numbers that a fit may choose."""
        return len(self.parameters) + self.coefficients


class Fit(NamedTuple):
    """Least-squares fits: `parameters` (K, P), `coefficients` (K, L), `r2` (K,) share of the kernel's energy."""

    parameters: Tensor
    coefficients: Tensor
    r2: Tensor


def pixels(height: int, width: int) -> tuple[Tensor, Tensor]:
    """(y, x), (h,) and (w,) float64: pixel centres, 0 in the middle of the kernel."""
    return tuple(torch.arange(side, dtype=torch.float64) - (side - 1) / 2 for side in (height, width))


def _gabor(parameters_MP: Tensor, height: int, width: int) -> Tensor:
    """exp(-(u² + aspect² v²) / (2 sigma²)) times cos and sin of 2πu / wavelength, about (y, x): see `gabor.py`."""
    angle_M11, wavelength_M11, sigma_M11, aspect_M11, *centre = parameters_MP[..., None, None].unbind(1)
    y_h, x_w = pixels(height, width)
    y_Mh1, x_M1w = (y_h.unsqueeze(1) - centre[0], x_w - centre[1]) if centre else (y_h.unsqueeze(1), x_w)
    cos_M11, sin_M11 = angle_M11.cos(), angle_M11.sin()
    u_Mhw = x_M1w * cos_M11 + y_Mh1 * sin_M11
    v_Mhw = y_Mh1 * cos_M11 - x_M1w * sin_M11
    envelope_Mhw = torch.exp(-(u_Mhw**2 + (aspect_M11.exp() * v_Mhw) ** 2) / (2 * sigma_M11.exp() ** 2))
    wave_Mhw = 2 * math.pi * u_Mhw / wavelength_M11.exp()
    return torch.stack([envelope_Mhw * wave_Mhw.cos(), envelope_Mhw * wave_Mhw.sin()], dim=1).flatten(2)


def _taps(sigma_M: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Orders 0, 1, 2 of `gaussian.derivative_taps`, (M, side) each, at many scales and on even sides too."""
    (x_n, _) = pixels(side, 1)
    weight_Mn = torch.exp(-(x_n**2) / (2 * sigma_M.unsqueeze(1) ** 2))
    weight_Mn = weight_Mn / weight_Mn.sum(1, keepdim=True)
    spread_M1 = (weight_Mn * x_n**2).sum(1, keepdim=True)
    second_Mn = weight_Mn * (x_n**2 - spread_M1)
    tiny = torch.finfo(torch.float64).tiny
    curvature_M1 = (second_Mn * x_n**2).sum(1, keepdim=True).clamp_min(tiny)
    return weight_Mn, weight_Mn * x_n / spread_M1.clamp_min(tiny), 2 * second_Mn / curvature_M1


def _outer(down_Mh: Tensor, across_Mw: Tensor) -> Tensor:
    return (down_Mh.unsqueeze(2) * across_Mw.unsqueeze(1)).flatten(1)


def _gaussian(order: int) -> Callable[[Tensor, int, int], Tensor]:
    def parts(parameters_MP: Tensor, height: int, width: int) -> Tensor:
        down, across = (_taps(parameters_MP[:, 0].exp(), side) for side in (height, width))
        if order == 0:
            return _outer(down[0], across[0]).unsqueeze(1)
        if order == 1:
            return torch.stack([_outer(down[1], across[0]), _outer(down[0], across[1])], dim=1)
        dyy_MN, dxy_MN, dxx_MN = (_outer(down[2 - x], across[x]) for x in range(3))
        cos_M1, sin_M1 = parameters_MP[:, 1:].cos(), parameters_MP[:, 1:].sin()
        return (cos_M1**2 * dxx_MN + 2 * cos_M1 * sin_M1 * dxy_MN + sin_M1**2 * dyy_MN).unsqueeze(1)

    return parts


def _saddle(parameters_MP: Tensor, height: int, width: int) -> Tensor:
    """(dxx - dyy) / 2 and dxy, which together are the saddle along every direction."""
    down, across = (_taps(parameters_MP[:, 0].exp(), side) for side in (height, width))
    dyy_MN, dxy_MN, dxx_MN = (_outer(down[2 - x], across[x]) for x in range(3))
    return torch.stack([(dxx_MN - dyy_MN) / 2, dxy_MN], dim=1)


def _log(parameters_MP: Tensor, height: int, width: int) -> Tensor:
    down, across = (_taps(parameters_MP[:, 0].exp(), side) for side in (height, width))
    return (_outer(down[2], across[0]) + _outer(down[0], across[2])).unsqueeze(1)


GAUSSIAN = Shape("gaussian", ("sigma",), _gaussian(0), 1)
GAUSSIAN_1 = Shape("gaussian_d1", ("sigma",), _gaussian(1), 2)
GAUSSIAN_2 = Shape("gaussian_d2", ("sigma", "angle"), _gaussian(2), 1)
SADDLE = Shape("gaussian_saddle", ("sigma",), _saddle, 2)
LOG = Shape("log", ("sigma",), _log, 1)
GABOR = Shape("gabor", ("angle", "wavelength", "sigma", "aspect"), _gabor, 2)
FREE_GABOR = Shape("gabor", (*GABOR.parameters, "y", "x"), _gabor, 2)


def fit(shape: Shape, kernels_Khw: Tensor, starts: int = 4) -> Fit:
    """The `starts` best of a grid of parameters for each kernel, refined by Levenberg-Marquardt; the best of them.

    Kernels float64, not zero; their scale doesn't matter to the parameters. Bounds: wavelength 2 to 2n, sigma 0.4 to n,
    aspect 1/4 to 4, centre within n / 3 of the middle, n the longer side.
    """
    height, width = kernels_Khw.shape[-2:]
    ranges = [_range(name, max(height, width)) for name in shape.parameters]
    low_P, high_P = (torch.tensor([one[end] for one in ranges], dtype=torch.float64) for end in (1, 2))
    grid_MP = torch.cartesian_prod(*(values for values, _, _ in ranges)).view(-1, len(ranges))
    start_KSP = grid_MP[_best_of_grid(shape, grid_MP, kernels_Khw, min(starts, len(grid_MP)))]
    repeated_Jhw = kernels_Khw.repeat_interleave(start_KSP.shape[1], 0)
    parameters_JP = _refined(shape, start_KSP.flatten(0, 1), repeated_Jhw, low_P, high_P)
    rest_KS = _residual(shape, parameters_JP, repeated_Jhw).square().sum(1).unflatten(0, start_KSP.shape[:2])
    rest_K, chosen_K = rest_KS.min(1)
    parameters_KP = parameters_JP.unflatten(0, start_KSP.shape[:2])[torch.arange(len(kernels_Khw)), chosen_K]
    parts_KLN = shape.parts(parameters_KP, height, width)
    solved = torch.linalg.lstsq(parts_KLN.mT, kernels_Khw.flatten(1).unsqueeze(2), driver="gelsd").solution
    return Fit(parameters_KP, solved[..., 0], 1 - rest_K / kernels_Khw.square().sum((1, 2)))


def _best_of_grid(shape: Shape, grid_MP: Tensor, kernels_Khw: Tensor, count: int) -> Tensor:
    """(K, count) indices of the grid, the best first."""
    height, width = kernels_Khw.shape[-2:]
    kernels_KN = kernels_Khw.flatten(1)
    held = []
    for part_MP in grid_MP.split(max(1, _AT_ONCE // (height * width))):
        frames_MLN = _orthonormal(shape.parts(part_MP, height, width))
        held.append(sum((kernels_KN @ frames_MN.T).square() for frames_MN in frames_MLN.unbind(1)))
    return torch.cat(held, dim=1).topk(count, dim=1).indices


def _range(name: str, side: int) -> tuple[Tensor, float, float]:
    """(values of the grid, lower bound, upper bound) of a parameter for kernels of this side."""
    if name == "angle":
        return torch.arange(12, dtype=torch.float64) * math.pi / 12, -math.inf, math.inf
    if name in ("y", "x"):
        return torch.tensor([-side / 6, 0.0, side / 6], dtype=torch.float64), -side / 3, side / 3
    low, high = {"wavelength": (2.0, 2.0 * side), "sigma": (0.4, float(side)), "aspect": (0.25, 4.0)}[name]
    count = 3 if name == "aspect" else 2 + round(2 * math.log2(high / low))
    inner = (math.log(0.5), math.log(2)) if name == "aspect" else (math.log(low), math.log(high))
    return torch.linspace(*inner, count, dtype=torch.float64), math.log(low), math.log(high)


def _orthonormal(parts_MLN: Tensor) -> Tensor:
    """Gram-Schmidt over L; a part that is zero, or that the others already span, becomes zero."""
    rows: list[Tensor] = []
    for part_MN in parts_MLN.unbind(1):
        rest_MN = part_MN
        for row_MN in rows:
            rest_MN = rest_MN - (row_MN * rest_MN).sum(1, keepdim=True) * row_MN
        length_M1 = torch.linalg.vector_norm(rest_MN, dim=1, keepdim=True)
        least_M1 = 1e-6 * torch.linalg.vector_norm(parts_MLN, dim=(1, 2)).unsqueeze(1)
        rows.append(torch.where(length_M1 > least_M1, rest_MN / length_M1, 0.0))
    return torch.stack(rows, dim=1)


def _residual(shape: Shape, parameters_KP: Tensor, kernels_Khw: Tensor) -> Tensor:
    """(K, N): what the best coefficients leave of each kernel."""
    frames_KLN = _orthonormal(shape.parts(parameters_KP, *kernels_Khw.shape[-2:]))
    kernels_KN = kernels_Khw.flatten(1)
    weights_KL = torch.einsum("kln,kn->kl", frames_KLN, kernels_KN)
    return kernels_KN - torch.einsum("kl,kln->kn", weights_KL, frames_KLN)


def _refined(shape: Shape, start_KP: Tensor, kernels_Khw: Tensor, low_P: Tensor, high_P: Tensor) -> Tensor:
    parameters_KP, damping_K11 = start_KP, torch.full((len(start_KP), 1, 1), 1e-2, dtype=torch.float64)
    nudges_PP = torch.eye(len(low_P), dtype=torch.float64) * _NUDGE
    rest_KN = _residual(shape, parameters_KP, kernels_Khw)
    for _ in range(_ROUNDS):
        moved = [_residual(shape, parameters_KP + nudge_P, kernels_Khw) for nudge_P in nudges_PP]
        slopes_KNP = (torch.stack(moved, dim=-1) - rest_KN.unsqueeze(-1)) / _NUDGE
        square_KPP = slopes_KNP.mT @ slopes_KNP
        floor_K11 = square_KPP.diagonal(dim1=1, dim2=2).amax(1).clamp_min(1e-300)[:, None, None] * 1e-9
        size_KPP = torch.diag_embed(square_KPP.diagonal(dim1=1, dim2=2)) + floor_K11 * torch.eye(len(low_P))
        gradient_KP1 = slopes_KNP.mT @ rest_KN.unsqueeze(-1)
        step_KP = torch.linalg.solve(square_KPP + damping_K11 * size_KPP, gradient_KP1)[..., 0].clamp(-0.5, 0.5)
        tried_KP = (parameters_KP - step_KP).clamp(low_P, high_P)
        left_KN = _residual(shape, tried_KP, kernels_Khw)
        better_K1 = left_KN.square().sum(1, keepdim=True) < rest_KN.square().sum(1, keepdim=True)
        parameters_KP = torch.where(better_K1, tried_KP, parameters_KP)
        rest_KN = torch.where(better_K1, left_KN, rest_KN)
        damping_K11 = torch.where(better_K1.unsqueeze(-1), damping_K11 / 3, damping_K11 * 4).clamp(1e-9, 1e9)
    return parameters_KP
