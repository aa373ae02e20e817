"""Operations with a window: convolutions, pools, borders, resampling, patches."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from cnnlab._choices import UsageError
from cnnlab.receptive._tracer.call import Call, Rule, Seen, each, of_one
from cnnlab.receptive._tracer.geometry import Geometry, union
from cnnlab.receptive._tracer.intervals import IDENTITY
from cnnlab.receptive._tracer.layout import Factor, axes_of, is_outermost, plain, plain_dims, replaced
from cnnlab.receptive._tracer.taps import (
    Taps,
    adaptive,
    antialiased,
    backwards,
    everywhere,
    interpolated,
    nearest_in_singles,
    shift,
    transposed,
    window,
)


def convolution(call: Call) -> Geometry:
    """Channels are mixed, windows slide; weights that were computed from the image are mixed in whole."""
    image, weight = call.tensors()[:2]
    count, rank = len(weight.shape) - 2, len(call.shape)
    parts = []
    if image.geometry is not None:
        kind = transposed if call.get("transposed", False) else window
        settings = [each(call[name], count) for name in ("stride", "padding", "dilation")]
        windows = {
            rank - count + place: kind(weight.shape[2 + place], *(setting[place] for setting in settings))
            for place in range(count)
        }
        summed = _over_channels(call, image.geometry, rank - count - 1, call.shape[rank - count - 1])
        parts.append(summed.windowed(windows, call.shape, "convolution", call.where))
    reason = call.reason("weights made from all positions")
    for other in call.tensors()[1:]:
        if other.geometry is not None:
            parts.append(other.geometry.unbounded((0, 1), reason).settled(plain_dims(call.shape), reason))
    return union(parts, call.shape, call.where)


def check_channels(arguments: Mapping[str, object], where: str) -> None:
    """Raises UsageError where a convolution doesn't take this number of channels; torch's words are less clear."""
    image, weight, groups = (arguments[name] for name in ("input", "weight", "groups"))
    assert isinstance(image, Seen)
    assert isinstance(weight, Seen)
    assert isinstance(groups, int)
    wanted = weight.shape[0] if arguments["transposed"] else weight.shape[1] * groups
    channels = image.shape[1 - len(weight.shape)] if len(image.shape) >= len(weight.shape) - 1 else wanted
    if channels != wanted:
        first = image.geometry is not None and image.geometry.maps == (IDENTITY, IDENTITY)
        who = "the network" if first else f"the convolution in {where}"
        raise UsageError(f"{who} wants {wanted} channels, got {channels}")


@of_one
def pool(call: Call, geometry: Geometry) -> Geometry | list[Geometry]:
    """Max, average and power pools in 1 to 3 dimensions."""
    windows = _pool_windows(call)
    for number in windows:
        kernel, before = len(windows[number].reads(0)), call.input.shape[number]
        if kernel > 1 and kernel >= before and is_outermost(geometry.dims, number):
            geometry = geometry.noted(f"the window in {call.where} holds the whole map of this input size")
    return geometry.windowed(windows, call.shape, "pooling", call.where)


def _pool_windows(call: Call) -> dict[int, Taps]:
    """Of each dimension the pool's windows; `stride` defaults to the kernel."""
    count = int(call.name[call.name.index("pool") + 4])
    kernel = each(call["kernel_size"], count)
    stride = each(call["stride"], count) if call.get("stride") else kernel
    settings = kernel, stride, each(call.get("padding", 0), count), each(call.get("dilation", 1), count)
    first = len(call.shape) - count
    return {first + place: window(*numbers) for place, numbers in enumerate(zip(*settings, strict=True))}


def unpool(call: Call) -> Geometry:
    """`F.max_unpool2d`: a place gets the maximum of a window that holds it, or 0 where the maximum lay elsewhere."""
    values, places = call.tensors()
    pooling = places.origin
    if pooling is None or pooling.input.shape[-2:] != call.shape[-2:]:
        return call.everything("unpooling at computed places", "layout")
    windows = {number: backwards(taps) for number, taps in _pool_windows(pooling).items()}
    parts = [seen.geometry for seen in (values, places) if seen.geometry is not None]
    return union(parts, values.shape, call.where).windowed(windows, call.shape, "unpooling", call.where)


