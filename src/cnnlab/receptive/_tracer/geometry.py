"""The field of every element of a tensor: where the image's axes are in it and what its units see along them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd, lcm, prod

from cnnlab.receptive._tracer.intervals import IDENTITY, LONGEST, AxisMap
from cnnlab.receptive._tracer.layout import Dim, Dims, Factor, axes_of, factors_of, is_whole, plain, plain_dims
from cnnlab.receptive._tracer.taps import Taps, block, nearest, shift

UNEVEN = f"resampled in steps that repeat only after more than {LONGEST} units"


@dataclass(frozen=True)
class Unbounded:
    """No size can be given: `reason` in words, ending in the layer's name.

    kind: "pooling" for global pooling (a product with it is squeeze-and-excite), "layout" where units don't
    form a map any more (attention is then the better reason), else "mixing".
    """

    reason: str
    kind: str = "mixing"


@dataclass(frozen=True)
class Geometry:
    """`dims` says where h and w are; `maps` holds what units see along h and w; `notes` are in words."""

    dims: Dims
    maps: tuple[AxisMap | Unbounded, AxisMap | Unbounded]
    notes: tuple[str, ...] = ()

    def noted(self, note: str) -> "Geometry":
        return self if note in self.notes else replace(self, notes=(*self.notes, note))

    def with_map(self, axis: int, new: AxisMap | Unbounded) -> "Geometry":
        maps = (new, self.maps[1]) if axis == 0 else (self.maps[0], new)
        return replace(self, maps=maps)

    def read(self, axis: int, taps: Taps, where: str = "the network itself") -> "Geometry":
        """Unit j reads `taps.reads(j)` along `axis`."""
        current = self.maps[axis]
        if isinstance(current, Unbounded):
            return self
        if taps.every * current.repeats(taps.moves) > LONGEST:
            return self.unbounded([axis], f"{UNEVEN} in {where}")
        return self.with_map(axis, current.through(taps.reads, taps.every, taps.moves))

    def unbounded(self, axes: Iterable[int], reason: str, kind: str = "mixing") -> "Geometry":
        """No answer along `axes`; the first reason stays."""
        result = self
        for axis in axes:
            if not isinstance(result.maps[axis], Unbounded):
                result = result.with_map(axis, Unbounded(reason, kind))
        return result

    def mixed(self, numbers: Iterable[int], reason: str, kind: str = "mixing") -> "Geometry":
        """Every element now depends on all elements along the dimensions `numbers`; the dimensions stay.

        Along a part of an axis (a window, the pixels of a patch) units see their whole block, exactly. Along the
        outermost part the reach grows with the image: unbounded.
        """
        result = self
        for factor in [factor for number in set(numbers) for factor in self.dims[number]]:
            if factor.axis is None:
                continue
            if factor.step == max(other.step for other in factors_of(self.dims, factor.axis)):
                result = result.unbounded([factor.axis], reason, kind)
            else:
                result = result.read(factor.axis, block(factor.step, factor.size))
        return result

    def settled(self, dims: Dims, reason: str) -> "Geometry":
        """In new dimensions: an axis that they lost is unbounded for `reason`, one in even steps is renumbered."""
        result = replace(self, dims=dims)
        for axis in (0, 1):
            steps = [factor.step for factor in factors_of(dims, axis)]
            if not steps:
                result = result.unbounded([axis], reason, "layout")
            elif (step := gcd(*steps)) > 1:
                result = replace(result.read(axis, shift(0, step)), dims=_renumbered(result.dims, axis, step))
        return result

    def zoomed(self, numbers: Iterable[int]) -> "Geometry":
        """A dimension of places, each repeated or refined evenly, is a finer map: nearest-neighbour upsampling."""
        result = self
        for number in numbers:
            dim = result.dims[number]
            alone = len(dim) == 2 and is_whole((*result.dims[:number], dim[:1], *result.dims[number + 1 :]), number)
            if alone and dim[1].axis is None:
                finer = (Factor(dim[0].size * dim[1].size, dim[0].axis),)
                dims = (*result.dims[:number], finer, *result.dims[number + 1 :])
                result = replace(result.read(dim[0].axis, nearest(Fraction(1, dim[1].size))), dims=dims)
        return result

    def windowed(self, windows: dict[int, Taps], shape: Sequence[int], what: str, where: str) -> "Geometry":
        """Windows slide along the dimensions `windows`; `shape` is the shape after."""
        result, whole, dims = self, self.dims, list(self.dims)
        for number, taps in windows.items():
            if taps.every == taps.moves and taps.reads(0) == [0] and shape[number] == _size(whole[number]):
                continue
            dims[number] = plain(shape[number])
            if is_whole(whole, number):
                axis = whole[number][0].axis
                result = result.read(axis, taps, where)
                dims[number] = (Factor(shape[number], axis),)
            else:
                result = result.unbounded(axes_of(whole[number]), f"{what} over rearranged positions in {where}")
        return result.settled(tuple(dims), f"{what} over rearranged positions in {where}")


def image_geometry(shape: tuple[int, int, int, int]) -> Geometry:
    """The geometry of the image (B, C, H, W) itself."""
    batch, channels, height, width = shape
    dims = (plain(batch), plain(channels), (Factor(height, 0),), (Factor(width, 1),))
    return Geometry(dims, (IDENTITY, IDENTITY))


def broadcast(geometry: Geometry, shape: Sequence[int], where: str) -> Geometry:
    """In a larger shape, aligned at the right. One position spread over many is seen by all: unbounded."""
    if [_size(dim) for dim in geometry.dims] == list(shape):
        return geometry
    missing = len(shape) - len(geometry.dims)
    dims = list(plain_dims(tuple(shape)))
    for number, dim in enumerate(geometry.dims, start=missing):
        if _size(dim) == shape[number]:
            dims[number] = dim
        else:
            assert _size(dim) == 1
            geometry = geometry.unbounded(axes_of(dim), f"one position is spread over all in {where}")
    return geometry.settled(tuple(dims), f"one position is spread over all in {where}")


def union(geometries: Sequence[Geometry], shape: Sequence[int], where: str) -> Geometry:
    """What an element sees that is computed from the same element of all `geometries`, broadcast to `shape`."""
    first, *others = [broadcast(geometry, shape, where) for geometry in geometries]
    for other in others:
        dims = []
        for mine, theirs in zip(first.dims, other.dims, strict=True):
            clash = axes_of(mine) and axes_of(theirs) and mine != theirs
            if clash:
                reason = f"differently arranged positions are combined in {where}"
                first = first.unbounded(axes_of(mine) | axes_of(theirs), reason)
            dims.append(mine if axes_of(mine) else theirs)
        notes = tuple(dict.fromkeys((*first.notes, *other.notes)))
        first = replace(first, dims=tuple(dims), notes=notes)
        united = first
        for axis in (0, 1):
            united = _united(united, axis, other.maps[axis], where)
        if _torn(first, other, united):
            united = united.unbounded((0, 1), f"branches with gaps between their fields are combined in {where}")
        first = united
    return first


def _united(geometry: Geometry, axis: int, other: AxisMap | Unbounded, where: str) -> Geometry:
    mine = geometry.maps[axis]
    if isinstance(mine, Unbounded):
        return geometry
    if isinstance(other, Unbounded):
        return geometry.with_map(axis, other)
    if mine.stride != other.stride:
        reason = f"branches with strides {mine.stride} and {other.stride} are combined in {where}"
        return geometry.unbounded([axis], reason)
    if lcm(mine.period, other.period) > LONGEST:
        return geometry.unbounded([axis], f"{UNEVEN} in {where}")
    if mine.misaligned(other):
        geometry = geometry.noted(f"union of misaligned branches in {where}")
    return geometry.with_map(axis, mine.union(other))


def _torn(one: Geometry, other: Geometry, united: Geometry) -> bool:
    """True if what units see through both isn't rows times columns any more.

    A unit in a gap along h sees nothing through that branch, so what the branch would see along w doesn't count
    there: the other branch must see it anyway.
    """
    if any(isinstance(current, Unbounded) for current in united.maps):
        return False
    pairs = ((one.maps, other.maps), (other.maps, one.maps))
    return any(
        None in mine[axis].spans and not mine[1 - axis].within(theirs[1 - axis])
        for mine, theirs in pairs
        for axis in (0, 1)
    )


def _size(dim: Dim) -> int:
    return prod(factor.size for factor in dim)


def _renumbered(dims: Dims, axis: int, step: int) -> Dims:
    def one(factor: Factor) -> Factor:
        return factor._replace(step=factor.step // step) if factor.axis == axis else factor

    return tuple(tuple(one(factor) for factor in dim) for dim in dims)
