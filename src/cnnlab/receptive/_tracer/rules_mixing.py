"""Operations that sum, compare or normalise over whole dimensions: products, reductions, norms, attention."""

from collections.abc import Iterable
from dataclasses import replace

from cnnlab.receptive._tracer.call import Call, Rule, Seen
from cnnlab.receptive._tracer.geometry import Geometry, union
from cnnlab.receptive._tracer.layout import Dim, Factor, axes_of, plain, plain_dims


def product(call: Call) -> Geometry:
    """`mm`, `bmm` and their sums: rows of the first, columns of the second, the inner dimension mixed.

    Where rows and columns are both positions (the scores of attention), an entry is taken to see all columns:
    the softmax that follows makes it so.
    """
    *added, left, right = [seen for seen in call.tensors() if len(seen.shape) > 0]
    both = left.geometry is not None and right.geometry is not None
    reason = call.reason("attention" if both else "linear layer over all positions")
    parts = [_mixed_left(call, left, reason)] if left.geometry is not None else []
    if right.geometry is not None:
        parts.append(_mixed_right(call, left, right, reason))
    parts += [seen.geometry for seen in added if seen.geometry is not None]
    joint = union(parts, call.shape, call.where)
    return joint.settled(joint.dims, reason)


def matrix_vector(call: Call) -> Geometry:
    return call.everything("linear layer over all positions")


def linear(call: Call) -> Geometry:
    image = call.input.geometry
    if image is None or len(call.geometries()) > 1:
        return call.everything("weights made from all positions")
    return _changed(image, call, [len(image.dims) - 1], "linear layer over all positions")


def distances(call: Call) -> Geometry:
    """`cdist`: rows of the first with rows of the second. A constant second is a codebook: rows keep their places."""
    left, right = call.tensors()[:2]
    if left.geometry is None or right.geometry is not None:
        return call.everything("distances between all positions")
    return _mixed_left(call, left, call.reason("distances over positions"))


def attention(call: Call) -> Geometry:
    """The fused kernels: query (.., L, E), key and value (.., S, E) -> (.., L, E)."""
    query, key, value = call.tensors()[:3]
    reason = f"attention in {call.where}"
    rank = len(query.shape)
    if call.name.startswith("_scaled_dot_product_flash_attention") and rank != 4:
        return call.everything("attention")
    parts = []
    if query.geometry is not None:
        mixed = query.geometry.mixed([rank - 1], reason)
        parts.append(replace(mixed, dims=(*mixed.dims[:-1], plain(call.shape[-1]))))
    for other in (key, value):
        if other.geometry is not None:
            mixed = other.geometry.mixed([rank - 2, rank - 1], reason)
            parts.append(replace(mixed, dims=(*mixed.dims[:-2], plain(call.shape[-2]), plain(call.shape[-1]))))
    joint = union(parts, call.shape, call.where)
    return joint.settled(joint.dims, reason)


def all_tokens(call: Call) -> Geometry:
    """Fused encoder layers: no finer answer than everything."""
    return call.everything("attention")


def recurrence(call: Call) -> list[Geometry]:
    """RNN, GRU, LSTM: every step sees the steps before it, in two directions all. What is a batch stays apart."""
    geometry, first = call.input.geometry, call["batch_first"]
    shapes = [tuple(output.shape) for output in call.outputs]
    if geometry is None or first is None or len(call.geometries()) > 1:
        return [replace(call.everything("recurrence"), dims=plain_dims(shape)) for shape in shapes]
    mixed = geometry.mixed([1 if first else 0, 2], call.reason("recurrence"))
    batch = mixed.dims[0 if first else 1]
    dims = [(*mixed.dims[:2], plain(shapes[0][2]))]
    dims += [(plain(shape[0]), batch, plain(shape[2])) for shape in shapes[1:]]
    return [mixed.settled(one, call.reason("recurrence")) for one in dims]


def reduction(call: Call) -> Geometry:
    """A sum, a mean, a maximum over dimensions; those that stay keep the map."""
    geometry, rank = call.input.geometry, len(call.input.shape)
    given = call.get("dim")
    numbers = _numbers(given, rank)
    pooling = call.name in ("mean", "amax", "max", "amin", "min", "sum", "var_mean", "std_mean", "var", "std")
    what = "global pooling" if pooling else "statistics over all positions"
    geometry = geometry.mixed(numbers, call.reason(what), "pooling" if pooling else "mixing")
    keep = len(call.shape) == rank and rank > 0
    dims: list[Dim] = []
    for number, dim in enumerate(geometry.dims):
        if number not in numbers:
            dims.append(dim)
        elif keep:
            # The axis stays, one unit long, where its whole extent was reduced.
            whole = len(dim) == 1 and dim[0].axis is not None and dim[0].step == 1
            dims.append((Factor(1, dim[0].axis),) if whole else ())
    return geometry.settled(tuple(dims), call.reason(what))


