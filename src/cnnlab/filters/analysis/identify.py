"""Which analytic kernel a learned one is, and whether that says anything. K kernels, C channels, h by w sides, N = hw.

A kernel is compared by its cosine, which neither scale nor a common factor changes; cosine² is R², the share of its
energy that the match holds (about 0, not about the mean). Every kernel resembles something, and a small one resembles
it well: three by three pixels have nine numbers, and a Gabor function with a free centre holds 86 % of a random
one. So each match comes with what random kernels of that size reach by the same search, and small kernels
(a side below SMALLEST) are compared with the classical stencils alone, which is all their pixels can tell apart.
"""

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from cnnlab._parallel import torch_threads
from cnnlab.filters.analysis.dictionary import dictionary
from cnnlab.filters.analysis.properties import principal_maps
from cnnlab.filters.analysis.shapes import FREE_GABOR, GABOR, GAUSSIAN, GAUSSIAN_1, GAUSSIAN_2, LOG, SADDLE, Shape, fit

SMALLEST = 5  # pixels: from this side on there are shapes with a scale of their own
RANDOM_KERNELS = 300  # of the null
SMALL_RANDOM_KERNELS = 4000  # of the null of small kernels, where they cost nothing
_FAMILIES = {
    "gaussian": "smoothing",
    "gaussian_d1": "gaussian derivative",
    "gaussian_d2": "gaussian derivative",
    "gaussian_saddle": "gaussian derivative",
    "log": "laplacian",
    "gabor": "gabor",
}
_SHAPES = (GAUSSIAN, GAUSSIAN_1, GAUSSIAN_2, SADDLE, LOG, GABOR, FREE_GABOR)
_EXACT = 1e-9  # a share of energy left below this is rounding (of float32 weights)


