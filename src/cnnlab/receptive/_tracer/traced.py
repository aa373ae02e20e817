"""A tensor without values that knows its geometry. Every torch operation on it goes through the rules.

It claims the shape, dtype and device of the tensor it stands for, and computes shapes on torch's meta device, so
nothing is computed and nothing is written. Operations without such a tensor (parameters, index tables, masks)
are not touched: they run as they always do.
"""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from weakref import WeakSet

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from cnnlab.receptive._tracer import rules_mixing, rules_windows
from cnnlab.receptive._tracer.call import Call, NotJudgedError, Seen
from cnnlab.receptive._tracer.geometry import Geometry, union
from cnnlab.receptive._tracer.layout import axes_of, plain
from cnnlab.receptive._tracer.operations import (
    Arguments,
    Keywords,
    Operation,
    geometries,
    named,
    rule_of,
    short_name,
    written,
)

# What nn.RNN, nn.GRU and nn.LSTM call.
RECURRENT = tuple(getattr(torch, name) for name in ("rnn_tanh", "rnn_relu", "gru", "lstm"))
# Functions whose name is a better reason than that of the operations they are made of.
LABELS = {
    F.scaled_dot_product_attention: "attention",
    F.multi_head_attention_forward: "attention",
    F.instance_norm: "instance normalisation",
    F.group_norm: "group normalisation",
    F.layer_norm: "layer normalisation over positions",
    F.normalize: "normalisation over positions",
    F.softmax: "softmax over positions",
    F.local_response_norm: "local response normalisation",
}
if hasattr(F, "rms_norm"):
    LABELS[F.rms_norm] = "RMS normalisation over positions"


COPIES = ("alias", "clone", "detach")


class Recorder:
    """What operations need to know of the forward pass: the layer, the function, and who shares memory."""

    def __init__(self) -> None:
        self.layers: list[str] = []
        self.labels: list[str] = []
        self.sharing: dict[int, WeakSet[Traced]] = defaultdict(WeakSet)

    @property
    def where(self) -> str:
        return (self.layers[-1] if self.layers else "") or "the network itself"

    @property
    def label(self) -> str | None:
        return self.labels[0] if self.labels else None

    @contextlib.contextmanager
    def inside(self, function: Callable[..., object]) -> Iterator[None]:
        """Between, operations carry the label of a function that has one."""
        if (label := LABELS.get(function)) is not None:
            self.labels.append(label)
        try:
            yield
        finally:
            if label is not None:
                self.labels.pop()


class Traced(Tensor):
    """`meta` is on the meta device; `geometry` is None for a constant; `stale` says why it can't be used.

    origin: the pooling whose maxima's places this is.
    """

    meta: Tensor
    geometry: Geometry | None
    recorder: Recorder
    stale: str | None
    origin: Call | None

    @staticmethod
    def of(meta: Tensor, geometry: Geometry | None, device: torch.device, recorder: Recorder) -> "Traced":
        traced = Tensor._make_wrapper_subclass(
            Traced, meta.shape, strides=meta.stride(), storage_offset=meta.storage_offset(),
            dtype=meta.dtype, layout=meta.layout, device=device, requires_grad=False,
        )  # fmt: skip
        traced.meta, traced.geometry, traced.recorder = meta, geometry, recorder
        traced.stale = traced.origin = None
        recorder.sharing[_memory(meta)].add(traced)
        return traced

    def __repr__(self, *, tensor_contents: object = None) -> str:  # type: ignore[override]  # torch's has no types
        return f"Traced({tuple(self.meta.shape)}, {self.geometry})"

    def __deepcopy__(self, memo: object) -> Tensor:
        return self.clone()

    def __hash__(self) -> int:  # as a Tensor; WeakSet needs the equality to be that of identity as well
        return id(self)

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., object],
        types: Sequence[type],
        args: Arguments = (),
        kwargs: Keywords | None = None,
    ) -> object:
        kwargs = kwargs or {}
        recorder = _traced((args, kwargs))[0].recorder
        with torch._C.DisableTorchFunctionSubclass(), recorder.inside(function):
            if function is F.pad and _is_circular(*args, **kwargs):
                return _circular_pad(*args, **kwargs)
            if function in RECURRENT:
                return _recurrent(function, args, recorder)
            return function(*args, **kwargs)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch declares a placeholder
        cls, function: Operation, types: Sequence[type], args: Arguments = (), kwargs: Keywords | None = None
    ) -> object:
        kwargs = kwargs or {}
        if torch.is_inference_mode_enabled():  # where torch doesn't take an operation apart
            with torch.inference_mode(False), torch.no_grad():
                return function(*args, **kwargs)
        traced = _traced((args, kwargs))
        recorder = traced[0].recorder
        for tensor in traced:
            if tensor.stale is not None:
                raise NotJudgedError(tensor.stale)
        name = short_name(function)
        if name == "_fused_sdp_choice":
            return 0  # the plain kernel: products and a softmax
        arguments = tree_map(_seen, named(function, args, kwargs))
        if name == "convolution":
            rules_windows.check_channels(arguments, recorder.where)
        rule = rule_of(function, recorder.where) if any(tensor.geometry for tensor in traced) else None
        result = _on_meta(function, args, kwargs, recorder.where)
        outputs = tuple(leaf for leaf in tree_flatten(result)[0] if isinstance(leaf, Tensor))
        call = Call(name, arguments, outputs, recorder.where, recorder.label)
        seen = [None] * len(outputs) if rule is None or not outputs else geometries(rule, call)
        if targets := written(function, args, kwargs):
            return _write(function, targets, result, seen, recorder)
        device = kwargs.get("device") or traced[0].device
        assert isinstance(device, (str, torch.device))
        wrapped = _wrapped(result, seen, torch.device(device), recorder)
        if name in COPIES and isinstance(wrapped, Traced):
            wrapped.origin = traced[0].origin
        elif name == "max_pool2d_with_indices":
            _traced(wrapped)[1].origin = call
        return wrapped


