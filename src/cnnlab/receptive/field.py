"""The receptive field of one layer, exact or measured, as numbers and as a map between units and pixels.

Convention of Araujo, Norris & Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks", Distill
(doi 10.23915/distill.00021): pixels and units count from 0, the field of the first unit starts at pixel -padding.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.receptive._tracer.geometry import Geometry, Unbounded
from cnnlab.receptive._tracer.intervals import AxisMap, hull
from cnnlab.receptive._tracer.layout import axes_of, factors_of

Number = int | float | Fraction | None


class Box(NamedTuple):
    """Pixels, the last ones included: (top, left) to (bottom, right). May reach over the border."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class ReceptiveField:
    """The field of the units of one layer: a value of `receptive_fields`. Pairs are (h, w), in pixels.

    Attributes:
        size: Pixels from the first to the last that a unit sees; the largest, where it varies (then a note says so).
        stride: Pixels between the fields of neighbouring units; a Fraction after upsampling.
        padding: The first unit's field starts at pixel -padding.
        centre: Middle of the first unit's field; halves are float.
        unbounded: Why there is no size along at least one axis, in words; None if there is one along both. The four
            numbers above are None along an axis without bounds.
        notes: What else to know, in words, such as "union of misaligned branches in layer2.0".
        axes: What each unit sees along h and along w; None along an axis without bounds.
        grid: Units along h and w for the example input; not part of equality. None where there is no map.
        map_dims: Which dimensions of the layer's output are h and w, twice the same for a sequence of tokens in the
            order of rows; not part of equality.

    Convention: Araujo, Norris & Sim 2019, Distill (doi 10.23915/distill.00021).
    """

    size: tuple[int | None, int | None]
    stride: tuple[Number, Number]
    padding: tuple[int | None, int | None]
    centre: tuple[Number, Number]
    unbounded: str | None
    notes: tuple[str, ...] = ()
    axes: tuple[AxisMap | None, AxisMap | None] = field(default=(None, None), repr=False)
    grid: tuple[int, int] | None = field(default=None, compare=False)
    map_dims: tuple[int, int] | None = field(default=None, compare=False, repr=False)

    def box(self, i: int, j: int) -> Box:
        """The pixels that unit (i, j) sees, as if the image went on beyond its border.

        Raises ValueError where the field is unbounded, or where that unit sees nothing at all.
        """
        if self.unbounded is not None:
            raise UsageError(f"there is no box: the field is unbounded ({self.unbounded})")
        (top, bottom), (left, right) = (self._span(axis, unit) for axis, unit in enumerate((i, j)))
        return Box(top, left, bottom, right)

    def clipped(self, i: int, j: int, height: int, width: int) -> Box:
        """The pixels of an image (height, width) inside of the box; all of them along an unbounded axis.

        Raises ValueError if nothing of the box is inside of the image.
        """
        ends = []
        for axis, (unit, length) in enumerate(((i, height), (j, width))):
            first, last = (0, length - 1) if self.axes[axis] is None else self._span(axis, unit)
            if last < 0 or first >= length:
                raise UsageError(f"unit ({i}, {j}) sees nothing of an image of {height} by {width} pixels")
            ends.append((max(first, 0), min(last, length - 1)))
        (top, bottom), (left, right) = ends
        return Box(top, left, bottom, right)

    def units(self, y: int, x: int) -> tuple[range, range]:
        """The units (rows, columns) whose boxes hold pixel (y, x): from the first to the last, from 0 on.

        With gaps between fields a range may be empty. Raises ValueError where the field is unbounded.
        """
        rows, columns = self.axes
        if rows is None or columns is None:
            raise UsageError(f"every unit may see pixel ({y}, {x}): the field is unbounded ({self.unbounded})")
        ends = rows.units(y), columns.units(x)
        (top, bottom), (left, right) = ((max(some.start, 0), max(some.stop, 0)) for some in ends)
        return range(top, bottom), range(left, right)

    def _span(self, axis: int, unit: int) -> tuple[int, int]:
        along = self.axes[axis]
        span = None if along is None else along(unit)
        if span is None:
            raise UsageError(f"unit {unit} along {'hw'[axis]} sees nothing of the image: a gap, or no unit")
        return span


