"""What the kernels of one layer are like together. K kernels, C channels, h by w kernel sides, S slices of h by w.

Every kernel is compared with every other one, some rows of the K by K cosines at a time: they never lie in memory
together.
"""

import math
from dataclasses import dataclass
from itertools import starmap
from typing import NamedTuple

import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.filters.analysis.properties import checked

DEAD = 0.01  # of the largest norm
ALIKE = 0.95  # cosine
MOST_PAIRS = 10_000  # duplicates, and as many negated pairs, that are named
NEAR_ZERO = 0.01  # of the largest weight: Gavrikov & Keuper 2022
_AT_ONCE = 2**19  # cosines in memory: they stay in the CPU's cache


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
    duplicates, negated, orthogonality = _compare(kernels_KChw, ALIKE)
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
        orthogonality=orthogonality,
    )


def dead(kernels_KChw: Tensor, fraction: float = DEAD) -> tuple[int, ...]:
    """Kernels whose norm is at most `fraction` of the layer's largest norm; all of them if all are zero."""
    norm_K = torch.linalg.vector_norm(checked(kernels_KChw).flatten(1), dim=1)
    return tuple((norm_K <= fraction * norm_K.max()).nonzero()[:, 0].tolist())


def pairs(kernels_KChw: Tensor, least: float = ALIKE) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """(duplicates, negated pairs): cosine at least `least`, or at most minus it; the closest first, MOST_PAIRS of each.

    Scale doesn't count: k and 2k are duplicates, k and -k a negated pair (as CReLU makes use of: Shang et al., ICML
    2016). Dead kernels (see `dead`) have no direction worth comparing and are left out.
    """
    if not 0 < least <= 1:
        raise UsageError(f"least must be a cosine above 0 and at most 1, got {least!r}")
    return _compare(checked(kernels_KChw), least)[:2]


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
    return _compare(checked(kernels_KChw), 1.0)[2]


def _compare(kernels_KChw: Tensor, least: float) -> tuple[tuple[Pair, ...], tuple[Pair, ...], float | None]:
    """Duplicates, negated pairs, orthogonality. L kernels that aren't zero, R of them at once, P pairs."""
    flat_KN = kernels_KChw.flatten(1)
    index_L = flat_KN.any(1).nonzero()[:, 0]
    flat_LN = flat_KN[index_L]
    unit_LN = torch.nn.functional.normalize(flat_LN / flat_LN.abs().amax(1, keepdim=True), dim=1)
    gone_K = torch.zeros(len(flat_KN), dtype=torch.bool)
    gone_K[list(dead(kernels_KChw))] = True
    duplicates = negated = _Pairs(index_L[:0], index_L[:0], unit_LN.new_empty(0))
    count, total = len(unit_LN), 0.0
    for first in range(0, count, rows := max(1, _AT_ONCE // max(1, count))):
        cosine_RL = (unit_LN[first : first + rows] @ unit_LN[first:].T).triu_(1)
        total += float(torch.linalg.vector_norm(cosine_RL, 1))
        later_L = index_L[first:]
        duplicates = _closest(duplicates, cosine_RL, cosine_RL >= least - 1e-12, later_L, gone_K)
        negated = _closest(negated, cosine_RL, cosine_RL <= 1e-12 - least, later_L, gone_K)
    mean = total * 2 / (count * (count - 1)) if count > 1 else None
    return duplicates.named(), negated.named(), None if mean is None else max(0.0, 1 - mean)


class _Pairs(NamedTuple):
    first_P: Tensor
    second_P: Tensor
    cosine_P: Tensor

    def named(self) -> tuple[Pair, ...]:
        return tuple(starmap(Pair, zip(*(values_P.tolist() for values_P in self), strict=True)))


def _closest(kept: _Pairs, cosine_RL: Tensor, near_RL: Tensor, index_L: Tensor, gone_K: Tensor) -> _Pairs:
    """Of the pairs kept so far and those that are near in these rows the closest, at most MOST_PAIRS of them."""
    row_P, column_P = near_RL.nonzero(as_tuple=True)
    alive_P = ~(gone_K[index_L[row_P]] | gone_K[index_L[column_P]])
    row_P, column_P = row_P[alive_P], column_P[alive_P]
    if not len(row_P):
        return kept
    more = index_L[row_P], index_L[column_P], cosine_RL[row_P, column_P].clamp(-1, 1)
    merged = [torch.cat(both) for both in zip(kept, more, strict=True)]
    order = merged[2].abs().sort(descending=True, stable=True).indices[:MOST_PAIRS]
    return _Pairs(*(values_P[order] for values_P in merged))
