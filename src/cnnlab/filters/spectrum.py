"""Spectra of kernels. K kernels, C channels, h by w kernel sides, R frequencies on each axis, P points.

Frequencies are in cycles per pixel, from -1/2 to 1/2 on each axis; a direction θ is that of the wave vector,
from +x towards +y (down). Energies of a kernel's channels add up, so that a kernel which answers to colours
has the spectrum of its spatial shape whatever the colours are.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

RESOLUTION = 65  # odd: zero has a middle, and no sample lies on the Nyquist frequency, whose sign is undefined
SELECTIVE = 0.05  # a kernel less selective than this has no preferred orientation
FLAT = 1e-6  # spectra whose relative range is smaller, and peaks whose relative heights differ less, are the same
_AT_ONCE = 2**22  # complex numbers in memory


class Tuning(NamedTuple):
    """What a kernel prefers; None where it prefers nothing (units and definitions in `tuning`)."""

    orientation: float | None
    selectivity: float
    frequency: float | None
    bandwidth: float | None


def frequencies(resolution: int = RESOLUTION) -> Tensor:
    """(R,) float64, ascending, 0 in the middle: the axes of `spectrum`."""
    if type(resolution) is not int or resolution < 3 or resolution % 2 == 0:
        raise ValueError(f"resolution must be an odd integer of at least 3, got {resolution!r}")
    return (torch.arange(resolution, dtype=torch.float64) - resolution // 2) / resolution


def spectrum(kernels_KChw: Tensor, resolution: int = RESOLUTION) -> Tensor:
    """Centred Fourier magnitude, (K, R, R) float64, of the kernels padded with zeros to R by R.

    Row and column R // 2 are frequency 0. Channels add up in energy: sqrt(sum of |F|²), so that the mean of the
    squares is the kernel's energy (Parseval). ValueError if `resolution` is even or smaller than the kernel.
    """
    axis_R = frequencies(resolution)
    if resolution < max(kernels_KChw.shape[-2:]):
        raise ValueError(f"resolution {resolution} is smaller than the kernel, {tuple(kernels_KChw.shape[-2:])}")
    height, width = kernels_KChw.shape[-2:]
    down_Rh, across_Rw = (_waves(axis_R, side) for side in (height, width))
    step = max(1, _AT_ONCE // (kernels_KChw.shape[1] * resolution**2))
    parts = []
    for part_KChw in kernels_KChw.detach().to("cpu", torch.complex128).split(step):
        parts.append((down_Rh @ part_KChw @ across_Rw.T).abs().square().sum(1).sqrt())
    return torch.cat(parts)


def magnitude_at(kernel_Chw: Tensor, fy_P: Tensor, fx_P: Tensor) -> Tensor:
    """The same magnitude at any P frequencies (fy, fx), (P,) float64."""
    height, width = kernel_Chw.shape[-2:]
    rows_CPw = _waves(fy_P, height) @ kernel_Chw.to(torch.complex128)
    return (rows_CPw * _waves(fx_P, width)).sum(-1).abs().square().sum(0).sqrt()


def orientations(spectrum_KRR: Tensor) -> tuple[Tensor, Tensor]:
    """Preferred orientation in degrees [0, 180), and selectivity in [0, 1], both (K,) float64.

    Both come from the mean of exp(2iθ) over the spectral energy (frequency 0 left out, it has no direction): the
    orientation is half its angle, the selectivity its length, which is 1 - circular variance (Batschelet 1981,
    Circular Statistics in Biology; Ringach, Shapley & Hawken 2002, J. Neurosci. 22(13)).
    """
    axis_R = frequencies(spectrum_KRR.shape[-1])
    angle_RR = 2 * torch.atan2(axis_R.unsqueeze(1), axis_R)
    energy_KRR = spectrum_KRR.square()
    middle = len(axis_R) // 2
    energy_KRR[:, middle, middle] = 0
    total_K = energy_KRR.sum((-2, -1)).clamp_min(torch.finfo(torch.float64).tiny)
    along_K = (energy_KRR * angle_RR.cos()).sum((-2, -1)) / total_K
    across_K = (energy_KRR * angle_RR.sin()).sum((-2, -1)) / total_K
    degrees_K = torch.atan2(across_K, along_K).rad2deg() / 2 % 180
    degrees_K = torch.where((180 - degrees_K) < 1e-9, 0.0, degrees_K)
    return degrees_K, torch.hypot(along_K, across_K)


def tuning(kernel_Chw: Tensor, spectrum_RR: Tensor) -> Tuning:
    """What one kernel prefers, from the kernel and its `spectrum`.

    orientation  degrees in [0, 180) as in `orientations`; None below the selectivity SELECTIVE (a delta, a Gaussian,
                 a cross) and for a kernel that answers most to a constant (it prefers no wave)
    selectivity  1 - circular variance, 0 to 1
    frequency    cycles per pixel at the highest point of the spectrum, to about 1e-4; 0 if that is the constant;
                 of equally high points the one nearest the orientation, then the lowest; None if all are equal
    bandwidth    octaves between the two frequencies through the peak, on the ray from 0, at which the magnitude is
                 half as high (De Valois, Albrecht & Thorell 1982, Vision Research 22(5)); None if one side has none
    """
    degrees_1, selectivity_1 = orientations(spectrum_RR.unsqueeze(0).clone())
    degrees, selectivity = float(degrees_1), float(selectivity_1)
    if spectrum_RR.max() - spectrum_RR.min() <= FLAT * spectrum_RR.max():
        return Tuning(None, selectivity, None, None)
    fy, fx = _peak(kernel_Chw, spectrum_RR, math.radians(degrees))
    frequency = math.hypot(fy, fx)
    if frequency < 1e-3:
        return Tuning(None, selectivity, 0.0, None)
    orientation = degrees if selectivity >= SELECTIVE else None
    return Tuning(orientation, selectivity, frequency, _bandwidth(kernel_Chw, fy, fx))


def _waves(frequency_P: Tensor, side: int) -> Tensor:
    place = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    return torch.exp(-2j * math.pi * torch.outer(frequency_P, place))


def _peak(kernel_Chw: Tensor, spectrum_RR: Tensor, angle: float) -> tuple[float, float]:
    """(fy, fx) of the highest point: the best sample, then ever finer grids of 5 by 5 about the best so far."""
    axis_R = frequencies(len(spectrum_RR))
    fy_P, fx_P = torch.meshgrid(axis_R, axis_R, indexing="ij")
    fy, fx = _best(spectrum_RR.flatten(), fy_P.flatten(), fx_P.flatten(), angle, FLAT)
    step = float(axis_R[1] - axis_R[0]) / 2
    for _ in range(12):
        offset_5 = torch.linspace(-2, 2, 5, dtype=torch.float64) * step
        fy_P, fx_P = torch.meshgrid((fy + offset_5).clamp(-0.5, 0.5), (fx + offset_5).clamp(-0.5, 0.5), indexing="ij")
        fy_P, fx_P = fy_P.flatten(), fx_P.flatten()
        fy, fx = _best(magnitude_at(kernel_Chw, fy_P, fx_P), fy_P, fx_P, angle, 1e-12)
        step /= 2
    return fy, fx


def _best(height_P: Tensor, fy_P: Tensor, fx_P: Tensor, angle: float, tie: float) -> tuple[float, float]:
    tied = (height_P >= height_P.max() * (1 - tie)).nonzero()[:, 0]
    fy_P, fx_P = fy_P[tied], fx_P[tied]
    radius_P = torch.hypot(fy_P, fx_P)
    away_P = (fy_P * math.cos(angle) - fx_P * math.sin(angle)).abs() / radius_P.clamp_min(1e-9)
    chosen = int((away_P.mul(1e6).round() + radius_P).argmin())
    return float(fy_P[chosen]), float(fx_P[chosen])


def _bandwidth(kernel_Chw: Tensor, fy: float, fx: float) -> float | None:
    frequency = math.hypot(fy, fx)
    end = 0.5 / max(abs(fy), abs(fx)) * frequency  # where the ray leaves the square of frequencies
    ray_P = torch.linspace(0, end, 2049, dtype=torch.float64)
    height_P = magnitude_at(kernel_Chw, ray_P * fy / frequency, ray_P * fx / frequency)
    half = float(magnitude_at(kernel_Chw, torch.tensor([fy]).double(), torch.tensor([fx]).double())) / 2
    low = ((height_P <= half) & (ray_P < frequency)).nonzero()
    high = ((height_P <= half) & (ray_P > frequency)).nonzero()
    if not len(low) or not len(high):
        return None
    below, above = int(low[-1]), int(high[0])
    lower = _crossing(ray_P[below : below + 2], height_P[below : below + 2], half)
    upper = _crossing(ray_P[above - 1 : above + 1], height_P[above - 1 : above + 1], half)
    return math.log2(upper / lower) if lower > 0 else None


def _crossing(place_2: Tensor, height_2: Tensor, level: float) -> float:
    share = (level - height_2[0]) / (height_2[1] - height_2[0])
    return float(place_2[0] + share * (place_2[1] - place_2[0]))
