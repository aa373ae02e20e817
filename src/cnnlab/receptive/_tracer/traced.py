"""A tensor without values that knows its geometry. Every torch operation on it goes through the rules.

It claims the shape, dtype and device of the tensor it stands for, and computes shapes on torch's meta device, so
nothing is computed and nothing is written. Operations without such a tensor (parameters, index tables, masks)
are not touched: they run as they always do.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from weakref import WeakSet

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from cnnlab.receptive._tracer import rules_mixing, rules_windows
from cnnlab.receptive._tracer.call import Call, NotJudgedError, Seen
from cnnlab.receptive._tracer.geometry import Geometry, union
from cnnlab.receptive._tracer.layout import axes_of, plain
from cnnlab.receptive._tracer.operations import all_unbounded, geometries, rule_of, short_name

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
    def inside(self, function: Any) -> Iterator[None]:
        """Between, operations carry the label of a function that has one."""
        if (label := LABELS.get(function)) is not None:
            self.labels.append(label)
        try:
            yield
        finally:
            if label is not None:
                self.labels.pop()


class Traced(Tensor):
    """`inner` is on the meta device; `geometry` is None for a constant; `stale` says why it can't be used."""

    inner: Tensor
    geometry: Geometry | None
    recorder: Recorder
    stale: str | None

    @staticmethod
    def of(inner: Tensor, geometry: Geometry | None, device: torch.device, recorder: Recorder) -> "Traced":
        traced = Tensor._make_wrapper_subclass(
            Traced, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(),
            dtype=inner.dtype, layout=inner.layout, device=device, requires_grad=False,
        )  # fmt: skip
        traced.inner, traced.geometry, traced.recorder, traced.stale = inner, geometry, recorder, None
        recorder.sharing[_memory(inner)].add(traced)
        return traced

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"Traced({tuple(self.inner.shape)}, {self.geometry})"

    def __deepcopy__(self, memo: dict) -> Tensor:
        return self.clone()

    # Tensor is hashed by identity; WeakSet needs the equality to be that as well.
    __hash__ = Tensor.__hash__

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        recorder = next(leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Traced)).recorder
        with torch._C.DisableTorchFunctionSubclass(), recorder.inside(function):
            if function is F.pad and _is_circular(*args, **kwargs):
                return _circular_pad(*args, **kwargs)
            if function in RECURRENT:
                return _recurrent(function, args, recorder)
            return function(*args, **kwargs)

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        leaves = tree_flatten((args, kwargs))[0]
        traced = [leaf for leaf in leaves if isinstance(leaf, Traced)]
        recorder, device = traced[0].recorder, kwargs.get("device") or traced[0].device
        for tensor in traced:
            if tensor.stale is not None:
                raise NotJudgedError(tensor.stale)
        name = short_name(function)
        if name == "_fused_sdp_choice":
            return 0  # the plain kernel: products and a softmax
        seen = [tensor.geometry for tensor in traced if tensor.geometry is not None]
        rule = rule_of(function, recorder.where, all_unbounded(seen)) if seen else None
        result = _on_meta(function, args, kwargs, recorder.where)
        flat, _ = tree_flatten(result)
        outputs = tuple(leaf for leaf in flat if isinstance(leaf, Tensor))
        if rule is None or not outputs:
            found: list[Geometry | None] = [None] * len(outputs)
        else:
            arguments = tree_map(_seen, _named(function, args, kwargs))
            found = geometries(rule, Call(name, arguments, outputs, recorder.where, recorder.label))
        written = _written(function, args, kwargs)
        if written:
            return _write(function, written, result, found, recorder)
        answers = iter(found)
        return tree_map(
            lambda leaf: Traced.of(leaf, next(answers), torch.device(device), recorder)
            if isinstance(leaf, Tensor) else leaf, result,
        )  # fmt: skip


def _memory(inner: Tensor) -> int:
    return inner.untyped_storage()._cdata


