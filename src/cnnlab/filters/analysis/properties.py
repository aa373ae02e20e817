"""What each kernel is like, in plain numbers. K kernels, C channels, h by w kernel sides.

Everything that is an energy adds up over the channels. What needs one matrix (separability and rank) is taken of the
kernel's principal map: its best approximation by one spatial map times one colour, from the singular value
decomposition of its C by hw matrix. `channel_fraction` says how much of the kernel that map holds; for one channel
the map is the kernel itself.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab._parallel import torch_threads
from cnnlab.filters.analysis.spectrum import RESOLUTION, Tuning, spectrum, tunings

RANK_TOLERANCE = 1e-5  # singular values below this fraction of the first are rounding, of float32 weights too


@dataclass(frozen=True)
class KernelProperties:
    """One row of the table. Fractions are of the kernel's energy, 0 to 1; None where a kernel has no such thing.

    norm              Euclidean, over all channels
    dc_fraction       energy that is constant over each channel: (sum)² / hw, 1 for a box, 0 for a derivative
    colour_fraction   energy that a grey image doesn't see: 1 minus that of the mean over the channels; 0 for C = 1
    channel_fraction  energy of the principal map (see above), 1 for C = 1
    separability      s1² / sum of s² of the principal map; 1 for an outer product of two vectors
    rank              singular values of the principal map above RANK_TOLERANCE times the first
    symmetric, antisymmetric   energies of (k ± k rotated by 180°) / 2; they sum to 1
    orientation, selectivity, frequency, bandwidth   degrees, -, cycles per pixel, octaves: `spectrum.tunings`
    """

    norm: float
    dc_fraction: float | None = None
    colour_fraction: float | None = None
    channel_fraction: float | None = None
    separability: float | None = None
    rank: int = 0
    symmetric: float | None = None
    antisymmetric: float | None = None
    orientation: float | None = None
    selectivity: float | None = None
    frequency: float | None = None
    bandwidth: float | None = None


@torch_threads(1)
def properties(kernels_KChw: Tensor, resolution: int = RESOLUTION) -> list[KernelProperties]:
    """One `KernelProperties` a kernel; a kernel of zeros has its norm and rank 0 and None for the rest.

    `resolution` as in `spectrum`. UsageError if the kernels are not (K, C, h, w), are empty or not finite.
    """
    kernels_KChw = checked(kernels_KChw)
    resolution = max(resolution, max(kernels_KChw.shape[-2:]) // 2 * 2 + 1)
    waves_Kchw = _fewer_channels(kernels_KChw)
    spectra_KRR = spectrum(waves_Kchw, resolution)
    maps_Khw, held_K = principal_maps(kernels_KChw)
    kernels = zip(kernels_KChw, maps_Khw, held_K.tolist(), tunings(waves_Kchw, spectra_KRR), strict=True)
    return [_row(*kernel) if kernel[0].any() else KernelProperties(0.0) for kernel in kernels]


def principal_maps(kernels_KChw: Tensor) -> tuple[Tensor, Tensor]:
    """The spatial map (K, h, w) float64 that holds most of each kernel, and the fraction of energy it holds (K,).

    The map's norm is its singular value. Its sign is the one with which it responds to grey images, or, of a kernel
    that doesn't, to its strongest channel. A kernel of zeros has a map of zeros and fraction 0.
    """
    kernels_KChw = checked(kernels_KChw)
    if kernels_KChw.shape[1] == 1:
        return kernels_KChw[:, 0], kernels_KChw.flatten(1).any(1).double()
    colours_KCr, values_Kr, maps_Krn = torch.linalg.svd(kernels_KChw.flatten(2), full_matrices=False)
    colour_KC = colours_KCr[..., 0]
    grey_K = colour_KC.sum(1)
    strongest_K = colour_KC.gather(1, colour_KC.abs().argmax(1, keepdim=True))[:, 0]
    sign_K = torch.where(grey_K.abs() > 1e-6, grey_K, strongest_K).sign()
    maps_Khw = (maps_Krn[:, 0] * (values_Kr[:, :1] * sign_K.unsqueeze(1))).unflatten(1, kernels_KChw.shape[-2:])
    energy_K = values_Kr.square().sum(1)
    return maps_Khw, values_Kr[:, 0].square() / torch.where(energy_K > 0, energy_K, 1.0)


def checked(kernels_KChw: Tensor) -> Tensor:
    """The kernels detached, float64, on the CPU; UsageError if they are not finite (K, C, h, w)."""
    if kernels_KChw.ndim != 4 or 0 in kernels_KChw.shape:
        raise UsageError(f"kernels must be (K, C, h, w) and not empty, got {tuple(kernels_KChw.shape)}")
    kernels_KChw = kernels_KChw.detach().to("cpu", torch.float64)
    if not kernels_KChw.isfinite().all():
        bad = (~kernels_KChw.isfinite()).flatten(1).any(1).nonzero()[:, 0].tolist()
        raise UsageError(f"kernels must be finite, these are not: {', '.join(map(str, bad[:8]))}")
    return kernels_KChw


def _fewer_channels(kernels_KChw: Tensor) -> Tensor:
    """Kernels of at most hw channels with the same spectra, scaled to a largest weight of 1.

    A rotation among the channels keeps every sum of energies, so the triangle of a QR decomposition will do.
    """
    unit_KChw = kernels_KChw / kernels_KChw.abs().amax((1, 2, 3), keepdim=True).clamp_min(
        torch.finfo(torch.float64).tiny
    )
    height, width = unit_KChw.shape[-2:]
    if unit_KChw.shape[1] <= height * width:
        return unit_KChw
    return torch.linalg.qr(unit_KChw.flatten(2), mode="r").R.unflatten(2, (height, width))


def largest(kernel: Tensor) -> Tensor:
    """The largest absolute weight: dividing by it keeps squares of very small weights from vanishing."""
    return kernel.abs().max()


def _row(kernel_Chw: Tensor, map_hw: Tensor, channel_fraction: float, tuning: Tuning) -> KernelProperties:
    unit_Chw = kernel_Chw / largest(kernel_Chw)
    energy = float(unit_Chw.square().sum())
    even_Chw = (unit_Chw + unit_Chw.flip((-2, -1))) / 2
    values = torch.linalg.svdvals(map_hw / largest(map_hw))
    channels, height, width = kernel_Chw.shape
    grey = float(unit_Chw.mean(0).square().sum()) * channels / energy
    symmetric = float(even_Chw.square().sum()) / energy
    return KernelProperties(
        norm=float(torch.linalg.vector_norm(kernel_Chw)),
        dc_fraction=float(unit_Chw.sum((-2, -1)).square().sum()) / (height * width) / energy,
        colour_fraction=max(0.0, 1 - grey),
        channel_fraction=channel_fraction,
        separability=float(values[0] ** 2 / values.square().sum()),
        rank=int((values > RANK_TOLERANCE * values[0]).sum()),
        symmetric=symmetric,
        antisymmetric=max(0.0, 1 - symmetric),
        **tuning._asdict(),
    )
