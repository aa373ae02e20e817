"""Operations that move elements without computing: reshapes, permutations, slices, joins."""

from dataclasses import replace
from math import prod

from cnnlab.receptive._tracer.call import Call, NotJudgedError, Rule, Seen, of_one
from cnnlab.receptive._tracer.geometry import Geometry, union
from cnnlab.receptive._tracer.layout import Dim, axes_of, is_outermost, plain, plain_dims, replaced, reshaped
from cnnlab.receptive._tracer.taps import around, shift


@of_one
def reshape(call: Call, geometry: Geometry) -> Geometry:
    return _reshaped(geometry, call.shape, call.reason("reshape across positions"))


@of_one
def permute(call: Call, geometry: Geometry) -> Geometry:
    rank = len(geometry.dims)
    order = list(range(rank))
    if call.name == "permute":
        order = [number % rank for number in call["dims"]]
    elif rank > 1:
        one, other = (0, 1) if call.name == "t" else (call["dim0"] % rank, call["dim1"] % rank)
        order[one], order[other] = order[other], order[one]
    return _permuted(geometry, order)


@of_one
def unsqueeze(call: Call, geometry: Geometry) -> Geometry:
    return _unsqueezed(geometry, call["dim"] % (len(geometry.dims) + 1))


@of_one
def squeeze(call: Call, geometry: Geometry) -> Geometry:
    """An axis of size 1 that loses its dimension is as lost as in flattening."""
    shape, numbers = call.input.shape, call.get("dim")
    numbers = range(len(shape)) if numbers is None else [numbers] if isinstance(numbers, int) else numbers
    gone = {number % len(shape) for number in numbers if shape[number] == 1}
    return _without(geometry, gone, call.reason("flattened"))


@of_one
def expand(call: Call, geometry: Geometry) -> Geometry:
    return union([geometry], call.shape, call.where)


@of_one
def repeat(call: Call, geometry: Geometry) -> Geometry:
    missing = len(call.shape) - len(geometry.dims)
    dims: list[Dim] = list(plain_dims(call.shape))
    for number, dim in enumerate(geometry.dims):
        if call["repeats"][number + missing] == 1:
            dims[number + missing] = dim
        else:
            geometry = geometry.mixed([number], call.reason("positions repeated"), "layout")
    return geometry.settled(tuple(dims), call.reason("positions repeated"))


@of_one
def slice_(call: Call, geometry: Geometry) -> Geometry:
    number, start = call["dim"] % len(call.shape), call.get("start", 0)
    before = call.input.shape[number]
    start = max(0, start + before) if start < 0 else min(start, before)
    return _cut(geometry, number, start, call["step"], call.shape[number], call)


@of_one
def split(call: Call, geometry: Geometry) -> list[Geometry]:
    number, start, parts = call.get("dim", 0) % len(call.shape), 0, []
    for output in call.outputs:
        parts.append(_cut(geometry, number, start, 1, output.shape[number], call))
        start += output.shape[number]
    return parts


@of_one
def select(call: Call, geometry: Geometry) -> Geometry:
    number = call["dim"] % len(call.input.shape)
    return _selected(geometry, number, call["index"] % call.input.shape[number], call)


@of_one
def unbind(call: Call, geometry: Geometry) -> list[Geometry]:
    number = call["dim"] % len(call.input.shape)
    return [_selected(geometry, number, index, call) for index in range(len(call.outputs))]


def concatenate(call: Call) -> Geometry:
    """Over channels: the union of the parts. Over an image axis the units don't form one map any more."""
    number, rank = call["dim"] % len(call.shape), len(call.shape)
    parts = [
        _plain_along(geometry, number, call.shape[number], call.reason("positions concatenated"))
        for geometry in call.geometries()
        if len(geometry.dims) == rank
    ]
    return union(parts, call.shape, call.where)


def stack(call: Call) -> Geometry:
    number = call["dim"] % len(call.shape)
    parts = [_unsqueezed(geometry, number) for geometry in call.geometries()]
    joint = union(parts, (*call.shape[:number], 1, *call.shape[number + 1 :]), call.where)
    return replace(joint, dims=replaced(joint.dims, number, plain(call.shape[number])))


