"""Analytic shapes with free parameters, and their least-squares fit to kernels.

K kernels, M candidates, P free parameters, L parts that enter linearly, S starts, J = KS, h by w kernel sides,
N = hw pixels, L of `units` kernels that aren't zero.

A shape is a sum of L parts times free coefficients; the parts depend on the parameters: the even and odd part of a
Gabor function on its wavelength, say. So amplitude, sign, phase and the direction of a gradient come from linear
algebra, and only the rest is searched (variable projection: Golub & Pereyra 1973, SIAM J. Numer. Anal. 10(2)).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

_ROUNDS = 30
_ENOUGH = 1e-6  # of a kernel's energy: who gains less has arrived
_AT_ONCE = 2**18  # numbers of a grid at once: they stay in the CPU's cache
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
    """Least-squares fits: `parameters` (K, P), `coefficients` (K, L), `r2` (K,) fraction of the kernel's energy."""

    parameters: Tensor
    coefficients: Tensor
    r2: Tensor


def pixels(height: int, width: int) -> tuple[Tensor, Tensor]:
    """(y, x), (h,) and (w,) float64: pixel centres, 0 in the middle of the kernel."""
    y_h, x_w = (torch.arange(side, dtype=torch.float64) - (side - 1) / 2 for side in (height, width))
    return y_h, x_w


def _gabor(parameters_MP: Tensor, height: int, width: int) -> Tensor:
    """exp(-(u² + aspect² v²) / (2 sigma²)) times cos and sin of 2πu / wavelength, about (y, x): see `gabor.py`.

    The wave is the product of one along y and one along x; the exponent is a square form in y and x.
    """
    angle_M1, wavelength_M1, sigma_M1, aspect_M1, *centre = parameters_MP.unsqueeze(-1).unbind(1)
    y_h, x_w = pixels(height, width)
    y_Mh, x_Mw = (y_h - centre[0], x_w - centre[1]) if centre else (y_h, x_w)
    cos_M1, sin_M1, stretch_M1 = angle_M1.cos(), angle_M1.sin(), (2 * aspect_M1).exp()
    waves_M1, scale_M1 = 2 * math.pi / wavelength_M1.exp(), -1 / (2 * (2 * sigma_M1).exp())
    down_Mh1 = (scale_M1 * (sin_M1**2 + stretch_M1 * cos_M1**2) * y_Mh**2).unsqueeze(2)
    across_M1w = (scale_M1 * (cos_M1**2 + stretch_M1 * sin_M1**2) * x_Mw**2).unsqueeze(1)
    tilt_Mh1 = (2 * scale_M1 * (1 - stretch_M1) * cos_M1 * sin_M1 * y_Mh).unsqueeze(2)
    envelope_Mhw = torch.addcmul(down_Mh1 + across_M1w, tilt_Mh1, x_Mw.unsqueeze(-2)).exp_()
    y_wave_Mh1, x_wave_M1w = (waves_M1 * sin_M1 * y_Mh).unsqueeze(2), (waves_M1 * cos_M1 * x_Mw).unsqueeze(1)
    cos_y, sin_y, cos_x, sin_x = y_wave_Mh1.cos(), y_wave_Mh1.sin(), x_wave_M1w.cos(), x_wave_M1w.sin()
    even_Mhw = (cos_y * cos_x).addcmul_(sin_y, sin_x, value=-1).mul_(envelope_Mhw)
    odd_Mhw = (sin_y * cos_x).addcmul_(cos_y, sin_x).mul_(envelope_Mhw)
    return torch.stack([even_Mhw, odd_Mhw], dim=1).flatten(2)


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
SHAPES = (GAUSSIAN, GAUSSIAN_1, GAUSSIAN_2, SADDLE, LOG, GABOR, FREE_GABOR)


