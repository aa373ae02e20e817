"""Operations that move elements without computing: reshapes, permutations, slices, joins."""

from dataclasses import replace
from fractions import Fraction
from math import prod

from cnnlab.receptive._tracer.call import Call, NotJudgedError, Rule
from cnnlab.receptive._tracer.geometry import Geometry, union
from cnnlab.receptive._tracer.layout import Dim, Dims, Factor, axes_of, is_whole, plain, plain_dims, reshaped
from cnnlab.receptive._tracer.taps import nearest, shift, window


def reshape(call: Call) -> Geometry:
    geometry = call.input.geometry
    dims = reshaped(geometry.dims, call.shape)
    if dims is None:
        return geometry.unbounded((0, 1), call.reason("reshape across positions"), "layout").settled(
            plain_dims(call.shape), call.reason("reshape across positions")
        )
    return replace(geometry, dims=dims).zoomed(range(len(dims)))


def permute(call: Call) -> Geometry:
    geometry = call.input.geometry
    rank = len(geometry.dims)
    order = list(range(rank))
    if call.name == "permute":
        order = [number % rank for number in call["dims"]]
    elif rank > 1:
        one, other = (0, 1) if call.name == "t" else (call["dim0"] % rank, call["dim1"] % rank)
        order[one], order[other] = order[other], order[one]
    return replace(geometry, dims=tuple(geometry.dims[number] for number in order))


def unsqueeze(call: Call) -> Geometry:
    geometry = call.input.geometry
    number = call["dim"] % (len(geometry.dims) + 1)
    return replace(geometry, dims=(*geometry.dims[:number], (), *geometry.dims[number:]))


def squeeze(call: Call) -> Geometry:
    """An axis of size 1 that loses its dimension is as lost as in flattening."""
    geometry, shape = call.input.geometry, call.input.shape
    given = call.get("dim")
    asked = range(len(shape)) if given is None else [given] if isinstance(given, int) else given
    gone = {number % len(shape) for number in asked if shape[number] == 1}
    return _without(geometry, gone, call.reason("flattened"))


def expand(call: Call) -> Geometry:
    return union([call.input.geometry], call.shape, call.where)


def repeat(call: Call) -> Geometry:
    geometry = call.input.geometry
    missing = len(call.shape) - len(geometry.dims)
    dims: list[Dim] = list(plain_dims(call.shape))
    for number, dim in enumerate(geometry.dims):
        if call["repeats"][number + missing] == 1:
            dims[number + missing] = dim
        else:
            geometry = geometry.unbounded(axes_of(dim), call.reason("positions repeated"), "layout")
    return replace(geometry, dims=tuple(dims))


def slice_(call: Call) -> Geometry:
    geometry, number = call.input.geometry, call["dim"] % len(call.shape)
    before = call.input.shape[number]
    start = call.get("start", 0)
    start = max(0, start + before) if start < 0 else min(start, before)
    return _cut(geometry, number, start, call["step"], call.shape[number], call)


def split(call: Call) -> list[Geometry]:
    number, start, parts = call.get("dim", 0) % len(call.shape), 0, []
    for output in call.outputs:
        parts.append(_cut(call.input.geometry, number, start, 1, output.shape[number], call))
        start += output.shape[number]
    return parts


def select(call: Call) -> Geometry:
    number = call["dim"] % len(call.input.shape)
    return _selected(call, number, call["index"] % call.input.shape[number])


def unbind(call: Call) -> list[Geometry]:
    number = call["dim"] % len(call.input.shape)
    return [_selected(call, number, index) for index in range(len(call.outputs))]


def concatenate(call: Call) -> Geometry:
    """Over channels: the union of the parts. Over an image axis the units don't form one map any more."""
    number, rank = call["dim"] % len(call.shape), len(call.shape)
    parts = [
        _replaced(geometry, number, plain(call.shape[number]), call, "positions concatenated")
        for geometry in call.geometries()
        if len(geometry.dims) == rank
    ]
    return union(parts, call.shape, call.where)


def stack(call: Call) -> Geometry:
    number = call["dim"] % len(call.shape)
    parts = [
        replace(geometry, dims=(*geometry.dims[:number], (), *geometry.dims[number:])) for geometry in call.geometries()
    ]
    dims = plain(call.shape[number])
    joint = union(parts, (*call.shape[:number], 1, *call.shape[number + 1 :]), call.where)
    return replace(joint, dims=(*joint.dims[:number], dims, *joint.dims[number + 1 :]))


