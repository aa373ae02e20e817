"""The field of every element of a tensor: where the image's axes are in it and what its units see along them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm, prod

from cnnlab.receptive._tracer.intervals import IDENTITY, LONGEST, AxisMap, listed
from cnnlab.receptive._tracer.layout import (
    Dims,
    Factor,
    axes_of,
    factors_of,
    inner_first,
    is_outermost,
    plain,
    plain_dims,
    replaced,
    restepped,
    size_of,
)
from cnnlab.receptive._tracer.taps import Taps, block, digits, everywhere, nearest, part

UNEVEN = f"steps that repeat only after more than {LONGEST} units"


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

    def units(self, axis: int) -> int:
        """How many there are along `axis` for the example."""
        return prod(factor.size for factor in factors_of(self.dims, axis))

    def read(self, axis: int, taps: Taps, units: int, where: str = "the network itself") -> "Geometry":
        """Unit j reads `taps.reads(j)` along `axis`; the example then has this number of units."""
        current = self.maps[axis]
        if isinstance(current, Unbounded):
            return self
        uneven = not current.listed and current.repeats(taps) > LONGEST
        if not uneven and not current.listed:
            return self.with_map(axis, current.through(taps))
        if units > LONGEST:
            return self.unbounded([axis], f"{UNEVEN} in {where}")
        result = self.with_map(axis, current.through(taps, units))
        return (
            result.noted(f"uneven steps in {where}: the positions are those for this input size") if uneven else result
        )

    def unbounded(self, axes: Iterable[int], reason: str, kind: str = "mixing") -> "Geometry":
        """No size along `axes`; the first reason stays."""
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
        for number in set(numbers):
            for place, factor in enumerate(self.dims[number]):
                if factor.axis is None:
                    continue
                if is_outermost(self.dims, number, place):
                    result = result.unbounded([factor.axis], reason, kind)
                else:
                    result = result.read(factor.axis, block(factor.step, factor.size), self.units(factor.axis))
        return result

    def settled(self, dims: Dims, reason: str) -> "Geometry":
        """In new dimensions: an axis that they lost is unbounded for `reason`, what is left of one is renumbered."""
        result = replace(self, dims=restepped(dims, dims))
        for axis in (0, 1):
            before, after = factors_of(dims, axis), factors_of(result.dims, axis)
            if not before:
                result = result.unbounded([axis], reason, "layout")
            elif before != after:
                parts = [dims[number][place] for number, place in inner_first(dims, axis)]
                taps = digits([factor.step for factor in parts], [factor.size for factor in parts])
                result = result.read(axis, taps, result.units(axis))
            along = result.maps[axis]
            if isinstance(along, AxisMap) and along.listed:  # without the units that were cut off
                result = result.with_map(axis, replace(along, spans=along.spans[: result.units(axis)]))
        return result

    def slid(self, number: int, taps: Taps, size: int, what: str, where: str) -> "Geometry":
        """Entry j along one dimension reads the entries `taps.reads(j)`; it then has `size` entries.

        There is no order to slide in along a dimension of several parts of axes, or of channels and a part.
        """
        result = self.zoomed(number)
        dims, dim = result.dims, result.dims[number]
        if len(dim) != 1 or dim[0].axis is None:
            reason = f"{what} over rearranged positions in {where}"
            return result.mixed([number], reason).settled(replaced(dims, number, plain(size)), reason)
        inside = part(taps, dim[0].step, dim[0].size, size, outermost=is_outermost(dims, number))
        dims = restepped(replaced(dims, number, (dim[0]._replace(size=size),)), dims)
        units = replace(self, dims=dims).units(dim[0].axis)
        return replace(result.read(dim[0].axis, inside, units, where), dims=dims)

    def zoomed(self, number: int) -> "Geometry":
        """Places along a dimension, each repeated or refined evenly, are a finer map: nearest-neighbour upsampling."""
        places, *entries = self.dims[number] or (Factor(1),)
        if places.axis is None or len(entries) != 1 or entries[0].axis is not None:
            return self
        coarse = replace(self, dims=replaced(self.dims, number, (places,)))
        return coarse.slid(number, nearest(Fraction(1, entries[0].size)), places.size * entries[0].size, "", "")

    def gathered(self, reason: str) -> "Geometry":
        """Positions among channels are mixed as channels are; where two dimensions are a map, all others too."""
        result = self
        for number in range(len(self.dims)):
            if is_outermost(result.dims, number):
                result = result.zoomed(number)
        alone = {n for n, dim in enumerate(result.dims) if len(dim) == 1 and is_outermost(result.dims, n)}
        for number, dim in enumerate(result.dims):
            beside = any(factor.axis is None for factor in dim)
            if number not in alone and axes_of(dim) and (beside or len(alone) == 2):
                dims = replaced(result.dims, number, plain(size_of(dim)))
                result = result.mixed([number], reason, "layout").settled(dims, reason)
        return result

    def windowed(self, windows: Mapping[int, Taps], shape: Sequence[int], what: str, where: str) -> "Geometry":
        """Windows slide along the dimensions `windows`; `shape` is the shape after."""
        result = self
        for number, taps in windows.items():
            still = taps.every == taps.moves == 1 and taps.reads(0) == [0]
            if not still or shape[number] != size_of(self.dims[number]):
                result = result.slid(number, taps, shape[number], what, where)
        return result


def image_geometry(shape: tuple[int, int, int, int]) -> Geometry:
    """The geometry of the image (B, C, H, W) itself."""
    batch, channels, height, width = shape
    dims = (plain(batch), plain(channels), (Factor(height, 0),), (Factor(width, 1),))
    return Geometry(dims, (IDENTITY, IDENTITY))


def broadcast(geometry: Geometry, shape: Sequence[int], where: str) -> Geometry:
    """In a larger shape, aligned at the right. One position spread over many is seen by all: unbounded."""
    missing = len(shape) - len(geometry.dims)
    result = replace(geometry, dims=(*plain_dims(tuple(shape[:missing])), *geometry.dims))
    reason = f"one position is spread over all in {where}"
    for number, size in enumerate(shape):
        dim = result.dims[number]
        if size_of(dim) == size:
            continue
        assert size_of(dim) == 1
        if len(dim) == 1 and not is_outermost(result.dims, number):  # all of a window see what it has one of
            result = result.slid(number, everywhere(1), size, "", where)
        else:
            result = result.unbounded(axes_of(dim), reason).settled(replaced(result.dims, number, plain(size)), reason)
    return result


def union(geometries: Sequence[Geometry], shape: Sequence[int], where: str) -> Geometry:
    """What an element sees that is computed from the same element of all `geometries`, broadcast to `shape`."""
    first, *others = [broadcast(geometry, shape, where) for geometry in geometries]
    reason = f"differently arranged positions are combined in {where}"
    for other in others:
        if _clash(first, other):
            first, other = first.gathered(reason), other.gathered(reason)
        clash, own = _clash(first, other), set().union(*map(axes_of, first.dims))
        pairs = zip(first.dims, other.dims, strict=True)
        dims = tuple(two if axes_of(two) and not axes_of(one) and not axes_of(two) & own else one for one, two in pairs)
        notes = tuple(dict.fromkeys((*first.notes, *other.notes)))
        first = _united(replace(first.unbounded(clash, reason), dims=dims, notes=notes), other, where)
    return first


def _clash(one: Geometry, other: Geometry) -> set[int]:
    """The axes that lie in the two in different ways."""
    here, there = ([axes_of(dim) for dim in geometry.dims] for geometry in (one, other))
    pairs = zip(one.dims, other.dims, here, there, strict=True)
    differing = [a | b for mine, theirs, a, b in pairs if a and b and mine != theirs]
    moved = [b - a for a, b in zip(here, there, strict=True) if b - a <= set().union(*here)]
    return set().union(*differing, *moved)


def _united(first: Geometry, other: Geometry, where: str) -> Geometry:
    for axis in (0, 1):
        first, other = _in_step(first, other, axis, where)
    result = first
    for axis in (0, 1):
        mine, theirs = first.maps[axis], other.maps[axis]
        if isinstance(theirs, Unbounded):
            result = result.unbounded([axis], theirs.reason, theirs.kind)
        elif isinstance(mine, AxisMap):
            if mine.misaligned(theirs):
                result = result.noted(f"union of misaligned branches in {where}")
            result = result.with_map(axis, mine.union(theirs))
    if _torn(first, other):
        return result.unbounded((0, 1), f"branches with gaps between their fields are combined in {where}")
    return result


def _in_step(one: Geometry, other: Geometry, axis: int, where: str) -> tuple[Geometry, Geometry]:
    """Both with one stride along `axis`: where theirs differ, listed unit by unit for the example."""
    mine, theirs = one.maps[axis], other.maps[axis]
    if isinstance(mine, Unbounded) or isinstance(theirs, Unbounded):
        return one, other
    alike = mine.stride == theirs.stride
    if alike and not mine.listed and not theirs.listed and lcm(mine.period, theirs.period) <= LONGEST:
        return one, other
    units, stride = one.units(axis), min(mine.stride, theirs.stride)
    words = f"branches with strides {mine.stride} and {theirs.stride} are combined in {where}"
    if units > LONGEST:
        return one.unbounded([axis], words), other
    one, other = (
        geometry.with_map(axis, listed([along(unit) for unit in range(units)], stride))
        for geometry, along in ((one, mine), (other, theirs))
    )
    return one if alike else one.noted(f"{words}: the positions are those for this input size"), other


def _torn(one: Geometry, other: Geometry) -> bool:
    """True if what units see through both isn't rows times columns any more.

    A unit in a gap along h sees nothing through that branch, so what the branch would see along w doesn't count
    there: the other branch must see it anyway.
    """
    for mine, theirs in ((one.maps, other.maps), (other.maps, one.maps)):
        for gaps, across, all_of in ((mine[0], mine[1], theirs[1]), (mine[1], mine[0], theirs[0])):
            if isinstance(gaps, Unbounded) or isinstance(across, Unbounded) or isinstance(all_of, Unbounded):
                return False
            if None in gaps.spans and not across.within(all_of):
                return True
    return False