@of_one
def adaptive_pool(call: Call, geometry: Geometry) -> Geometry:
    """To 1: global, whatever the size of the map. To other sizes: the windows for this input size."""
    rank = len(call.shape)
    for number in range(rank - len(each(call["output_size"], int(call.name.split("pool")[1][0]))), rank):
        before, after = call.input.shape[number], call.shape[number]
        dim = geometry.dims[number]
        if after == 1 and axes_of(dim):
            reason = call.reason("global pooling")
            left = dim[0]._replace(size=1) if len(dim) == 1 else Factor(1, min(axes_of(dim)))
            mixed = geometry.mixed([number], reason, "pooling")
            geometry = mixed.settled(replaced(geometry.dims, number, (left,)), reason)
            continue
        if axes_of(dim):
            geometry = geometry.noted(f"adaptive pooling of {before} to {after} in {call.where}: for this input size")
        windows = {number: adaptive(before, after)}
        geometry = geometry.windowed(windows, call.shape, "adaptive pooling", call.where)
    return geometry


@of_one
def pad(call: Call, geometry: Geometry) -> Geometry:
    """A border; of the whole map, mirrored and repeated pixels count as the places where they are put."""
    amounts, rank = call.get("pad", call.get("padding")), len(call.shape)
    for place in range(len(amounts) // 2):
        number, before = rank - 1 - place, amounts[2 * place]
        if before == amounts[2 * place + 1] == 0:
            continue
        size, taps = call.input.shape[number], shift(-before)
        if is_outermost(geometry.dims, number):
            if call.name == "circular_pad":
                note = f"circular border in {call.where}: border units may see the opposite border"
                geometry = geometry.noted(note)
        elif call.name != "constant_pad_nd":  # inside of a window the border is made of the window
            taps = everywhere(size)
        geometry = geometry.windowed({number: taps}, call.shape, "border", call.where)
    return geometry


@of_one
def upsample(call: Call, geometry: Geometry) -> Geometry:
    """Nearest, linear, cubic, with the exact neighbours of every place."""
    rank, windows = len(call.shape), {}
    count = rank - 2
    scales = call.get("scale_factors") or [call.get(name) for name in ("scales_d", "scales_h", "scales_w")][-count:]
    if count == 1 and "scale_factors" not in call.arguments:
        scales = [call.get("scales")]
    corners = bool(call.get("align_corners", False))
    for place, number in enumerate(range(2, rank)):
        before, after = call.input.shape[number], call.shape[number]
        if before == 1 and after > 1 and is_outermost(geometry.dims, number):
            reason = call.reason("one position is spread over all")
            geometry = geometry.unbounded(axes_of(geometry.dims[number]), reason)
        scale = scales[place] if place < len(scales) else None
        windows[number] = _taps(call.name, before, after, scale, corners)
        if corners and after != before:
            note = f"align_corners in {call.where}: positions depend on the size, these are for this input size"
            geometry = geometry.noted(note)
    return geometry.windowed(windows, call.shape, "resampling", call.where)


@of_one
def im2col(call: Call, geometry: Geometry) -> Geometry:
    """`F.unfold`: (B, C, H, W) -> (B, C kh kw, places); a unit has all channels of its place.

    That is exact once the channels are mixed, and too large a field where they never are; hence the note.
    """
    settings = [each(call[name], 2) for name in ("kernel_size", "stride", "padding", "dilation")]
    places = [
        (size + 2 * pad_ - dilation * (kernel - 1) - 1) // stride + 1
        for size, kernel, stride, pad_, dilation in zip(call.input.shape[-2:], *settings, strict=True)
    ]
    geometry = geometry.noted(f"patches in {call.where}: every entry counts as its whole patch")
    rank = len(geometry.dims)
    windows = {rank - 2 + axis: window(*(setting[axis] for setting in settings)) for axis in (0, 1)}
    shape = (*call.input.shape[:-2], *places)
    summed = _over_channels(call, geometry, rank - 3, call.shape[-2])
    result = summed.windowed(windows, shape, "patches", call.where)
    return replace(result, dims=(*result.dims[:-2], result.dims[-2] + result.dims[-1]))


@of_one
def col2im(call: Call, geometry: Geometry) -> Geometry:
    """`F.fold`: overlapping patches are added, as a transposed convolution does."""
    rank, places = len(call.shape), geometry.dims[-1]
    if [factor.axis for factor in places] != [0, 1]:
        return call.everything("patches put over rearranged positions")
    summed = _over_channels(call, geometry, rank - 3, call.shape[-3])
    spread = replace(summed, dims=(*summed.dims[:-1], summed.dims[-1][:1], summed.dims[-1][1:]))
    settings = [each(call[name], 2) for name in ("kernel_size", "stride", "padding", "dilation")]
    windows = {rank - 2 + axis: transposed(*(setting[axis] for setting in settings)) for axis in (0, 1)}
    return spread.windowed(windows, call.shape, "patches", call.where)


@of_one
def unfold(call: Call, geometry: Geometry) -> Geometry:
    """`Tensor.unfold`: a last dimension with the entries of each window; a unit has them all."""
    number = call["dimension"] % len(call.input.shape)
    windows = {number: window(call["size"], call["step"], 0, 1)}
    if axes_of(geometry.dims[number]) and call["step"] < call["size"]:
        geometry = geometry.noted(f"patches in {call.where}: every entry counts as its whole patch")
    result = geometry.windowed(windows, call.shape[:-1], "windows", call.where)
    return replace(result, dims=(*result.dims, plain(call["size"])))


def sampled(call: Call) -> Geometry:
    return call.everything("sampling at computed places")


def _taps(name: str, before: int, after: int, scale: float | None, corners: bool) -> Taps:
    """`scale` is the factor that the caller gave, None where torch computes it from the sizes."""
    if scale is None or scale <= 0 or before * scale == after or _sets_aside(name, before, after):
        scale = None
    ratio = Fraction(before, after) if scale is None else Fraction(1 / scale).limit_denominator(10_000)
    reach = 2 if "bicubic" in name else 1
    if "nearest" in name:
        factor = before / after if scale is None else 1 / scale
        return nearest_in_singles(ratio, after, factor, centred="exact" in name)
    if corners:
        ratio = Fraction(before - 1, after - 1) if min(before, after) > 1 else ratio
    elif name.endswith("_aa"):
        return antialiased(ratio, reach)
    return interpolated(ratio, reach, align_corners=corners)


def _sets_aside(name: str, before: int, after: int) -> bool:
    """True where torch copies or doubles a map, whatever scale was given."""
    if "exact" in name or name == "upsample_bicubic2d":
        return False
    return after == before or ("nearest" in name and after == 2 * before)


def _over_channels(call: Call, geometry: Geometry, number: int, size: int) -> Geometry:
    reason = call.reason("sum over positions")
    return geometry.mixed([number], reason).settled(replaced(geometry.dims, number, plain(size)), reason)


_POOLS = [f"{kind}_pool{count}d" for kind in ("max", "avg") for count in (1, 2, 3)]
_POOLS += [f"max_pool{count}d_with_indices" for count in (1, 2, 3)]
_MODES = ("nearest1d", "nearest2d", "nearest3d", "linear1d", "bilinear2d", "bicubic2d", "trilinear3d")

RULES: dict[str, Rule] = {
    **dict.fromkeys(("convolution", "_convolution"), convolution),
    **dict.fromkeys(_POOLS, pool),
    **{f"{prefix}adaptive_avg_pool{count}d": adaptive_pool for prefix in ("", "_") for count in (1, 2, 3)},
    **{f"adaptive_max_pool{count}d": adaptive_pool for count in (1, 2, 3)},
    **{f"{kind}_pad{count}d": pad for kind in ("reflection", "replication") for count in (1, 2, 3)},
    **dict.fromkeys(("constant_pad_nd", "circular_pad"), pad),
    **{f"upsample_{mode}": upsample for mode in _MODES},
    **{f"_upsample_nearest_exact{count}d": upsample for count in (1, 2, 3)},
    **{f"_upsample_{mode}_aa": upsample for mode in ("bilinear2d", "bicubic2d")},
    **dict.fromkeys(("grid_sampler_2d", "grid_sampler", "torchvision::deform_conv2d"), sampled),
    **dict.fromkeys(("torchvision::roi_align", "torchvision::roi_pool", "torchvision::ps_roi_align"), sampled),
    "max_unpool2d": unpool,
    "im2col": im2col,
    "col2im": col2im,
    "unfold": unfold,
}