def roll(call: Call) -> Geometry:
    """A shift; the border then touches the opposite border, which the note says."""
    geometry = call.input.geometry
    if not call["dims"]:
        return call.everything("roll of flattened positions", "layout")
    for number, places in zip(call["dims"], call["shifts"], strict=True):
        number %= len(call.shape)
        size = call.shape[number]
        # The way round that is shorter: 47 of 48 to the right is 1 to the left.
        places = (places + size // 2) % size - size // 2 if size else 0
        if not axes_of(geometry.dims[number]) or places == 0:
            continue
        if not is_whole(geometry.dims, number):
            geometry = geometry.unbounded(axes_of(geometry.dims[number]), call.reason("cyclic shift"), "layout")
        elif 4 * abs(places) > size > 1:
            reason = call.reason(f"cyclic shift by {abs(places)} of {size} positions")
            geometry = geometry.unbounded(axes_of(geometry.dims[number]), reason, "layout")
        else:
            geometry = geometry.read(geometry.dims[number][0].axis, shift(-places))
            geometry = geometry.noted(f"cyclic shift in {call.where}: border units may see the opposite border")
    return geometry


def flip(call: Call) -> Geometry:
    geometry = call.input.geometry
    if call.name == "rot90":
        return call.everything("turned positions", "layout")
    for number in call["dims"]:
        geometry = geometry.unbounded(axes_of(geometry.dims[number]), call.reason("mirrored positions"), "layout")
    return geometry


def pixel_shuffle(call: Call) -> Geometry:
    """Channels become places: a place sees what the place it came from saw."""
    geometry, rank = call.input.geometry, len(call.shape)
    geometry = geometry.mixed([rank - 3], call.reason("pixel shuffle of positions"))
    dims = (*geometry.dims[: rank - 3], plain(call.shape[-3]), *geometry.dims[rank - 2 :])
    zoom = nearest(Fraction(1, call["upscale_factor"]))
    what = "pixel shuffle"
    return replace(geometry, dims=dims).windowed({rank - 2: zoom, rank - 1: zoom}, call.shape, what, call.where)


def pixel_unshuffle(call: Call) -> Geometry:
    """Places become channels; a unit has all channels of its place, so it sees the whole block."""
    factor, rank = call["downscale_factor"], len(call.shape)
    block = window(factor, factor, 0, 1)
    windows = {rank - 2: block, rank - 1: block}
    result = call.input.geometry.windowed(windows, call.shape, "pixel unshuffle", call.where)
    return replace(result, dims=(*result.dims[: rank - 3], plain(call.shape[-3]), *result.dims[rank - 2 :]))


def index(call: Call) -> Geometry:
    """Advanced indexing by constants along one dimension without positions keeps the map; all else loses it."""
    geometry = call.input.geometry
    given = call["indices"] if call.name == "index" else [None] * (call["dim"] % len(geometry.dims)) + [call["index"]]
    used = [number for number, item in enumerate(given) if item is not None]
    constant = all(given[number].geometry is None for number in used)
    if geometry is None or not constant or len(used) != 1 or axes_of(geometry.dims[used[0]]):
        return call.everything("positions chosen by an index", "layout")
    number = used[0]
    inner = plain_dims(given[number].shape)
    return replace(geometry, dims=(*geometry.dims[:number], *inner, *geometry.dims[number + 1 :]))


def masked(call: Call) -> Geometry:
    """`x[mask] = number`, the mask as large as x. Positions that are chosen by numbers can't be judged."""
    indices, values = [one for one in call["indices"] if one is not None], call["values"]
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
    numbers = call["indices"].geometry
    if numbers is None or call["weight"].geometry is not None:
        return call.everything("a table made from all positions")
    return replace(numbers, dims=(*numbers.dims, plain(call.shape[-1])))


def gather(call: Call) -> Geometry:
    number = call["dim"] % len(call.shape)
    if any(axes_of(geometry.dims[number]) for geometry in call.geometries()):
        return call.everything("positions chosen by an index", "layout")
    parts = [_replaced(geometry, number, plain(call.shape[number]), call, "") for geometry in call.geometries()]
    return union(parts, call.shape, call.where)


def channel_shuffle(call: Call) -> Geometry:
    geometry = call.input.geometry.mixed([1], call.reason("channel shuffle"))
    return _replaced(geometry, 1, plain(call.shape[1]), call, "channel shuffle")


def as_complex(call: Call) -> Geometry:
    """`view_as_real` and `view_as_complex`: a last dimension of 2 comes or goes."""
    geometry = call.input.geometry
    longer = len(call.shape) > len(geometry.dims)
    return replace(geometry, dims=(*geometry.dims, plain(2)) if longer else geometry.dims[:-1])


def _cut(geometry: Geometry, number: int, start: int, step: int, size: int, call: Call) -> Geometry:
    dim = geometry.dims[number]
    if (start, step) == (0, 1) and size == call.input.shape[number]:
        return geometry
    if len(dim) == 1 and dim[0].axis is not None:
        geometry = geometry.read(dim[0].axis, shift(start * dim[0].step))
        dims = _put(geometry.dims, number, (Factor(size, dim[0].axis, dim[0].step * step),))
        return geometry.settled(dims, call.reason("slice"))
    return _replaced(geometry, number, plain(size), call, "slice of flattened positions")


def _selected(call: Call, number: int, chosen: int) -> Geometry:
    geometry = call.input.geometry
    dim = geometry.dims[number]
    if len(dim) == 1 and dim[0].axis is not None:
        geometry = geometry.read(dim[0].axis, shift(chosen * dim[0].step))
        reason = call.reason("a single position is selected")
        return geometry.settled((*geometry.dims[:number], *geometry.dims[number + 1 :]), reason)
    return _without(geometry, {number}, call.reason("a single position is selected"))


def _without(geometry: Geometry, gone: set[int], reason: str) -> Geometry:
    geometry = geometry.mixed(gone, reason, "layout")
    dims = tuple(dim for number, dim in enumerate(geometry.dims) if number not in gone)
    return geometry.settled(dims, reason)


def _replaced(geometry: Geometry, number: int, dim: Dim, call: Call, what: str) -> Geometry:
    geometry = geometry.mixed([number], call.reason(what), "layout")
    return geometry.settled(_put(geometry.dims, number, dim), call.reason(what))


def _put(dims: Dims, number: int, dim: Dim) -> Dims:
    return (*dims[:number], dim, *dims[number + 1 :])


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