@dataclass(frozen=True)
class Match:
    """The best match of one kernel; None where the family has no such parameter (or the kernel is zero).

    family, name   such as "derivative", "sobel"; "gabor", "gabor"; "none" for a kernel of zeros
    orientation    degrees. First derivatives: [0, 360), where growing intensity answers positively. Others: [0, 180),
                   of a saddle where the curvature answers positively (dxy is the one at 45°)
    sigma, wavelength, aspect, phase   pixels, pixels, -, degrees in (-180, 180], as in `gabor.py`
    centre         (y, x) in pixels from the kernel's middle, for Gabor functions off it
    sign           1 or -1: the kernel is that times the named one; 1 where orientation or phase tell
    cosine, r2     of the kernel with its match, 0 to 1
    null_mean, null_95   mean and 95th percentile of the cosine that random kernels of the size reach
    chance         share of random kernels that reach this cosine, itself counted with them
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
    """The best match of each kernel. Kernels of several channels are compared by their principal map.

    Of all matches the one with the lowest log(1 - R²) + k log N / (N - k - 2) wins, k the numbers its family chooses
    freely (Schwarz's criterion for small samples: McQuarrie 1999, Stat. Probab. Lett. 44(1)): a Sobel kernel is a
    Sobel kernel, though a Gabor function comes close to it. The first call for a size draws its null: half a
    second for 7 x 7, two seconds for 16 x 16. ValueError as in `properties`.
    """
    maps_Khw, _ = principal_maps(kernels_KChw)
    alive = maps_Khw.flatten(1).any(1)
    size = tuple(maps_Khw.shape[-2:])
    null_R = _null_cosines(*size)
    mean, high = float(null_R.mean()), float(null_R.quantile(0.95))
    found = iter(_search(maps_Khw[alive]) if alive.any() else [])
    matches = []
    for lives in alive.tolist():
        given = next(found) if lives else {"family": "none", "name": "zero", "cosine": 0.0}
        cosine = given["cosine"]
        beyond = (1 + int((null_R >= cosine).sum())) / (1 + len(null_R))
        null = {"null_mean": mean, "null_95": high, "chance": beyond, "significant": cosine > high + 1e-9}
        matches.append(Match(**given, r2=cosine**2, **null))
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
    maps_Khw, _ = principal_maps(kernels_KChw)
    alive = maps_Khw.flatten(1).any(1)
    if not alive.any():
        return [None] * len(maps_Khw)
    scale_K = maps_Khw.abs().amax((1, 2))
    fits = fit(FREE_GABOR, maps_Khw[alive] / scale_K[alive, None, None])
    rows = zip(fits.parameters.tolist(), fits.coefficients.tolist(), fits.r2.tolist(), strict=True)
    results = iter(rows)
    return [_gabor_fit(*next(results), scale) if scale > 0 else None for scale in scale_K.tolist()]


def _gabor_fit(parameters: list[float], coefficients: list[float], r2: float, scale: float) -> GaborFit:
    named = _named(FREE_GABOR, parameters, coefficients)
    amplitude = math.hypot(*coefficients) * scale
    named.pop("sign")
    return GaborFit(amplitude=amplitude, frequency=1 / named["wavelength"], r2=min(1.0, max(0.0, r2)), **named)


@cache
@torch_threads(1)
def _null_cosines(height: int, width: int) -> Tensor:
    """(R,) ascending."""
    generator = torch.Generator().manual_seed(1000 * height + width)
    count = RANDOM_KERNELS if min(height, width) >= SMALLEST else SMALL_RANDOM_KERNELS
    random_Rhw = torch.randn(count, height, width, generator=generator, dtype=torch.float64)
    return torch.tensor([found["cosine"] for found in _search(random_Rhw)], dtype=torch.float64).sort().values


def _search(kernels_Khw: Tensor) -> list[dict]:
    """Family, name, parameters and cosine of each kernel's match; no kernel is zero."""
    kernels_Khw = kernels_Khw / torch.linalg.vector_norm(
        kernels_Khw / kernels_Khw.abs().amax((1, 2), keepdim=True), dim=(1, 2), keepdim=True
    )
    kernels_Khw = kernels_Khw / torch.linalg.vector_norm(kernels_Khw, dim=(1, 2), keepdim=True)
    height, width = kernels_Khw.shape[-2:]
    entries = dictionary(height, width)
    parts = [kernels_Khw.flatten(1) @ entry.span_LN.T for entry in entries]
    shapes = _SHAPES if min(height, width) >= SMALLEST else ()
    fits = [fit(shape, kernels_Khw, starts=2) for shape in shapes]
    r2_KF = torch.stack([part_KL.square().sum(1) for part_KL in parts] + [one.r2 for one in fits], dim=1)
    freedom_F = torch.tensor([len(entry.span_LN) for entry in entries] + [shape.freedom for shape in shapes])
    pixels = height * width
    price_F = math.log(pixels) * freedom_F / (pixels - freedom_F - 2).clamp_min(1)
    score_KF = (1 - r2_KF).clamp_min(_EXACT).log() + price_F
    found = []
    for kernel, best in enumerate(score_KF.argmin(1).tolist()):
        if best < len(entries):
            entry = entries[best]
            given = {"family": entry.family, "name": entry.name, **_direction(parts[best][kernel].tolist())}
        else:
            shape, one = shapes[best - len(entries)], fits[best - len(entries)]
            named = _named(shape, one.parameters[kernel].tolist(), one.coefficients[kernel].tolist())
            given = {"family": _FAMILIES[shape.name], "name": shape.name, **named}
        found.append({**given, "cosine": float(r2_KF[kernel, best].clamp(0, 1).sqrt())})
    return found


def _direction(coefficients: list[float]) -> dict[str, float | int]:
    """Of a single kernel its sign; of a gradient (dy, dx) the direction it points in."""
    if len(coefficients) == 1:
        return {"sign": -1 if coefficients[0] < 0 else 1}
    return {"orientation": _turned(math.degrees(math.atan2(*coefficients)), 360)}


def _named(shape: Shape, parameters: list[float], coefficients: list[float]) -> dict:
    """A fit in the words of `Match`."""
    values = dict(zip(shape.parameters, parameters, strict=True))
    named: dict = {key: math.exp(values[key]) for key in ("sigma", "wavelength", "aspect") if key in values}
    if "y" in values:
        named["centre"] = (values["y"], values["x"])
    if shape.name == "gaussian_saddle":
        return {**named, "orientation": _turned(math.degrees(math.atan2(*coefficients[::-1])) / 2, 180), "sign": 1}
    if shape.name != "gabor":
        if "angle" in values:
            named["orientation"] = _turned(math.degrees(values["angle"]), 180)
        return {**named, **_direction(coefficients)}
    halves = math.floor(values["angle"] / math.pi)
    phase = math.degrees(math.atan2(-coefficients[1], coefficients[0])) * (-1 if halves % 2 else 1)
    named["orientation"] = _turned(math.degrees(values["angle"]), 180)
    return {**named, "phase": 180.0 if phase == -180 else phase, "sign": 1}


def _turned(degrees: float, period: int) -> float:
    """The angle from 0 up to the period, which itself is 0 (also where only rounding keeps it from that)."""
    angle = degrees % period
    return 0.0 if period - angle < 1e-9 else angle
