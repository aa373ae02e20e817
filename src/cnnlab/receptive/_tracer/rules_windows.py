"""Operations with a window: convolutions, pools, borders, resampling, patches."""

from dataclasses import replace
from fractions import Fraction

from cnnlab.receptive._tracer.call import Call, Rule, each
from cnnlab.receptive._tracer.geometry import Geometry, union
from cnnlab.receptive._tracer.layout import Factor, axes_of, is_whole, plain
from cnnlab.receptive._tracer.taps import (
    Taps,
    adaptive,
    antialiased,
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
        parts.append(_over_channels(call, image.geometry, rank - count - 1).windowed(
            windows, call.shape, "convolution", call.where
        ))  # fmt: skip
    for other in call.tensors()[1:]:
        if other.geometry is not None:
            mixed = other.geometry.mixed(range(len(other.shape)), call.reason("weights made from all positions"))
            parts.append(replace(mixed, dims=tuple(plain(size) for size in call.shape)))
    return union(parts, call.shape, call.where)


def pool(call: Call) -> Geometry:
    """Max, average and power pools in 1 to 3 dimensions; `stride` defaults to the kernel."""
    count = int(call.name[call.name.index("pool") + 4])
    kernel = each(call["kernel_size"], count)
    stride = each(call["stride"], count) if call.get("stride") else kernel
    padding, dilation = each(call.get("padding", 0), count), each(call.get("dilation", 1), count)
    geometry, first = call.input.geometry, len(call.shape) - count
    windows = {}
    for place in range(count):
        windows[first + place] = window(kernel[place], stride[place], padding[place], dilation[place])
        before = call.input.shape[first + place]
        if axes_of(geometry.dims[first + place]) and kernel[place] > 1 and kernel[place] >= before:
            geometry = geometry.noted(f"the window in {call.where} holds the whole map of this input size")
    return geometry.windowed(windows, call.shape, "pooling", call.where)


def adaptive_pool(call: Call) -> Geometry:
    """To 1: global, whatever the size of the map. To other sizes: the windows for this input size."""
    geometry, rank, windows = call.input.geometry, len(call.shape), {}
    count = len(each(call["output_size"], int(call.name.split("pool")[1][0])))
    for number in range(rank - count, rank):
        before, after = call.input.shape[number], call.shape[number]
        axes = axes_of(geometry.dims[number])
        if after == 1 and axes:
            geometry = geometry.mixed([number], call.reason("global pooling"), "pooling")
            geometry = _with_dim(geometry, number, (Factor(1, min(axes)),))
        elif axes:
            windows[number] = adaptive(before, after)
            geometry = geometry.noted(f"adaptive pooling of {before} to {after} in {call.where}: for this input size")
        else:
            geometry = _with_dim(geometry, number, plain(after))
    return geometry.windowed(windows, call.shape, "adaptive pooling", call.where)


def pad(call: Call) -> Geometry:
    """Any border; mirrored and repeated pixels count as the places where they are put."""
    amounts = call.get("pad", call.get("padding"))
    geometry, rank, windows = call.input.geometry, len(call.shape), {}
    for place in range(len(amounts) // 2):
        number = rank - 1 - place
        if amounts[2 * place] == amounts[2 * place + 1] == 0:
            continue
        if axes_of(geometry.dims[number]):
            windows[number] = shift(-amounts[2 * place])
            if call.name == "circular_pad":
                note = f"circular border in {call.where}: border units may see the opposite border"
                geometry = geometry.noted(note)
        else:
            geometry = _with_dim(geometry, number, plain(call.shape[number]))
    return geometry.windowed(windows, call.shape, "border", call.where)


def upsample(call: Call) -> Geometry:
    """Nearest, linear, cubic, with the exact neighbours of every place."""
    geometry, rank, windows = call.input.geometry, len(call.shape), {}
    count = rank - 2
    scales = call.get("scale_factors") or [call.get(name) for name in ("scales_d", "scales_h", "scales_w")][-count:]
    if count == 1 and "scale_factors" not in call.arguments:
        scales = [call.get("scales")]
    corners = bool(call.get("align_corners", False))
    for place, number in enumerate(range(2, rank)):
        before, after = call.input.shape[number], call.shape[number]
        if before == 1 and after > 1:
            reason = call.reason("one position is spread over all")
            geometry = geometry.unbounded(axes_of(geometry.dims[number]), reason)
        scale = scales[place] if place < len(scales) else None
        windows[number] = _taps(call.name, before, after, scale, corners)
        if corners and after != before:
            note = f"align_corners in {call.where}: positions depend on the size, these are for this input size"
            geometry = geometry.noted(note)
    return geometry.windowed(windows, call.shape, "resampling", call.where)


def im2col(call: Call) -> Geometry:
    """`F.unfold`: (B, C, H, W) -> (B, C kh kw, places); a unit has all channels of its place.

    That is exact once the channels are mixed, and too large a field where they never are; hence the note.
    """
    settings = [each(call[name], 2) for name in ("kernel_size", "stride", "padding", "dilation")]
    places = [
        (size + 2 * pad_ - dilation * (kernel - 1) - 1) // stride + 1
        for size, kernel, stride, pad_, dilation in zip(call.input.shape[-2:], *settings, strict=True)
    ]
    geometry = call.input.geometry.noted(f"patches in {call.where}: every entry counts as its whole patch")
    rank = len(geometry.dims)
    windows = {rank - 2 + axis: window(*(setting[axis] for setting in settings)) for axis in (0, 1)}
    shape = (*call.input.shape[:-2], *places)
    result = _over_channels(call, geometry, rank - 3, shape).windowed(windows, shape, "patches", call.where)
    dims = (*result.dims[: rank - 3], plain(call.shape[-2]), result.dims[-2] + result.dims[-1])
    return replace(result, dims=dims)


def col2im(call: Call) -> Geometry:
    """`F.fold`: overlapping patches are added, as a transposed convolution does."""
    geometry, rank = call.input.geometry, len(call.shape)
    places = geometry.dims[-1]
    if [factor.axis for factor in places] != [0, 1]:
        return call.everything("patches put over rearranged positions")
    dims = (*geometry.dims[:-2], plain(call.shape[-3]), (places[0],), (places[1],))
    settings = [each(call[name], 2) for name in ("kernel_size", "stride", "padding", "dilation")]
    windows = {rank - 2 + axis: transposed(*(setting[axis] for setting in settings)) for axis in (0, 1)}
    return replace(geometry, dims=dims).windowed(windows, call.shape, "patches", call.where)


def unfold(call: Call) -> Geometry:
    """`Tensor.unfold`: a last dimension with the entries of each window; a unit has them all."""
    number = call["dimension"] % len(call.input.shape)
    geometry = call.input.geometry
    if axes_of(geometry.dims[number]):
        moving = {number: window(call["size"], call["step"], 0, 1)}
        if not is_whole(geometry.dims, number):
            return call.everything("windows over rearranged positions", "layout")
        if call["step"] < call["size"]:
            geometry = geometry.noted(f"patches in {call.where}: every entry counts as its whole patch")
        geometry = geometry.windowed(moving, call.shape[:-1], "windows", call.where)
    else:
        geometry = _with_dim(geometry, number, plain(call.shape[number]))
    return replace(geometry, dims=(*geometry.dims, plain(call["size"])))


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


def _over_channels(call: Call, geometry: Geometry, number: int, shape: tuple[int, ...] = ()) -> Geometry:
    geometry = geometry.mixed([number], call.reason("sum over positions"))
    return _with_dim(geometry, number, plain((shape or call.shape)[number]))


def _with_dim(geometry: Geometry, number: int, dim: tuple[Factor, ...]) -> Geometry:
    return replace(geometry, dims=(*geometry.dims[:number], dim, *geometry.dims[number + 1 :]))


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
    "im2col": im2col,
    "col2im": col2im,
    "unfold": unfold,
}
