"""Which analytic kernel a learned one is, and whether that says anything. K kernels, C channels, h by w sides, N = hw.

A kernel is compared by its cosine, which neither scale nor a common factor changes; cosine² is R², the fraction of its
energy that the match holds (about 0, not about the mean). Every kernel resembles something, and a small one resembles
it well: three by three pixels have nine numbers, and a Gabor function with a free centre holds 86 % of a random
one. So each match comes with what random kernels of that size reach by the same search, and small kernels
(a side below SMALLEST) are compared with the classical stencils alone, which is all their pixels can tell apart.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor

from cnnlab._parallel import torch_threads
from cnnlab.filters.analysis.dictionary import dictionary
from cnnlab.filters.analysis.properties import principal_maps
from cnnlab.filters.analysis.shapes import FREE_GABOR, SHAPES, Fit, Shape, fit, fits, units

SMALLEST = 5  # pixels: from this side on there are shapes with a scale of their own
RANDOM_KERNELS = 300  # of the null
SMALL_RANDOM_KERNELS = 4000  # of the null of small kernels, where they cost nothing
STARTS, GABOR_STARTS = 2, 4  # of the search for a shape: in `identify`, in `fit_gabor`
_FAMILIES = {
    "gaussian": "smoothing",
    "gaussian_d1": "gaussian derivative",
    "gaussian_d2": "gaussian derivative",
    "gaussian_saddle": "gaussian derivative",
    "log": "laplacian",
    "gabor": "gabor",
}
_EXACT = 1e-9  # a fraction of energy left below this is rounding (of float32 weights)


@dataclass(frozen=True)
class Match:
    """The best match of one kernel; None where the family has no such parameter (or the kernel is zero).

    family, name   such as "derivative", "sobel"; "gabor", "gabor"; "none" for a kernel of zeros
    orientation    degrees. First derivatives: [0, 360), where growing intensity responds positively. Others: [0, 180),
                   of a saddle where the curvature responds positively (dxy is the one at 45°)
    sigma, wavelength, aspect, phase   pixels, pixels, -, degrees in (-180, 180], as in `gabor.py`
    centre         (y, x) in pixels from the kernel's middle, for Gabor functions off it
    sign           1 or -1: the kernel is that times the named one; 1 where orientation or phase tell
    cosine, r2     of the kernel with its match, 0 to 1
    null_mean, null_95   mean and 95th percentile of the cosine that random kernels of the size reach
    chance         fraction of random kernels that reach this cosine, itself counted with them
    significant    cosine above null_95. In a layer of K kernels about K / 20 are so by chance
    """

    family: str
    name: str
    cosine: float
    r2: float
    null_mean: float
    null_95: float
    chance: float
    significant: bool
    orientation: float | None = None
    sigma: float | None = None
    wavelength: float | None = None
    aspect: float | None = None
    phase: float | None = None
    centre: tuple[float, float] | None = None
    sign: int = 1


class _Parameters(TypedDict, total=False):
    """Those of `Match` that the family has."""

    orientation: float
    sigma: float
    wavelength: float
    aspect: float
    phase: float
    centre: tuple[float, float]
    sign: int


class _Best(NamedTuple):
    family: str
    name: str
    cosine: float
    parameters: _Parameters


_ZERO = _Best("none", "zero", 0.0, {})


@dataclass(frozen=True)
class GaborFit:
    """amplitude * exp(-(u² + aspect² v²) / (2 sigma²)) cos(2π u / wavelength + phase) about `centre` (`gabor.py`).

    `orientation` degrees [0, 180), `phase` degrees (-180, 180], lengths in pixels, `frequency` = 1 / wavelength.
    """

    amplitude: float
    orientation: float
    wavelength: float
    frequency: float
    sigma: float
    aspect: float
    phase: float
    centre: tuple[float, float]
    r2: float


@torch_threads(1)
def identify(kernels_KChw: Tensor) -> list[Match]:
    """Which classical or analytic kernel each kernel is, and whether a random one would look as much like it.

    Args:
        kernels_KChw: K kernels of C channels, such as `conv.weight`; those of several channels are compared by their
            principal map. Neither scale nor sign matters.

    Returns:
        One `Match` per kernel. "sobel", "laplacian" and other classical kernels, and from 5 x 5 pixels on Gaussian
        derivatives and Gabor functions of any scale and direction (degrees, from +x towards +y).

    Raises:
        UsageError: The kernels are not (K, C, h, w), empty or not finite.

    Of all matches the one with the lowest log(1 - R²) + k log N / (N - k - 2) wins, k the numbers its family chooses
    freely (Schwarz's criterion for small samples: McQuarrie 1999, Stat. Probab. Lett. 44(1)): a Sobel kernel is a
    Sobel kernel, though a Gabor function comes close to it. The first call for a size draws its null: half a
    second for 7 x 7, two seconds for 16 x 16.

    >>> from cnnlab.filters import bank
    >>> match = identify(3 * bank("sobel[dx]").kernels)[0]
    >>> match.name, match.orientation, match.significant
    ('sobel', 0.0, True)
    """
    maps_Khw, _ = principal_maps(kernels_KChw)
    alive_K, unit_Lhw, _ = units(maps_Khw)
    return _matches(alive_K, _search(unit_Lhw), *maps_Khw.shape[-2:])


@torch_threads(1)
def identify_and_fit(kernels_KChw: Tensor) -> tuple[list[Match], list[GaborFit | None]]:
    """`identify` and `fit_gabor` for the price of little more than one of them."""
    maps_Khw, _ = principal_maps(kernels_KChw)
    alive_K, unit_Lhw, scale_L = units(maps_Khw)
    if not len(unit_Lhw):
        return _matches(alive_K, [], *maps_Khw.shape[-2:]), [None] * len(alive_K)
    few, many = fits(FREE_GABOR, unit_Lhw, (STARTS, GABOR_STARTS))
    return _matches(alive_K, _search(unit_Lhw, few), *maps_Khw.shape[-2:]), _gabor_fits(alive_K, many, scale_L)


def _matches(alive_K: Tensor, found: Sequence[_Best], height: int, width: int) -> list[Match]:
    null_R = _null_cosines(height, width)
    mean, high = null(height, width)
    best = iter(found)
    matches = []
    for family, name, cosine, parameters in (next(best) if lives else _ZERO for lives in alive_K.tolist()):
        chance = (1 + int((null_R >= cosine).sum())) / (1 + len(null_R))
        significant = cosine > high + 1e-9
        matches.append(Match(family, name, cosine, cosine**2, mean, high, chance, significant, **parameters))
    return matches


def null(height: int, width: int) -> tuple[float, float]:
    """(mean, 95th percentile) of the cosine that random kernels reach in `identify`.

    RANDOM_KERNELS kernels (SMALL_RANDOM_KERNELS below SMALLEST) of independent normal weights, seeded by their size:
    the same numbers each time. Trained kernels are smoother than that, so this is the least a match must beat.
    """
    null_R = _null_cosines(height, width)
    return float(null_R.mean()), float(null_R.quantile(0.95))


@torch_threads(1)
def fit_gabor(kernels_KChw: Tensor) -> list[GaborFit | None]:
    """The Gabor function nearest to each kernel's principal map in least squares; None for a kernel of zeros.

    Amplitude and phase are solved for exactly; orientation, wavelength, sigma, aspect and centre are searched from the
    best points of a grid, within the bounds of `shapes.fit`. Of random 3 x 3 kernels it holds 86 %: look at
    `identify` before calling a small kernel a Gabor function. Phase and centre trade against each other where the
    envelope is wide.
    """
    alive_K, unit_Lhw, scale_L = units(principal_maps(kernels_KChw)[0])
    if not len(unit_Lhw):
        return [None] * len(alive_K)
    return _gabor_fits(alive_K, fit(FREE_GABOR, unit_Lhw, GABOR_STARTS), scale_L)


def _gabor_fits(alive_K: Tensor, fitted: Fit, scale_L: Tensor) -> list[GaborFit | None]:
    rows = zip(
        fitted.parameters.tolist(), fitted.coefficients.tolist(), fitted.r2.tolist(), scale_L.tolist(), strict=True
    )
    return [_gabor_fit(*next(rows)) if lives else None for lives in alive_K.tolist()]


def _gabor_fit(parameters: list[float], coefficients: list[float], r2: float, scale: float) -> GaborFit:
    named = _named(FREE_GABOR, parameters, coefficients)
    return GaborFit(
        amplitude=math.hypot(*coefficients) * scale,
        orientation=named["orientation"],
        wavelength=named["wavelength"],
        frequency=1 / named["wavelength"],
        sigma=named["sigma"],
        aspect=named["aspect"],
        phase=named["phase"],
        centre=named["centre"],
        r2=min(1.0, max(0.0, r2)),
    )


@cache
@torch_threads(1)
def _null_cosines(height: int, width: int) -> Tensor:
    """(R,) ascending."""
    generator = torch.Generator().manual_seed(1000 * height + width)
    count = RANDOM_KERNELS if min(height, width) >= SMALLEST else SMALL_RANDOM_KERNELS
    random_Rhw = torch.randn(count, height, width, generator=generator, dtype=torch.float64)
    return torch.tensor([best.cosine for best in _search(units(random_Rhw)[1])], dtype=torch.float64).sort().values


def _search(unit_Khw: Tensor, free_gabor: Fit | None = None) -> list[_Best]:
    """The match of each kernel, all of them of norm 1; `free_gabor`: the fit of FREE_GABOR, if it is there."""
    height, width = unit_Khw.shape[-2:]
    entries = dictionary(height, width)
    parts = [unit_Khw.flatten(1) @ entry.span_LN.T for entry in entries]
    shapes = SHAPES if min(height, width) >= SMALLEST and len(unit_Khw) else ()
    fitted = [free_gabor if shape is FREE_GABOR and free_gabor else fit(shape, unit_Khw, STARTS) for shape in shapes]
    r2_KF = torch.stack([part_KL.square().sum(1) for part_KL in parts] + [each.r2 for each in fitted], dim=1)
    freedom_F = torch.tensor([len(entry.span_LN) for entry in entries] + [shape.freedom for shape in shapes])
    best = []
    for kernel, index in enumerate(_scores(r2_KF, freedom_F, height * width).argmin(1).tolist()):
        cosine = float(r2_KF[kernel, index].clamp(0, 1).sqrt())
        if index < len(entries):
            entry = entries[index]
            best.append(_Best(entry.family, entry.name, cosine, _direction(parts[index][kernel].tolist())))
        else:
            shape, each = shapes[index - len(entries)], fitted[index - len(entries)]
            named = _named(shape, each.parameters[kernel].tolist(), each.coefficients[kernel].tolist())
            best.append(_Best(_FAMILIES[shape.name], shape.name, cosine, named))
    return best


def _scores(r2_KF: Tensor, freedom_F: Tensor, pixels: int) -> Tensor:
    """(K, F), the lowest is the best (see `identify`)."""
    price_F = math.log(pixels) * freedom_F / (pixels - freedom_F - 2).clamp_min(1)
    return (1 - r2_KF).clamp_min(_EXACT).log() + price_F


def _direction(coefficients: list[float]) -> _Parameters:
    """Of a single kernel its sign; of a gradient (dy, dx) the direction it points in."""
    if len(coefficients) == 1:
        return {"sign": -1 if coefficients[0] < 0 else 1}
    return {"orientation": _wrapped(math.degrees(math.atan2(*coefficients)), 360)}


def _named(shape: Shape, parameters: list[float], coefficients: list[float]) -> _Parameters:
    """A fit in the words of `Match`."""
    values = dict(zip(shape.parameters, parameters, strict=True))
    named: _Parameters = {"sigma": math.exp(values["sigma"])}
    if shape.name == "gabor":
        return {**named, **_wave(values, coefficients)}
    if shape.name == "gaussian_saddle":
        return {**named, "orientation": _wrapped(math.degrees(math.atan2(*coefficients[::-1])) / 2, 180)}
    if "angle" in values:
        named["orientation"] = _wrapped(math.degrees(values["angle"]), 180)
    return {**named, **_direction(coefficients)}


def _wave(values: dict[str, float], coefficients: list[float]) -> _Parameters:
    """Of a Gabor function. Half a turn of its direction is the other sign of its phase."""
    halves = math.floor(values["angle"] / math.pi)
    phase = math.degrees(math.atan2(-coefficients[1], coefficients[0])) * (-1 if halves % 2 else 1)
    wave: _Parameters = {
        "orientation": _wrapped(math.degrees(values["angle"]), 180),
        "wavelength": math.exp(values["wavelength"]),
        "aspect": math.exp(values["aspect"]),
        "phase": 180.0 if phase == -180 else phase,
    }
    return {**wave, "centre": (values["y"], values["x"])} if "y" in values else wave


def _wrapped(degrees: float, period: int) -> float:
    """The angle from 0 up to the period, which itself is 0 (also where only rounding keeps it from that)."""
    angle = degrees % period
    return 0.0 if period - angle < 1e-9 else angle
