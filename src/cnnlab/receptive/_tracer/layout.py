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


def inner_first(dims: Dims, axis: int) -> list[tuple[int, int]]:
    """Where the factors of one axis are, (dimension, place in it), from the innermost to the outermost."""
    homes = [(n, m) for n, dim in enumerate(dims) for m, factor in enumerate(dim) if factor.axis == axis]
    return sorted(homes, key=lambda home: (dims[home[0]][home[1]].step, dims[home[0]][home[1]].size))


def is_outermost(dims: Dims, number: int, place: int = 0) -> bool:
    """True if this factor is the part of its axis that grows with the image."""
    axis = dims[number][place].axis if dims[number] else None
    return axis is not None and inner_first(dims, axis)[-1] == (number, place)


def replaced(dims: Dims, number: int, *new: Dim) -> Dims:
    """`new` in the place of one dimension."""
    return (*dims[:number], *new, *dims[number + 1 :])


def restepped(dims: Dims, like: Dims) -> Dims:
    """The same parts with steps as in a whole axis: each is the number of units in the parts inside of it.

    What is inside of what is as in `like`.
    """
    result = [list(dim) for dim in dims]
    for axis in (0, 1):
        step = 1
        for number, place in inner_first(like, axis):
            result[number][place] = result[number][place]._replace(step=step)
            step *= result[number][place].size
    return tuple(map(tuple, result))


def size_of(dim: Dim) -> int:
    return prod(factor.size for factor in dim)


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