@dataclass(frozen=True, eq=False)
class EffectiveField:
    """What one unit of a layer listens to, over N inputs: what `effective_field` returns.

    Attributes:
        layer: The layer's name.
        unit: (i, j); None where the layer has no map, then all of it is summed.
        heat_HW: (H, W) float64, the energy: squared gradient, summed over input channels, mean over inputs.
        centroid, std: (h, w) in pixels, mean and standard deviation with the weights sqrt(heat), normalised to sum 1.
            For one linear network these are the absolute gradients, so n stacked uniform k-kernels give
            sqrt(n (k² - 1) / 12).
        radius: Per cent (50, 80, 95, 99) -> pixels: the smallest disc about the centroid with that much of the energy.
        fraction: Per cent -> the smallest number of pixels that together hold that much of the energy, as a fraction of
            the pixels of the theoretical field inside of the image; of the whole image along an unbounded axis.
        count: N.
        theoretical: The layer's theoretical field.

    Source: Luo, Li, Urtasun & Zemel 2016, NeurIPS.
    """

    layer: str
    unit: tuple[int, int] | None
    heat_HW: Tensor
    centroid: tuple[float, float]
    std: tuple[float, float]
    radius: dict[int, float]
    fraction: dict[int, float]
    count: int
    theoretical: ReceptiveField


def field_of(geometry: Geometry, where: str) -> ReceptiveField:
    """The field of a layer's output: a unit is a place of the map with all its channels.

    A sequence of tokens in the order of rows counts as a map; channels that hold places (after a flattening) and
    windows do not.
    """
    geometry, (rows, columns) = _as_map(geometry, where)
    h, w = (None if isinstance(axis, Unbounded) else axis for axis in geometry.maps)
    reasons = [axis.reason for axis in geometry.maps if isinstance(axis, Unbounded)]
    notes = geometry.notes
    for name, axis in (("h", h), ("w", w)):
        if axis is not None and len(set(axis.sizes)) > 1:
            notes += (f"size along {name} varies with position: {min(axis.sizes)} to {max(axis.sizes)}",)
    (height, stride_h, padding_h, centre_h), (width, stride_w, padding_w, centre_w) = _numbers(h), _numbers(w)
    size, stride, padding, centre = (height, width), (stride_h, stride_w), (padding_h, padding_w), (centre_h, centre_w)
    grid = None if rows is None or columns is None else (rows[1], columns[1])
    dims = None if rows is None or columns is None else (rows[0], columns[0])
    return ReceptiveField(size, stride, padding, centre, reasons[0] if reasons else None, notes, (h, w), grid, dims)


def _as_map(geometry: Geometry, where: str) -> tuple[Geometry, list[tuple[int, int] | None]]:
    """Geometry with one factor per axis, and for each axis its (dimension, units), None if it has none."""
    geometry = geometry.gathered(f"flattened in {where}")
    places: list[tuple[int, int] | None] = [None, None]
    for axis in (0, 1):
        homes = [number for number, dim in enumerate(geometry.dims) if axis in axes_of(dim)]
        factors = factors_of(geometry.dims, axis)
        if len(factors) == 1:
            places[axis] = (homes[0], factors[0].size)
        elif factors:
            geometry = geometry.unbounded([axis], f"positions are cut into windows in {where}", "layout")
    if any({0, 1} <= axes_of(dim) and dim[0].axis == 1 for dim in geometry.dims):  # tokens in the order of columns
        return geometry, [None, None]
    return geometry, places


def _numbers(axis: AxisMap | None) -> tuple[int | None, Number, int | None, Number]:
    """Size, stride, padding and centre along one axis."""
    if axis is None:
        return None, None, None, None
    first = axis(0) or hull(axis.spans)
    if first is None:
        return 0, _plain(axis.stride), 0, 0
    middle = Fraction(first[0] + first[1], 2)
    return max(axis.sizes), _plain(axis.stride), -first[0], int(middle) if middle.denominator == 1 else float(middle)


def _plain(number: Fraction) -> Number:
    return int(number) if number.denominator == 1 else number