@of_one
def roll(call: Call, geometry: Geometry) -> Geometry:
    """A shift; the border then touches the opposite border, which the note says."""
    if not call["dims"]:
        return call.everything("roll of flattened positions", "layout")
    for number, places in zip(call["dims"], call["shifts"], strict=True):
        number %= len(call.shape)
        size = call.shape[number]
        # The way round that is shorter: 47 of 48 to the right is 1 to the left.
        places = (places + size // 2) % size - size // 2 if size else 0
        geometry = geometry.zoomed(number)
        if not axes_of(geometry.dims[number]) or places == 0:
            continue
        if _is_inner(geometry, number):
            geometry = geometry.slid(number, around(places, size), size, "cyclic shift", call.where)
        elif len(geometry.dims[number]) > 1:
            geometry = geometry.mixed([number], call.reason("cyclic shift"), "layout")
        elif 4 * abs(places) > size > 1:
            reason = call.reason(f"cyclic shift by {abs(places)} of {size} positions")
            geometry = geometry.unbounded(axes_of(geometry.dims[number]), reason, "layout")
        else:
            geometry = geometry.slid(number, shift(-places), size, "cyclic shift", call.where)
            geometry = geometry.noted(f"cyclic shift in {call.where}: border units may see the opposite border")
    return geometry


@of_one
def flip(call: Call, geometry: Geometry) -> Geometry:
    if call.name == "rot90":
        return call.everything("rotated positions", "layout")
    for number in call["dims"]:
        number %= len(call.shape)
        geometry = geometry.mixed([number], call.reason("mirrored positions"), "layout")
    return geometry


@of_one
def pixel_shuffle(call: Call, geometry: Geometry) -> Geometry:
    """Channels become places: a place sees what the place it came from saw."""
    *batch, channels, height, width = call.shape
    factor, rank, reason = call["upscale_factor"], len(call.shape), call.reason("pixel shuffle of positions")
    shape = (*batch, channels, factor, factor, height // factor, width // factor)
    order = [*range(rank - 2), rank, rank - 2, rank + 1, rank - 1]
    if reshaped(geometry.dims, shape) is None:
        geometry = _plain_along(geometry, rank - 3, call.input.shape[-3], reason)
    return _reshaped(_permuted(_reshaped(geometry, shape, reason), order), call.shape, reason)


@of_one
def pixel_unshuffle(call: Call, geometry: Geometry) -> Geometry:
    """Places become channels."""
    *batch, channels, height, width = call.input.shape
    factor, rank, reason = call["downscale_factor"], len(call.shape), call.reason("pixel unshuffle of positions")
    shape = (*batch, channels, height // factor, factor, width // factor, factor)
    order = [*range(rank - 2), rank - 1, rank + 1, rank - 2, rank]
    return _reshaped(_permuted(_reshaped(geometry, shape, reason), order), call.shape, reason)


def index(call: Call) -> Geometry:
    """Advanced indexing by constants along one dimension without positions keeps the map; all else loses it."""
    geometry = call.input.geometry
    if geometry is None or len(call.geometries()) > 1:
        return call.everything("positions chosen by an index", "layout")
    numbers: list[Seen | None] = [None] * (call.get("dim", 0) % len(geometry.dims))
    numbers += call["indices"] if call.name == "index" else [call["index"]]
    used = [(number, item) for number, item in enumerate(numbers) if item is not None]
    (number, item), *more = used
    if more or axes_of(geometry.dims[number]):
        return call.everything("positions chosen by an index", "layout")
    return replace(geometry, dims=replaced(geometry.dims, number, *plain_dims(item.shape)))


def masked(call: Call) -> Geometry:
    """`x[mask] = number`, the mask as large as x. Positions that are chosen by numbers can't be judged."""
    indices, values = [seen for seen in call["indices"] if seen is not None], call["values"]
    if len(indices) != 1 or not indices[0].is_mask or indices[0].shape != call.input.shape or prod(values.shape) != 1:
        raise NotJudgedError(
            f"the operation aten.index_put in {call.where} writes to chosen positions: it can't be judged"
        )
    parts = [seen.geometry for seen in (call.input, indices[0]) if seen.geometry is not None]
    if values.geometry is not None:
        parts.append(call.everything("one number from many positions is written"))
    return union(parts, call.shape, call.where)


def embedding(call: Call) -> Geometry:
    """A row of a table for every number."""
    numbers: Geometry | None = call["indices"].geometry
    if numbers is None or call["weight"].geometry is not None:
        return call.everything("a table made from all positions")
    return replace(numbers, dims=(*numbers.dims, plain(call.shape[-1])))


def gather(call: Call) -> Geometry:
    number = call["dim"] % len(call.shape)
    other = [seen.shape[:number] + seen.shape[number + 1 :] for seen in (call["self"], call["index"])]
    if other[0] != other[1] or any(axes_of(geometry.dims[number]) for geometry in call.geometries()):
        return call.everything("positions chosen by an index", "layout")
    parts = [_plain_along(geometry, number, call.shape[number], call.where) for geometry in call.geometries()]
    return union(parts, call.shape, call.where)


@of_one
def channel_shuffle(call: Call, geometry: Geometry) -> Geometry:
    return _plain_along(geometry, 1, call.shape[1], call.reason("channel shuffle"))


@of_one
def as_complex(call: Call, geometry: Geometry) -> Geometry:
    """`view_as_real` and `view_as_complex`: a last dimension of 2 comes or goes."""
    longer = len(call.shape) > len(geometry.dims)
    return replace(geometry, dims=(*geometry.dims, plain(2)) if longer else geometry.dims[:-1])


def _reshaped(geometry: Geometry, shape: tuple[int, ...], reason: str) -> Geometry:
    dims = reshaped(geometry.dims, shape)
    if dims is None:
        return geometry.unbounded((0, 1), reason, "layout").settled(plain_dims(shape), reason)
    return replace(geometry, dims=dims)


def _permuted(geometry: Geometry, order: list[int]) -> Geometry:
    return replace(geometry, dims=tuple(geometry.dims[number] for number in order))


def _unsqueezed(geometry: Geometry, number: int) -> Geometry:
    return replace(geometry, dims=(*geometry.dims[:number], (), *geometry.dims[number:]))


def _is_inner(geometry: Geometry, number: int) -> bool:
    """True if a dimension is a part of an axis that repeats: the places of a window."""
    dim = geometry.dims[number]
    return len(dim) == 1 and dim[0].axis is not None and not is_outermost(geometry.dims, number)


def _cut(geometry: Geometry, number: int, start: int, step: int, size: int, call: Call) -> Geometry:
    if (start, step) == (0, 1) and size == call.input.shape[number]:
        return geometry
    geometry, reason = geometry.zoomed(number), call.reason("slice of flattened positions")
    dim = geometry.dims[number]
    if len(dim) != 1 or dim[0].axis is None:
        return _plain_along(geometry, number, size, reason)
    geometry = geometry.read(dim[0].axis, shift(start * dim[0].step), geometry.units(dim[0].axis))
    left = dim[0]._replace(size=size, step=dim[0].step * (step if size > 1 else 1))
    return geometry.settled(replaced(geometry.dims, number, (left,)), reason)


def _selected(geometry: Geometry, number: int, chosen: int, call: Call) -> Geometry:
    """One entry; of a dimension with channels every entry counts as all."""
    reason, dim = call.reason("a single position is selected"), geometry.dims[number]
    if len(dim) == 1 and dim[0].axis is not None:
        geometry = geometry.read(dim[0].axis, shift(chosen * dim[0].step), geometry.units(dim[0].axis))
        return geometry.settled(replaced(geometry.dims, number), reason)
    return _without(geometry, {number}, reason)


def _without(geometry: Geometry, gone: set[int], reason: str) -> Geometry:
    dims = tuple(dim for number, dim in enumerate(geometry.dims) if number not in gone)
    return geometry.mixed(gone, reason, "layout").settled(dims, reason)


def _plain_along(geometry: Geometry, number: int, size: int, reason: str) -> Geometry:
    """Every element sees all of one dimension, which has no positions then."""
    return geometry.mixed([number], reason, "layout").settled(replaced(geometry.dims, number, plain(size)), reason)


RULES: dict[str, Rule] = {
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "_reshape_alias", "unflatten", "flatten"), reshape),
    **dict.fromkeys(("permute", "transpose", "t", "swapaxes"), permute),
    **dict.fromkeys(("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "chunk"), split),
    **dict.fromkeys(("index", "index_select"), index),
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), channel_shuffle),
    **dict.fromkeys(("view_as_real", "view_as_complex", "_view_as_real"), as_complex),
    "unsqueeze": unsqueeze,
    "squeeze": squeeze,
    "expand": expand,
    "repeat": repeat,
    "slice": slice_,
    "select": select,
    "unbind": unbind,
    "cat": concatenate,
    "stack": stack,
    "roll": roll,
    **dict.fromkeys(("flip", "rot90"), flip),
    "embedding": embedding,
    "index_put": masked,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "gather": gather,
}
