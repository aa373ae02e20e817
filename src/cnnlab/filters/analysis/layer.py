"""What the kernels of one layer are like together. K kernels, C channels, h by w kernel sides, S slices of h by w."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.filters.analysis.properties import checked

DEAD = 0.01  # of the largest norm
ALIKE = 0.95  # cosine
NEAR_ZERO = 0.01  # of the largest weight: Gavrikov & Keuper 2022


@dataclass(frozen=True)
class Pair:
    """Kernels `first` < `second` and the cosine between them, over all channels."""

    first: int
    second: int
    cosine: float


@dataclass(frozen=True)
class LayerProperties:
    """The layer in plain numbers; None where it has no such thing.

    dead, duplicates, negated   as by `dead` and `pairs`
    effective_rank     as by `effective_rank`, of the K by Chw matrix; at most min(K, Chw)
    variance_entropy   as by `variance_entropy`, of the S = KC slices; at most log10(min(hw, S - 1))
    sparsity           fraction of the slices with every weight below NEAR_ZERO of the layer's largest
    near_zero          fraction of the weights below it
    orthogonality      1 - mean |cosine| between two different kernels that aren't zero; 1 if all are orthogonal
    """

    kernels: int
    shape: tuple[int, int, int]  # (C, h, w)
    dead: tuple[int, ...]
    duplicates: tuple[Pair, ...]
    negated: tuple[Pair, ...]
    effective_rank: float
    variance_entropy: float
    sparsity: float
    near_zero: float
    orthogonality: float | None


def layer_properties(kernels_KChw: Tensor) -> LayerProperties:
    """The whole layer, of any kernel size; sparsity, variance entropy and orthogonality as in Gavrikov & Keuper,
    CNN Filter DB, CVPR 2022. UsageError if the kernels are not finite (K, C, h, w)."""
    kernels_KChw = checked(kernels_KChw)
    channels, height, width = kernels_KChw.shape[1:]
    weights_Shw = kernels_KChw.flatten(0, 1).abs()
    least = NEAR_ZERO * weights_Shw.max()
    near_zero_Shw = (weights_Shw < least) | (weights_Shw == 0)
    duplicates, negated = pairs(kernels_KChw)
    return LayerProperties(
        kernels=len(kernels_KChw),
        shape=(channels, height, width),
        dead=dead(kernels_KChw),
        duplicates=duplicates,
        negated=negated,
        effective_rank=effective_rank(kernels_KChw),
        variance_entropy=variance_entropy(kernels_KChw),
        sparsity=float(near_zero_Shw.flatten(1).all(1).double().mean()),
        near_zero=float(near_zero_Shw.double().mean()),
        orthogonality=orthogonality(kernels_KChw),
    )


def dead(kernels_KChw: Tensor, fraction: float = DEAD) -> tuple[int, ...]:
    """Kernels whose norm is at most `fraction` of the layer's largest norm; all of them if all are zero."""
    norm_K = torch.linalg.vector_norm(checked(kernels_KChw).flatten(1), dim=1)
    return tuple((norm_K <= fraction * norm_K.max()).nonzero()[:, 0].tolist())


def pairs(kernels_KChw: Tensor, least: float = ALIKE) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """(duplicates, negated pairs): cosine at least `least`, or at most minus it, the closest first.

    Scale doesn't count: k and 2k are duplicates, k and -k a negated pair (as CReLU makes use of: Shang et al., ICML
    2016). Dead kernels (see `dead`) have no direction worth comparing and are left out.
    """
    if not 0 < least <= 1:
        raise UsageError(f"least must be a cosine above 0 and at most 1, got {least!r}")
    cosine_KK = _cosines(kernels_KChw)
    gone = list(dead(kernels_KChw))
    cosine_KK[gone], cosine_KK[:, gone] = 0, 0
    cosine_KK = cosine_KK.triu(1)
    alike = (cosine_KK.abs() >= least - 1e-12).nonzero().tolist()
    every = sorted((Pair(i, j, float(cosine_KK[i, j])) for i, j in alike), key=lambda pair: -abs(pair.cosine))
    return tuple(pair for pair in every if pair.cosine > 0), tuple(pair for pair in every if pair.cosine < 0)


def effective_rank(kernels_KChw: Tensor) -> float:
    """exp of the entropy of the singular values over their sum (Roy & Vetterli, EUSIPCO 2007), from 1; 0 for zeros."""
    values = torch.linalg.svdvals(checked(kernels_KChw).flatten(1))
    if not values[0] > 0:
        return 0.0
    return float(torch.special.entr(values / values.sum()).sum().exp())


def variance_entropy(kernels_KChw: Tensor) -> float:
    """Entropy in base 10 of the fractions of the variance of the layer's h by w slices along their principal axes.

    Gavrikov & Keuper 2022, section 4: near 0 if all slices are multiples of few, at most log10(hw). Slices that are
    all the same have no variance and entropy 0; an axis without variance counts 0.
    """
    slices_Sn = checked(kernels_KChw).flatten(2).flatten(0, 1)
    spread_Sn = slices_Sn - slices_Sn.mean(0)
    values = torch.linalg.svdvals(spread_Sn)
    if not values[0] > 1e-12 * torch.linalg.vector_norm(slices_Sn):
        return 0.0
    variance = (values / values[0]).square()
    return float(torch.special.entr(variance / variance.sum()).sum() / math.log(10))


def orthogonality(kernels_KChw: Tensor) -> float | None:
    """1 - mean |cosine| over pairs of kernels that aren't zero, 0 to 1; None for fewer than two of them."""
    kernels_KChw = checked(kernels_KChw)
    alive = kernels_KChw.flatten(1).any(1)
    count = int(alive.sum())
    if count < 2:
        return None
    cosine_KK = _cosines(kernels_KChw[alive]).abs()
    return max(0.0, 1 - float(cosine_KK.triu(1).sum()) * 2 / (count * (count - 1)))


def _cosines(kernels_KChw: Tensor) -> Tensor:
    """(K, K) cosines over all weights; 0 with a kernel of zeros."""
    flat_KN = checked(kernels_KChw).flatten(1)
    flat_KN = flat_KN / flat_KN.abs().amax(1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    unit_KN = torch.nn.functional.normalize(flat_KN, dim=1)
    return (unit_KN @ unit_KN.T).clamp(-1, 1)