def along(call: Call) -> Geometry:
    """softmax, cumsum, sort, topk, Fourier transform: every entry along `dim` may see every other."""
    geometry = call.input.geometry
    numbers = _numbers(call.get("dim", -1), len(call.shape))
    what = f"{call.name.strip('_').replace('_', ' ')} over positions"
    if call.shape == call.input.shape:
        return geometry.mixed(numbers, call.reason(what))
    return _changed(geometry, call, numbers, what)


def batch_norm(call: Call) -> Geometry:
    """With running statistics elementwise; with those of the batch everything but the channel is mixed."""
    geometry = call.input.geometry
    if call.name == "_batch_norm_no_update" or not call.get("training", True):
        return geometry
    numbers = [number for number in range(len(call.shape)) if number != 1]
    what = call.label if call.label and "instance" in call.label else "batch statistics"
    return geometry.mixed(numbers, f"{what} in {call.where}")


def group_norm(call: Call) -> Geometry:
    return call.input.geometry.mixed(range(1, len(call.shape)), call.reason("group normalisation"))


def layer_norm(call: Call) -> Geometry:
    rank = len(call.shape)
    numbers = range(rank - len(call["normalized_shape"]), rank)
    return call.input.geometry.mixed(numbers, call.reason("layer normalisation over positions"))


def _mixed_left(call: Call, left: Seen, reason: str) -> Geometry:
    mixed = left.geometry.mixed([len(left.shape) - 1], reason)
    return replace(mixed, dims=(*mixed.dims[:-1], plain(call.shape[-1])))


def _mixed_right(call: Call, left: Seen, right: Seen, reason: str) -> Geometry:
    rank = len(right.shape)
    numbers = [rank - 2]
    columns = right.geometry.dims[-1]
    if left.geometry is not None and axes_of(left.geometry.dims[-2]) & axes_of(columns):
        numbers.append(rank - 1)
        columns = plain(call.shape[-1])
    mixed = right.geometry.mixed(numbers, reason)
    return replace(mixed, dims=(*mixed.dims[:-2], plain(call.shape[-2]), columns))


def _changed(geometry: Geometry, call: Call, numbers: Iterable[int], what: str) -> Geometry:
    """Mixed along `numbers`, which then have the new sizes and no positions."""
    mixed = geometry.mixed(numbers, call.reason(what))
    new = plain_dims(call.shape)
    dims = tuple(new[number] if number in numbers else dim for number, dim in enumerate(mixed.dims))
    return mixed.settled(dims, call.reason(what))


def _numbers(given: int | list[int] | None, rank: int) -> list[int]:
    if given is None or given == []:
        return list(range(rank))
    return [number % rank for number in ([given] if isinstance(given, int) else given)]


_REDUCTIONS = """
mean sum nansum amax amin max min aminmax prod var std var_mean std_mean norm linalg_vector_norm logsumexp all any
argmax argmin median nanmedian mode kthvalue count_nonzero
"""
_ALONG = """
_softmax softmax _safe_softmax _log_softmax log_softmax cumsum cumprod logcumsumexp cummax cummin sort topk argsort
_fft_r2c _fft_c2c _fft_c2r renorm
"""
_BATCH_NORMS = """
native_batch_norm cudnn_batch_norm miopen_batch_norm _native_batch_norm_legit _batch_norm_with_update
_batch_norm_no_update _native_batch_norm_legit_no_training
"""
_ATTENTION = """
_scaled_dot_product_flash_attention _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_attention_math scaled_dot_product_attention
_scaled_dot_product_fused_attention_overrideable
"""
_TOKENS = """
_native_multi_head_attention _transformer_encoder_layer_fwd
"""

RULES: dict[str, Rule] = {
    **dict.fromkeys(("mm", "bmm", "addmm", "baddbmm"), product),
    **dict.fromkeys(("mv", "addmv", "dot", "vdot", "addbmm"), matrix_vector),
    **dict.fromkeys(_REDUCTIONS.split(), reduction),
    **dict.fromkeys(_ALONG.split(), along),
    **dict.fromkeys(_BATCH_NORMS.split(), batch_norm),
    **dict.fromkeys(_ATTENTION.split(), attention),
    **dict.fromkeys(_TOKENS.split(), all_tokens),
    **dict.fromkeys(("native_layer_norm", "_fused_rms_norm"), layer_norm),
    **dict.fromkeys(("_cdist_forward", "_euclidean_dist"), distances),
    "linear": linear,
    "native_group_norm": group_norm,
}