def _seen(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    geometry = value.geometry if isinstance(value, Traced) else None
    return Seen(tuple(value.shape), geometry, value.dtype == torch.bool)


def _named(function: Any, args: tuple, kwargs: dict) -> dict[str, Any]:
    """Arguments by their names in the schema, defaults filled in."""
    expected = function._schema.arguments
    named = {argument.name: argument.default_value for argument in expected if argument.has_default_value()}
    named |= {argument.name: value for argument, value in zip(expected, args, strict=False)}
    return {argument.name: (named | kwargs)[argument.name] for argument in expected}


def _on_meta(function: Any, args: tuple, kwargs: dict, where: str) -> Any:
    def inner(value: Any) -> Any:
        if isinstance(value, Traced):
            return value.inner
        return value.to("meta") if isinstance(value, Tensor) else value

    if kwargs.get("device") is not None:
        kwargs = kwargs | {"device": torch.device("meta"), "pin_memory": None}
        kwargs = {name: value for name, value in kwargs.items() if name != "pin_memory"}
    try:
        return function(*tree_map(inner, args), **tree_map(inner, kwargs))
    except NotImplementedError as error:
        raise NotJudgedError(
            f"the operation {function} in {where} depends on values, or has no rule for shapes: it can't be judged"
        ) from error


def _written(function: Any, args: tuple, kwargs: dict) -> list[Tensor]:
    """The arguments that an in-place operation writes to."""
    if not function._schema.is_mutable:
        return []
    named = _named(function, args, kwargs)
    return [
        named[argument.name]
        for argument in function._schema.arguments
        if argument.is_write and isinstance(named[argument.name], Tensor)
    ]


def _write(function: Any, written: list[Tensor], result: Any, found: list[Geometry | None], recorder: Recorder) -> Any:
    """In-place operations: the geometry of the tensor changes, and that of all that share its memory."""
    for number, target in enumerate(written):
        if not isinstance(target, Traced):
            if not found or "norm" in function._schema.name:  # running statistics
                continue
            raise NotJudgedError(
                f"{function} in {recorder.where} writes what sees the image into a plain tensor: it can't be judged"
            )
        if target.shape != target.inner.shape:
            raise NotJudgedError(f"{function} in {recorder.where} changes a shape in place: it can't be judged")
        new = found[number] if number < len(found) else None
        if new != target.geometry:
            _tell_sharing(target, new, function, recorder)
            target.geometry = new
    if isinstance(result, (tuple, list)):
        return type(result)(written[: len(result)])
    return written[0] if isinstance(result, Tensor) else result


def _tell_sharing(target: Traced, new: Geometry | None, function: Any, recorder: Recorder) -> None:
    """A tensor that holds `target` as some of its channels sees the union; any other is used no more."""
    for other in recorder.sharing[_memory(target.inner)]:
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
    if part.inner.stride() != whole.inner.stride():
        return False
    pairs = zip(part.shape, whole.shape, geometry.dims, strict=True)
    return all(mine == theirs or (mine < theirs and not axes_of(dim)) for mine, theirs, dim in pairs)


def _in_shape(geometry: Geometry, other: Traced) -> Geometry:
    dims = tuple(dim if axes_of(dim) else plain(size) for dim, size in zip(geometry.dims, other.shape, strict=True))
    return replace(geometry, dims=dims)


def _is_circular(_input: Tensor, _pad: Any, mode: str = "constant", _value: Any = None, **_: Any) -> bool:
    return mode == "circular"


def _circular_pad(input: Tensor, pad: Any, mode: str = "circular", value: Any = None) -> Tensor:
    """torch makes a circular border from slices written in place; here it is one operation."""
    recorder = input.recorder
    inner = F.pad(input.inner, pad, mode="circular")
    call = Call("circular_pad", {"self": _seen(input), "pad": list(pad)}, (inner,), recorder.where, None)
    found = geometries(rules_windows.pad, call)[0] if input.geometry is not None else None
    return Traced.of(inner, found, input.device, recorder)


def _recurrent(function: Any, args: tuple, recorder: Recorder) -> Any:
    """On the meta device torch writes recurrent layers out, in place; here they are one operation."""
    result = _on_meta(function, args, {}, recorder.where)
    outputs = tuple(tree_flatten(result)[0])
    packed = isinstance(args[1], Tensor) and args[1].dtype == torch.int64
    arguments = tree_map(_seen, {"input": args[0], "state": args[1:3], "batch_first": None if packed else args[-1]})
    call = Call(function.__name__, arguments, outputs, recorder.where, "recurrence")
    answers = iter(geometries(rules_mixing.recurrence, call) if call.geometries() else [None] * len(outputs))
    device = next(leaf for leaf in tree_flatten(args)[0] if isinstance(leaf, Traced)).device
    return tree_map(lambda leaf: Traced.of(leaf, next(answers), device, recorder), result)
