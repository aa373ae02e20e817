"""How kernels change during training.

K kernels, C channels, h by w kernel sides, D = Chw, r dimension of a subspace.
"""

from dataclasses import dataclass
from math import acos, asin, degrees

import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.filters.analysis.properties import checked

FRACTION = 0.9  # of the initial energy, held by the subspace that is followed
_TIE = 1e-6  # singular values closer than this fraction have no order of their own


@dataclass(frozen=True)
class Drift:
    """One epoch against the initialisation; None where a kernel or the whole layer is zero.

    cosine             over all weights of the layer
    cosines            of each kernel
    relative_distance  |W - W0| / |W0|
    largest_angle, mean_angle   degrees, 0 to 90: principal angles between the subspaces (`drift`)
    """

    epoch: int
    cosine: float | None
    cosines: tuple[float | None, ...]
    relative_distance: float | None
    largest_angle: float | None
    mean_angle: float | None


def drift(snapshots: dict[int, Tensor], fraction: float = FRACTION) -> list[Drift]:
    """Each snapshot {epoch: (K, C, h, w)} against that of the lowest epoch, in order of epochs.

    The subspace is that of the leading right singular vectors of the K by D matrix of kernels which hold `fraction` of
    the initial energy, r of them; that many are followed later. Which kernel does what doesn't matter to it: mixing the
    kernels by a rotation, or scaling them all, leaves every angle 0. If all D dimensions are taken the angle is 0 by
    necessity, so it is None, as it is when fewer than r dimensions are left. The angles are accurate near 0 too
    (Björck & Golub 1973, Math. Comp. 27). UsageError for no snapshots, different shapes, or a fraction not in (0, 1].
    """
    if not snapshots or len({tuple(kernels.shape) for kernels in snapshots.values()}) != 1:
        shapes = sorted({tuple(kernels.shape) for kernels in snapshots.values()})
        raise UsageError(f"drift needs snapshots of one shape, got {shapes or 'none'}")
    if not 0 < fraction <= 1:
        raise UsageError(f"fraction must be above 0 and at most 1, got {fraction!r}")
    weights_KD = {epoch: checked(snapshots[epoch]).flatten(1) for epoch in sorted(snapshots)}
    first_KD = weights_KD[min(weights_KD)]
    dimension = _dimension(first_KD, fraction)
    return [_compared(epoch, first_KD, now_KD, dimension) for epoch, now_KD in weights_KD.items()]


def principal_angles(first_rD: Tensor, second_rD: Tensor) -> list[float]:
    """Degrees, ascending, between the spans of two sets of orthonormal rows, (r, D) each."""
    cosines = torch.linalg.svdvals(first_rD @ second_rD.T)
    beside_rD = second_rD - second_rD @ first_rD.T @ first_rD
    sines = torch.linalg.svdvals(beside_rD).flip(0)
    # The cosine is blind to small angles and the sine to large ones.
    pairs = zip(cosines.clamp(max=1).tolist(), sines.clamp(max=1).tolist(), strict=True)
    return [degrees(asin(sine) if sine < 0.7 else acos(cosine)) for cosine, sine in pairs]


def _compared(epoch: int, first_KD: Tensor, now_KD: Tensor, dimension: int) -> Drift:
    size = float(torch.linalg.vector_norm(first_KD))
    distance = float(torch.linalg.vector_norm(now_KD - first_KD))
    angles = _angles(first_KD, now_KD, dimension)
    return Drift(
        epoch=epoch,
        cosine=_cosine(first_KD.flatten(), now_KD.flatten()),
        cosines=tuple(_cosine(before_D, after_D) for before_D, after_D in zip(first_KD, now_KD, strict=True)),
        relative_distance=distance / size if size else None,
        largest_angle=max(angles) if angles else None,
        mean_angle=sum(angles) / len(angles) if angles else None,
    )


def _cosine(first: Tensor, second: Tensor) -> float | None:
    if not first.any() or not second.any():
        return None
    first, second = first / first.abs().max(), second / second.abs().max()
    lengths = torch.linalg.vector_norm(first) * torch.linalg.vector_norm(second)
    return float((first @ second / lengths).clamp(-1, 1))


def _dimension(first_KD: Tensor, fraction: float) -> int:
    """r: how many singular vectors hold `fraction` of the energy, and those that tie with the last of them."""
    values = torch.linalg.svdvals(first_KD)
    if not values[0] > 0:
        return 0
    held = (values / values[0]).square().cumsum(0)
    last = int((held < fraction * held[-1] * (1 - 1e-9)).sum())
    return int((values > values[last] * (1 - _TIE)).sum())


def _angles(first_KD: Tensor, now_KD: Tensor, dimension: int) -> list[float]:
    if not 0 < dimension < first_KD.shape[1]:
        return []
    spaces = []
    for weights_KD in (first_KD, now_KD):
        _, values, axes_rD = torch.linalg.svd(weights_KD, full_matrices=False)
        if not values[dimension - 1] > 1e-7 * values[0]:
            return []
        spaces.append(axes_rD[:dimension])
    return principal_angles(*spaces)