def _traced(values: object) -> list[Traced]:
    return [leaf for leaf in tree_flatten(values)[0] if isinstance(leaf, Traced)]


def _wrapped(result: object, seen: Sequence[Geometry | None], device: torch.device, recorder: Recorder) -> object:
    """The tensors of a result on the meta device, with their geometries."""
    left = iter(seen)
    return tree_map(
        lambda leaf: Traced.of(leaf, next(left), device, recorder) if isinstance(leaf, Tensor) else leaf, result
    )


def _memory(meta: Tensor) -> int:
    return meta.untyped_storage()._cdata


def _seen(value: object) -> object:
    if not isinstance(value, Tensor):
        return value
    geometry, origin = (value.geometry, value.origin) if isinstance(value, Traced) else (None, None)
    return Seen(tuple(value.shape), geometry, value.dtype == torch.bool, origin)


def _on_meta(function: Callable[..., object], args: Arguments, kwargs: Keywords, where: str) -> object:
    def meta(value: object) -> object:
        if isinstance(value, Traced):
            return value.meta
        return value.to("meta") if isinstance(value, Tensor) else value

    if kwargs.get("device") is not None:
        kwargs = {name: value for name, value in kwargs.items() if name != "pin_memory"}
        kwargs["device"] = torch.device("meta")
    try:
        return function(*tree_map(meta, args), **tree_map(meta, kwargs))
    except NotImplementedError as error:
        raise NotJudgedError(
            f"the operation {function} in {where} depends on values, or has no rule for shapes: it can't be judged"
        ) from error


def _write(
    function: Operation, targets: list[Tensor], result: object, seen: Sequence[Geometry | None], recorder: Recorder
) -> object:
    """In-place operations: the geometry of the tensor changes, and that of all that share its memory."""
    for number, target in enumerate(targets):
        if not isinstance(target, Traced):
            if not seen or "norm" in function._schema.name:  # running statistics
                continue
            raise NotJudgedError(
                f"{function} in {recorder.where} writes what sees the image into a plain tensor: it can't be judged"
            )
        if target.shape != target.meta.shape:
            raise NotJudgedError(f"{function} in {recorder.where} changes a shape in place: it can't be judged")
        for other in recorder.sharing[_memory(target.meta)]:
            other.origin = None
        new = seen[number] if number < len(seen) else None
        if new != target.geometry:
            _tell_sharing(target, new, function)
            target.geometry = new
    if isinstance(result, (tuple, list)):
        return type(result)(targets[: len(result)])
    return targets[0] if isinstance(result, Tensor) else result


def _tell_sharing(target: Traced, new: Geometry | None, function: Operation) -> None:
    """A tensor that holds `target` as some of its channels sees the union; any other is used no more."""
    recorder = target.recorder
    for other in recorder.sharing[_memory(target.meta)]:
        if other is target:
            continue
        if new is None and other.numel() > target.numel():
            continue  # a part is constant now, the rest sees what it saw
        if new is not None and _is_some_channels(target, other, new):
            parts = [_in_shape(new, other)] + ([other.geometry] if other.geometry is not None else [])
            other.geometry = union(parts, tuple(other.shape), recorder.where)
        else:
            other.stale = (
                f"{function} in {recorder.where} writes into a part of a tensor that is used later: it can't be judged"
            )


def _is_some_channels(part: Traced, whole: Traced, geometry: Geometry) -> bool:
    if part.meta.stride() != whole.meta.stride():
        return False
    pairs = zip(part.shape, whole.shape, geometry.dims, strict=True)
    return all(mine == theirs or (mine < theirs and not axes_of(dim)) for mine, theirs, dim in pairs)


def _in_shape(geometry: Geometry, other: Traced) -> Geometry:
    dims = tuple(dim if axes_of(dim) else plain(size) for dim, size in zip(geometry.dims, other.shape, strict=True))
    return replace(geometry, dims=dims)


def _is_circular(_image: object, _pad: object, mode: object = "constant", _value: object = None, **_: object) -> bool:
    return mode == "circular"


def _circular_pad(input: object, pad: object, mode: object = "circular", value: object = None) -> Tensor:
    """torch makes a circular border from slices written in place; here it is one operation."""
    assert isinstance(input, Traced)
    assert isinstance(pad, (list, tuple))
    meta = F.pad(input.meta, list(pad), mode="circular")
    call = Call("circular_pad", {"self": _seen(input), "pad": list(pad)}, (meta,), input.recorder.where, None)
    seen = geometries(rules_windows.pad, call)[0] if input.geometry is not None else None
    return Traced.of(meta, seen, input.device, input.recorder)


def _recurrent(function: Callable[..., object], args: Arguments, recorder: Recorder) -> object:
    """On the meta device torch writes recurrent layers out, in place; here they are one operation."""
    result = _on_meta(function, args, {}, recorder.where)
    outputs = tuple(tree_flatten(result)[0])
    packed = isinstance(args[1], Tensor) and args[1].dtype == torch.int64
    arguments = tree_map(_seen, {"input": args[0], "state": args[1:3], "batch_first": None if packed else args[-1]})
    call = Call(function.__name__, arguments, outputs, recorder.where, "recurrence")
    seen = geometries(rules_mixing.recurrence, call) if call.geometries() else [None] * len(outputs)
    return _wrapped(result, seen, _traced(args)[0].device, recorder)
