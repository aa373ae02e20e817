"""Where the image's axes are in a tensor, kept through every reshape and permutation.

A dimension of a tensor is a product of factors, the slowest first, as memory runs. A factor with an axis (0 is h,
1 is w) steps over the units of that axis: a map of 14 rows cut into windows of 7 has the factors (2, h, 7) and
(7, h, 1). A factor without an axis is channels, batch, heads: positions do not change along it.
"""

from collections import deque
from math import prod
from typing import NamedTuple


class Factor(NamedTuple):
    """`size` entries along `axis`, `step` units of the map apart."""

    size: int
    axis: int | None = None
    step: int = 1


Dim = tuple[Factor, ...]
Dims = tuple[Dim, ...]


def plain(size: int) -> Dim:
    """A dimension along which positions do not change."""
    return () if size == 1 else (Factor(size),)


def plain_dims(shape: tuple[int, ...]) -> Dims:
    return tuple(plain(size) for size in shape)


def axes_of(dim: Dim) -> set[int]:
    """The image axes that a dimension steps over."""
    return {factor.axis for factor in dim if factor.axis is not None}


def factors_of(dims: Dims, axis: int) -> list[Factor]:
    """All factors of one axis, in all dimensions."""
    return [factor for dim in dims for factor in dim if factor.axis == axis]


def is_whole(dims: Dims, number: int) -> bool:
    """True if dimension `number` is one image axis, all of it, and nothing else."""
    dim = dims[number]
    return len(dim) == 1 and dim[0].axis is not None and dim[0].step == 1 and len(factors_of(dims, dim[0].axis)) == 1


def joined(factors: list[Factor]) -> Dim:
    """Neighbouring factors made one where they step on evenly, entries of size 1 dropped where nothing is lost."""
    result: list[Factor] = []
    for factor in factors:
        last = result[-1] if result else None
        if factor.axis is None and factor.size == 1:
            continue
        if last is not None and last.axis == factor.axis:
            if factor.axis is None or last.step == factor.step * factor.size:
                result[-1] = Factor(last.size * factor.size, factor.axis, factor.step)
                continue
            if 1 in (last.size, factor.size):
                result[-1] = last if factor.size == 1 else factor
                continue
        result.append(factor)
    return tuple(result)


def reshaped(dims: Dims, shape: tuple[int, ...]) -> Dims | None:
    """The factors dealt out to a new shape in the order of memory; None if the shape cuts across them."""
    pending = deque(factor for dim in dims for factor in dim)
    if prod(factor.size for factor in pending) != prod(shape) or 0 in shape:
        return None
    result = []
    for number, size in enumerate(shape):
        taken: list[Factor] = []
        if size == 1 and pending and pending[0].size == 1:
            taken.append(pending.popleft())
        while size > 1:
            factor = pending.popleft()
            if size % factor.size == 0:
                taken.append(factor)
                size //= factor.size
            elif factor.size % size == 0:
                rest = factor.size // size
                taken.append(Factor(size, factor.axis, 1 if factor.axis is None else factor.step * rest))
                pending.appendleft(Factor(rest, factor.axis, factor.step))
                size = 1
            else:
                return None
        # An axis of size 1 stays with what it is flattened into, unless a dimension of its own follows.
        while pending and pending[0].size == 1 and (number + 1 == len(shape) or shape[number + 1] != 1):
            taken.append(pending.popleft())
        result.append(joined(taken))
    return tuple(result)
