"""Operations that sum, compare or normalise over whole dimensions: products, reductions, norms, attention."""

from collections.abc import Iterable
from dataclasses import replace

from cnnlab.receptive._tracer.call import Call, Rule, of_one
from cnnlab.receptive._tracer.geometry import Geometry, union
from cnnlab.receptive._tracer.layout import Dim, axes_of, plain, plain_dims


def product(call: Call) -> Geometry:
    """`mm`, `bmm` and their sums: rows of the first, columns of the second, the inner dimension mixed.

    Where rows and columns are both positions (the scores of attention), an entry is taken to see all columns:
    the softmax that follows makes it so.
    """
    *added, left, right = [seen for seen in call.tensors() if len(seen.shape) > 0]
    both = left.geometry is not None and right.geometry is not None
    reason = call.reason("attention" if both else "linear layer over all positions")
    parts = []
    if left.geometry is not None:
        parts.append(_rows(call, left.geometry, reason))
    if right.geometry is not None:
        rows = axes_of(left.geometry.dims[-2]) if left.geometry is not None else set()
        parts.append(_columns(call, right.geometry, rows, reason))
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
    return _rows(call, left.geometry, call.reason("distances over positions"))


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
    """Fused encoder layers: nothing finer than everything."""
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


@of_one
def reduction(call: Call, geometry: Geometry) -> Geometry:
    """A sum, a mean, a maximum over dimensions; those that stay keep the map."""
    rank = len(call.input.shape)
    numbers = _numbers(call.get("dim"), rank)
    pooling = call.name in ("mean", "amax", "max", "amin", "min", "sum", "var_mean", "std_mean", "var", "std")
    reason = call.reason("global pooling" if pooling else "statistics over all positions")
    mixed = geometry.mixed(numbers, reason, "pooling" if pooling else "mixing")
    keep = len(call.shape) == rank and rank > 0
    dims: list[Dim] = []
    for number, dim in enumerate(geometry.dims):
        if number not in numbers:
            dims.append(dim)
        elif keep:
            # A part of an axis stays, one unit long.
            dims.append((dim[0]._replace(size=1),) if len(dim) == 1 and dim[0].axis is not None else ())
    return mixed.settled(tuple(dims), reason)


@of_one
def along(call: Call, geometry: Geometry) -> Geometry:
    """softmax, cumsum, sort, topk, Fourier transform: every entry along `dim` may see every other."""
    numbers = _numbers(call.get("dim", -1), len(call.shape))
    words = f"{call.name.strip('_').replace('_', ' ')} over positions"
    if call.shape == call.input.shape:
        return geometry.mixed(numbers, call.reason(words))
    return _changed(geometry, call, numbers, words)


@of_one
def batch_norm(call: Call, geometry: Geometry) -> Geometry:
    """With running statistics elementwise; with those of the batch everything but the channel is mixed."""
    if call.name == "_batch_norm_no_update" or not call.get("training", True):
        return geometry
    numbers = [number for number in range(len(call.shape)) if number != 1]
    words = call.label if call.label and "instance" in call.label else "batch statistics"
    return geometry.mixed(numbers, f"{words} in {call.where}")


@of_one
def group_norm(call: Call, geometry: Geometry) -> Geometry:
    return geometry.mixed(range(1, len(call.shape)), call.reason("group normalisation"))


@of_one
def layer_norm(call: Call, geometry: Geometry) -> Geometry:
    rank = len(call.shape)
    numbers = range(rank - len(call["normalized_shape"]), rank)
    return geometry.mixed(numbers, call.reason("layer normalisation over positions"))


def _rows(call: Call, left: Geometry, reason: str) -> Geometry:
    mixed = left.mixed([len(left.dims) - 1], reason)
    return replace(mixed, dims=(*left.dims[:-1], plain(call.shape[-1])))


def _columns(call: Call, right: Geometry, rows: set[int], reason: str) -> Geometry:
    """`rows`: the axes that the rows of the left factor step over."""
    rank, columns = len(right.dims), right.dims[-1]
    numbers = [rank - 2]
    if rows & axes_of(columns):
        numbers.append(rank - 1)
        columns = plain(call.shape[-1])
    return replace(right.mixed(numbers, reason), dims=(*right.dims[:-2], plain(call.shape[-2]), columns))


def _changed(geometry: Geometry, call: Call, numbers: Iterable[int], words: str) -> Geometry:
    """Mixed along `numbers`, which then have the new sizes and no positions."""
    mixed = geometry.mixed(numbers, call.reason(words))
    new = plain_dims(call.shape)
    dims = tuple(new[number] if number in numbers else dim for number, dim in enumerate(mixed.dims))
    return mixed.settled(dims, call.reason(words))


def _numbers(dims: int | list[int] | None, rank: int) -> list[int]:
    if dims is None or dims == []:
        return list(range(rank))
    return [number % rank for number in ([dims] if isinstance(dims, int) else dims)]


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
