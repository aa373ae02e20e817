"""Spectra of kernels. K kernels, C channels, h by w kernel sides, R frequencies on each axis, P points
(frequencies) in the plane.

Frequencies are in cycles per pixel, from -1/2 to 1/2 on each axis; a direction θ is that of the wave vector,
from +x towards +y (down). Energies of a kernel's channels add up, so that a kernel which responds to colours
has the spectrum of its spatial shape whatever the colours are.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from cnnlab._choices import UsageError

RESOLUTION = 65  # odd: zero has a middle, and no sample lies on the Nyquist frequency, whose sign is undefined
SELECTIVE = 0.05  # a kernel less selective than this has no preferred orientation
FLAT = 1e-6  # spectra whose relative range is smaller, and peaks whose relative heights differ less, are the same
CONSTANT = 1e-3  # cycles per pixel: a peak below is at the constant
_RAY = 2049  # points along the ray through the peak
_AT_ONCE = 2**22  # complex numbers in memory


class Tuning(NamedTuple):
    """What a kernel prefers; None where it prefers nothing (units and definitions in `tunings`)."""

    orientation: float | None
    selectivity: float
    frequency: float | None
    bandwidth: float | None


def frequencies(resolution: int = RESOLUTION) -> Tensor:
    """(R,) float64, ascending, 0 in the middle: the axes of `spectrum`."""
    if type(resolution) is not int or resolution < 3 or resolution % 2 == 0:
        raise UsageError(f"resolution must be an odd integer of at least 3, got {resolution!r}")
    return (torch.arange(resolution, dtype=torch.float64) - resolution // 2) / resolution


def spectrum(kernels_KChw: Tensor, resolution: int = RESOLUTION) -> Tensor:
    """Centred Fourier magnitude, (K, R, R) float64, of the kernels padded with zeros to R by R.

    Row and column R // 2 are frequency 0. Channels add up in energy: sqrt(sum of |F|²), so that the mean of the
    squares is the kernel's energy (Parseval). UsageError if `resolution` is even or smaller than the kernel.
    """
    axis_R = frequencies(resolution)
    if resolution < max(kernels_KChw.shape[-2:]):
        raise UsageError(f"resolution {resolution} is smaller than the kernel, {tuple(kernels_KChw.shape[-2:])}")
    height, width = kernels_KChw.shape[-2:]
    down_Rh, across_Rw = (_waves(axis_R, side) for side in (height, width))
    step = max(1, _AT_ONCE // (kernels_KChw.shape[1] * resolution**2))
    parts = []
    for part_KChw in kernels_KChw.detach().to("cpu", torch.complex128).split(step):
        parts.append((down_Rh @ part_KChw @ across_Rw.T).abs().square().sum(1).sqrt())
    return torch.cat(parts)


def magnitude_at(kernel_Chw: Tensor, fy_P: Tensor, fx_P: Tensor) -> Tensor:
    """The same magnitude at any P frequencies (fy, fx), (P,) float64; of many kernels (K, C, h, w) at (K, P) each."""
    height, width = kernel_Chw.shape[-2:]
    rows_CPw = _waves(fy_P, height).unsqueeze(-3) @ kernel_Chw.to(torch.complex128)
    return (rows_CPw * _waves(fx_P, width).unsqueeze(-3)).sum(-1).abs().square().sum(-2).sqrt()


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


def tunings(kernels_KChw: Tensor, spectra_KRR: Tensor) -> list[Tuning]:
    """What each kernel prefers, from the kernels and their `spectrum`.

    orientation  degrees in [0, 180) as in `orientations`; None below the selectivity SELECTIVE (a delta, a Gaussian,
                 a cross) and for a kernel that responds most to a constant (it prefers no wave)
    selectivity  1 - circular variance, 0 to 1
    frequency    cycles per pixel at the highest point of the spectrum, to about 1e-4; 0 if that is the constant;
                 of equally high points the one nearest the orientation, then the lowest; None if all are equal
    bandwidth    octaves between the two frequencies through the peak, on the ray from 0, at which the magnitude is
                 half as high (De Valois, Albrecht & Thorell 1982, Vision Research 22(5)); None if one side has none
    """
    channels, (height, width) = kernels_KChw.shape[1], kernels_KChw.shape[-2:]
    step = max(1, _AT_ONCE // (channels * _RAY * (height + width)))
    parts = zip(kernels_KChw.split(step), spectra_KRR.split(step), strict=True)
    return [tuning for kernels, spectra in parts for tuning in _tunings(kernels, spectra)]


def _tunings(kernels_KChw: Tensor, spectra_KRR: Tensor) -> list[Tuning]:
    degrees_K, selectivity_K = orientations(spectra_KRR.clone())
    high_K, low_K = spectra_KRR.amax((1, 2)), spectra_KRR.amin((1, 2))
    fy_K, fx_K = _peaks(kernels_KChw, spectra_KRR, degrees_K.deg2rad())
    frequency_K = torch.hypot(fy_K, fx_K)
    bandwidths = _bandwidths(kernels_KChw, fy_K, fx_K)
    tuned = []
    for flat, degrees, selectivity, frequency, bandwidth in zip(
        (high_K - low_K <= FLAT * high_K).tolist(), degrees_K.tolist(), selectivity_K.tolist(), frequency_K.tolist(),
        bandwidths, strict=True,
    ):  # fmt: skip
        if flat:
            tuned.append(Tuning(None, selectivity, None, None))
        elif frequency < CONSTANT:
            tuned.append(Tuning(None, selectivity, 0.0, None))
        else:
            tuned.append(Tuning(degrees if selectivity >= SELECTIVE else None, selectivity, frequency, bandwidth))
    return tuned


def _waves(frequency_P: Tensor, side: int) -> Tensor:
    place = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    phase_Pn = -2 * math.pi * frequency_P.unsqueeze(-1) * place
    return torch.polar(torch.ones_like(phase_Pn), phase_Pn)  # as exp(i phase), in half the time


def _peaks(kernels_KChw: Tensor, spectra_KRR: Tensor, angle_K: Tensor) -> tuple[Tensor, Tensor]:
    """(fy, fx) of the highest points: the best sample, then ever finer grids of 5 by 5 about the best so far."""
    axis_R = frequencies(spectra_KRR.shape[-1])
    fy_P, fx_P = (axis.flatten().unsqueeze(0) for axis in torch.meshgrid(axis_R, axis_R, indexing="ij"))
    fy_K, fx_K = _best(spectra_KRR.flatten(1), fy_P, fx_P, angle_K, FLAT)
    step = float(axis_R[1] - axis_R[0]) / 2
    offset_5 = torch.linspace(-2, 2, 5, dtype=torch.float64)
    down_P, across_P = (axis.flatten() for axis in torch.meshgrid(offset_5, offset_5, indexing="ij"))
    for _ in range(12):
        fy_KP = (fy_K.unsqueeze(1) + step * down_P).clamp(-0.5, 0.5)
        fx_KP = (fx_K.unsqueeze(1) + step * across_P).clamp(-0.5, 0.5)
        fy_K, fx_K = _best(magnitude_at(kernels_KChw, fy_KP, fx_KP), fy_KP, fx_KP, angle_K, 1e-12)
        step /= 2
    return fy_K, fx_K


def _best(height_KP: Tensor, fy_KP: Tensor, fx_KP: Tensor, angle_K: Tensor, tie: float) -> tuple[Tensor, Tensor]:
    radius_KP = torch.hypot(fy_KP, fx_KP)
    across_KP = fy_KP * angle_K.cos().unsqueeze(1) - fx_KP * angle_K.sin().unsqueeze(1)
    away_KP = across_KP.abs() / radius_KP.clamp_min(1e-9)
    tied_KP = height_KP >= height_KP.amax(1, keepdim=True) * (1 - tie)
    chosen_K1 = torch.where(tied_KP, away_KP.mul(1e6).round() + radius_KP, torch.inf).argmin(1, keepdim=True)
    fy_K, fx_K = (axis_KP.expand_as(height_KP).gather(1, chosen_K1)[:, 0] for axis_KP in (fy_KP, fx_KP))
    return fy_K, fx_K


def _bandwidths(kernels_KChw: Tensor, fy_K: Tensor, fx_K: Tensor) -> list[float | None]:
    frequency_K = torch.hypot(fy_K, fx_K).clamp_min(torch.finfo(torch.float64).tiny)
    # where the ray leaves the square of frequencies
    end_K = 0.5 / torch.maximum(fy_K.abs(), fx_K.abs()).clamp_min(1e-9) * frequency_K
    ray_KP = end_K.unsqueeze(1) * torch.linspace(0, 1, _RAY, dtype=torch.float64)
    fy_KP, fx_KP = (ray_KP * (one_K / frequency_K).unsqueeze(1) for one_K in (fy_K, fx_K))
    height_KP = magnitude_at(kernels_KChw, fy_KP, fx_KP)
    half_K1 = magnitude_at(kernels_KChw, fy_K.unsqueeze(1), fx_K.unsqueeze(1)) / 2
    rows = zip(ray_KP, height_KP, half_K1[:, 0].tolist(), frequency_K.tolist(), strict=True)
    return [_bandwidth(ray_P, height_P, half, frequency) for ray_P, height_P, half, frequency in rows]


def _bandwidth(ray_P: Tensor, height_P: Tensor, half: float, frequency: float) -> float | None:
    low = ((height_P <= half) & (ray_P < frequency)).nonzero()
    high = ((height_P <= half) & (ray_P > frequency)).nonzero()
    if not len(low) or not len(high):
        return None
    below, above = int(low[-1]), int(high[0])
    lower = _crossing(ray_P[below : below + 2], height_P[below : below + 2], half)
    upper = _crossing(ray_P[above - 1 : above + 1], height_P[above - 1 : above + 1], half)
    return math.log2(upper / lower) if lower > 0 else None


def _crossing(place_2: Tensor, height_2: Tensor, level: float) -> float:
    fraction = (level - height_2[0]) / (height_2[1] - height_2[0])
    return float(place_2[0] + fraction * (place_2[1] - place_2[0]))
