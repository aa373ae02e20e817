"""Gabor kernels and quadrature pairs. n kernel side.

g(x, y) = exp(-(u² + aspect² v²) / (2 sigma²)) cos(2π u / wavelength + phase), u = x cos θ + y sin θ,
v = -x sin θ + y cos θ: Daugman 1985 (JOSA A 2(7)), Jones & Palmer 1987 (J. Neurophysiol. 58(6)). θ runs from
+x towards +y and is the direction in which the wave travels; lengths in pixels, phase in radians.

OpenCV's getGaborKernel((n, n), sigma, θ, wavelength, aspect, psi) is rotated by 180°, which is phase = -psi
here. scikit-image's gabor_kernel(1 / wavelength, θ, sigma_x=sigma, sigma_y=sigma / aspect, offset=phase).real
is g / (2π sigma_x sigma_y). Both: `zero_mean=False, normalise="peak"`.
"""

import math

import torch
from torch import Tensor

from cnnlab.filters.bank import FilterBank, joined
from cnnlab.filters.families import family
from cnnlab.filters.parameters import (
    MOST_ORIENTATIONS,
    choice,
    integer,
    number,
    numbers,
    odd,
    refuse,
    scale_names,
)
from cnnlab.filters.rotation import angle_names, angles, direction

_SOURCE = "Gabor functions, Daugman 1985; Jones & Palmer 1987"
SIGMA_PER_WAVELENGTH = math.sqrt(math.log(2) / 2) * 3 / math.pi  # half-amplitude bandwidth of one octave: 0.562


def coordinates(size: int, angle: float) -> tuple[Tensor, Tensor]:
    """(u, v), both (size, size) float64: along `angle` and a quarter turn on from it, 0 at the centre."""
    along = torch.arange(size, dtype=torch.float64) - size // 2
    y, x = torch.meshgrid(along, along, indexing="ij")
    cos, sin = direction(angle)
    return x * cos + y * sin, y * cos - x * sin


def wave_packet(
    size: int, wavelength: float, sigma: float, aspect: float, angle: float, phase: float, zero_mean: bool
) -> Tensor:
    """g of the header, (size, size) float64; `zero_mean` subtracts a multiple of the envelope to sum to 0."""
    u, v = coordinates(size, angle)
    envelope = torch.exp(-(u**2 + (aspect * v) ** 2) / (2 * sigma**2))
    wave = torch.cos(2 * math.pi * u / wavelength + phase)
    if zero_mean:
        wave = wave - (envelope * wave).sum() / envelope.sum()
    return envelope * wave


def grating_response(kernel_nn: Tensor, wavelength: float, angle: float) -> Tensor:
    """Amplitude of the kernel's response to a grating of amplitude 1 that travels along `angle`."""
    u, _ = coordinates(kernel_nn.shape[-1], angle)
    return torch.abs((kernel_nn * torch.exp(2j * math.pi * u / wavelength)).sum())


@family("Gabor kernels of one phase, at any wavelengths and orientations")
def gabor(
    *,
    wavelength: float | tuple[float, ...] = 4.0,
    orientations: int = 4,
    phase: float = 0.0,
    sigma: float | None = None,
    aspect: float = 1.0,
    size: int | None = None,
    zero_mean: bool = True,
    normalise: str = "l2",
) -> FilterBank:
    """Gabor kernels of one phase at θ_k = kπ/n: `gabor_t45`, or `gabor_w4_t45` for several wavelengths.

    `wavelength` in pixels, 2 to 100. `sigma` by default 0.562 wavelength (one octave), `size` odd, by
    default 2 ceil(3 sigma) + 1 (over min(aspect, 1)). Phase 0 is even with a bright middle, -π/2 is odd and
    responds positively to intensity that grows along θ. `zero_mean` keeps the response to a constant at 0.
    `normalise`: "l2", "l1", "grating" (amplitude 1 on its own wave) or "peak" (envelope 1 in the middle: g
    itself).
    """
    phase = number("gabor", "phase", phase)
    named = [("", phase)]
    return _packets("gabor", wavelength, orientations, named, sigma, aspect, size, zero_mean, normalise)


@family("Gabor pairs (even, odd) whose norm is the local energy")
def quadrature(
    *,
    wavelength: float | tuple[float, ...] = 4.0,
    orientations: int = 4,
    sigma: float | None = None,
    aspect: float = 1.0,
    size: int | None = None,
    normalise: str = "grating",
) -> FilterBank:
    """Pairs of Gabor kernels (even, odd), each pair a vector: `quadrature_t45_even`, `quadrature_t45_odd`.

    Phases 0 and -π/2, both of mean zero; the other parameters as in `gabor`. Normalised by "grating", the
    norm of a pair's responses to its own wave is exactly the wave's amplitude, whatever its phase (local
    energy: Adelson & Bergen 1985, JOSA A 2(2)).
    """
    named = [("_even", 0.0), ("_odd", -math.pi / 2)]
    return _packets("quadrature", wavelength, orientations, named, sigma, aspect, size, True, normalise)


def _packets(
    family: str,
    wavelength: float | tuple[float, ...],
    orientations: int,
    phases: list[tuple[str, float]],
    sigma: float | None,
    aspect: float,
    size: int | None,
    zero_mean: bool,
    normalise: str,
) -> FilterBank:
    waves = numbers(family, "wavelength", wavelength, 2.0, 100.0)
    integer(family, "orientations", orientations, 1, MOST_ORIENTATIONS)
    number(family, "aspect", aspect, 0.1, 10.0)
    choice(family, "zero_mean", zero_mean, (True, False))
    choice(family, "normalise", normalise, ("grating", "l2", "l1", "peak"))
    banks = []
    for wave, first in zip(waves, scale_names(family, "w", waves), strict=True):
        width = SIGMA_PER_WAVELENGTH * wave if sigma is None else number(family, "sigma", sigma, 0.1, 100.0)
        reach = 2 * math.ceil(3 * width / min(aspect, 1.0)) + 1
        side = odd(family, "size", reach if size is None else size, least=3)
        kernels, names = [], []
        for angle, name in zip(angles(orientations), angle_names(orientations), strict=True):
            for ending, phase in phases:
                packet = wave_packet(side, wave, width, aspect, angle, phase, zero_mean)
                kernels.append(_normalised(family, packet, wave, angle, normalise))
                names.append(f"{first}_{name}{ending}")
        vectors = [(index, index + 1) for index in range(0, len(names), 2)] if len(phases) == 2 else []
        banks.append(FilterBank(torch.stack(kernels).unsqueeze(1), tuple(names), _SOURCE, tuple(vectors)))
    return joined(banks)


def _normalised(family: str, packet_nn: Tensor, wavelength: float, angle: float, normalise: str) -> Tensor:
    if packet_nn.abs().max() < 1e-9 or grating_response(packet_nn, wavelength, angle) < 1e-9:
        refuse(
            family,
            "wavelength",
            wavelength,
            "one whose kernel is not 0 on the pixel grid (above 2, sigma not far below 1)",
        )
    if normalise == "peak":
        return packet_nn
    if normalise == "grating":
        return packet_nn / grating_response(packet_nn, wavelength, angle)
    return packet_nn / torch.linalg.vector_norm(packet_nn, ord=2 if normalise == "l2" else 1)