def units(maps_Khw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which maps aren't zero, (K,); these L with norm 1, (L, h, w); and what they are times, (L,)."""
    alive_K = maps_Khw.flatten(1).any(1)
    largest_L11 = maps_Khw[alive_K].abs().amax((1, 2), keepdim=True)
    unit_Lhw = maps_Khw[alive_K] / largest_L11
    norm_L11 = torch.linalg.vector_norm(unit_Lhw, dim=(1, 2), keepdim=True)
    return alive_K, unit_Lhw / norm_L11, (largest_L11 * norm_L11)[:, 0, 0]


def fit(shape: Shape, kernels_Khw: Tensor, starts: int = 4) -> Fit:
    """The `starts` best of a grid of parameters for each kernel, refined by Levenberg-Marquardt; the best of them.

    Kernels float64, not zero; their scale doesn't matter to the parameters. Bounds: wavelength 2 to 2n, sigma 0.4 to n,
    aspect 1/4 to 4, centre within n / 3 of the middle, n the longer side.
    """
    return fits(shape, kernels_Khw, (starts,))[0]


def fits(shape: Shape, kernels_Khw: Tensor, starts: Sequence[int]) -> list[Fit]:
    """`fit` for several numbers of starts, which costs as much as the largest alone."""
    height, width = kernels_Khw.shape[-2:]
    ranges = [_range(name, max(height, width)) for name in shape.parameters]
    low_P, high_P = (torch.tensor([limits[end] for limits in ranges], dtype=torch.float64) for end in (1, 2))
    grid_MP = torch.cartesian_prod(*(values for values, _, _ in ranges)).view(-1, len(ranges))
    start_KSP = grid_MP[_best_of_grid(shape, grid_MP, kernels_Khw, min(max(starts), len(grid_MP)))]
    repeated_Jhw = kernels_Khw.repeat_interleave(start_KSP.shape[1], 0)
    parameters_JP = _refined(shape, start_KSP.flatten(0, 1), repeated_Jhw, low_P, high_P)
    rest_KS = _residual(shape, parameters_JP, repeated_Jhw).square().sum(1).unflatten(0, start_KSP.shape[:2])
    parameters_KSP = parameters_JP.unflatten(0, start_KSP.shape[:2])
    return [_best_start(shape, kernels_Khw, parameters_KSP[:, :count], rest_KS[:, :count]) for count in starts]


def _best_start(shape: Shape, kernels_Khw: Tensor, parameters_KSP: Tensor, rest_KS: Tensor) -> Fit:
    rest_K, chosen_K = rest_KS.min(1)
    parameters_KP = parameters_KSP[torch.arange(len(kernels_Khw)), chosen_K]
    parts_KLN = shape.parts(parameters_KP, *kernels_Khw.shape[-2:])
    solved = torch.linalg.lstsq(parts_KLN.mT, kernels_Khw.flatten(1).unsqueeze(2), driver="gelsd").solution
    return Fit(parameters_KP, solved[..., 0], 1 - rest_K / kernels_Khw.square().sum((1, 2)))


def _best_of_grid(shape: Shape, grid_MP: Tensor, kernels_Khw: Tensor, count: int) -> Tensor:
    """(K, count) indices of the grid, the best first. In float32: they are starts, no results."""
    height, width = kernels_Khw.shape[-2:]
    kernels_KN = kernels_Khw.flatten(1).float()
    held_Kc, index_Kc = kernels_KN.new_empty(len(kernels_KN), 0), torch.empty(len(kernels_KN), 0, dtype=torch.int64)
    step = max(count, _AT_ONCE // max(height * width, len(kernels_KN)))
    for first in range(0, len(grid_MP), step):
        frames_MLN = _orthonormal(shape.parts(grid_MP[first : first + step], height, width)).float()
        responses_KLM = torch.einsum("kn,mln->klm", kernels_KN, frames_MLN)
        held_KM = responses_KLM.square_().sum(1)
        part_Kc, where_Kc = held_KM.topk(min(count, held_KM.shape[1]), dim=1)
        held_Kc, order_Kc = torch.cat([held_Kc, part_Kc], 1).topk(min(count, first + part_Kc.shape[1]), dim=1)
        index_Kc = torch.cat([index_Kc, where_Kc + first], 1).gather(1, order_Kc)
    return index_Kc


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
    """Levenberg-Marquardt. A parameter that pushes against its bound stays there while the others go on; a kernel
    is done once two rounds in a row gained it less than _ENOUGH of its energy."""
    found_KP, place_K = start_KP.clone(), torch.arange(len(start_KP))  # of those below in all kernels
    parameters_KP, kernels_KN = start_KP.clone(), kernels_Khw
    rest_KN = _residual(shape, parameters_KP, kernels_KN)
    slopes_KNP = _slopes(shape, parameters_KP, kernels_KN, rest_KN)
    damping_K1, idle_K = torch.full((len(start_KP), 1), 1e-2, dtype=torch.float64), torch.zeros(len(start_KP))
    for _ in range(_ROUNDS):
        step_KP = _step(slopes_KNP, rest_KN, damping_K1, parameters_KP <= low_P, parameters_KP >= high_P)
        tried_KP = (parameters_KP - step_KP).clamp(low_P, high_P)
        left_KN = _residual(shape, tried_KP, kernels_KN)
        gain_K = rest_KN.square().sum(1) - left_KN.square().sum(1)
        better_K1 = (gain_K > 0).unsqueeze(1)
        parameters_KP = torch.where(better_K1, tried_KP, parameters_KP)
        rest_KN = torch.where(better_K1, left_KN, rest_KN)
        damping_K1 = torch.where(better_K1, damping_K1 / 5, damping_K1 * 4).clamp(1e-9, 1e9)
        idle_K = torch.where(gain_K > _ENOUGH * kernels_KN.square().sum((1, 2)), 0, idle_K + 1)
        found_KP[place_K] = parameters_KP
        on = ((idle_K < 2) | ((gain_K <= 0) & (damping_K1[:, 0] < 1e5))).nonzero()[:, 0]
        if not len(on):
            break
        state = (place_K, parameters_KP, kernels_KN, rest_KN, slopes_KNP, damping_K1, idle_K, better_K1[:, 0])
        place_K, parameters_KP, kernels_KN, rest_KN, slopes_KNP, damping_K1, idle_K, moved_K = (
            part[on] for part in state
        )
        slopes_KNP[moved_K] = _slopes(shape, parameters_KP[moved_K], kernels_KN[moved_K], rest_KN[moved_K])
    return found_KP


def _slopes(shape: Shape, parameters_KP: Tensor, kernels_Khw: Tensor, rest_KN: Tensor) -> Tensor:
    """(K, N, P): how the residual moves with each parameter."""
    count, nudges_PP = parameters_KP.shape[1], torch.eye(parameters_KP.shape[1], dtype=torch.float64) * _NUDGE
    nudged_JP = (parameters_KP.unsqueeze(1) + nudges_PP).flatten(0, 1)
    moved_JN = _residual(shape, nudged_JP, kernels_Khw.repeat_interleave(count, 0))
    return (moved_JN.unflatten(0, (-1, count)) - rest_KN.unsqueeze(1)).mT / _NUDGE


def _step(slopes_KNP: Tensor, rest_KN: Tensor, damping_K1: Tensor, at_low_KP: Tensor, at_high_KP: Tensor) -> Tensor:
    """(K, P), to be taken off the parameters; 0 for those that would leave their bounds."""
    gradient_KP = (slopes_KNP.mT @ rest_KN.unsqueeze(-1))[..., 0]
    free_KP = ~((at_low_KP & (gradient_KP > 0)) | (at_high_KP & (gradient_KP < 0)))
    slopes_KNP = slopes_KNP * free_KP.unsqueeze(1)
    square_KPP = slopes_KNP.mT @ slopes_KNP
    size_KP = square_KPP.diagonal(dim1=1, dim2=2)
    floor_K1 = size_KP.amax(1, keepdim=True).clamp_min(1e-300) * 1e-9
    damped_KPP = square_KPP + torch.diag_embed(damping_K1 * (size_KP + floor_K1) + floor_K1 * ~free_KP)
    return torch.linalg.solve(damped_KPP, gradient_KP * free_KP).clamp(-0.5, 0.5)
