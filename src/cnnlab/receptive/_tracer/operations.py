"""From an aten operation to the geometry of its results. An operation without a rule is an error."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor
from torch._ops import OpOverload

from cnnlab.receptive._tracer import rules_elementwise, rules_layout, rules_mixing, rules_windows
from cnnlab.receptive._tracer.call import Call, NotJudgedError, Rule
from cnnlab.receptive._tracer.geometry import Geometry, Unbounded
from cnnlab.receptive._tracer.layout import plain_dims, size_of

Operation: TypeAlias = OpOverload[..., object]
Arguments: TypeAlias = tuple[object, ...]
Keywords: TypeAlias = Mapping[str, object]
RULES: dict[str, Rule] = {
    **rules_elementwise.RULES,
    **rules_layout.RULES,
    **rules_windows.RULES,
    **rules_mixing.RULES,
}
_DATA_TAGS = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)


def short_name(function: Operation) -> str:
    """ "relu" for aten::relu_; other namespaces keep theirs."""
    namespace, name = function._schema.name.split("::")
    if name.endswith("_") and not name.endswith("__"):
        name = name[:-1]
    name = {"__and__": "bitwise_and", "__or__": "bitwise_or"}.get(name, name)
    return name if namespace in ("aten", "prims") else f"{namespace}::{name}"


def named(function: Operation, args: Arguments, kwargs: Keywords) -> dict[str, object]:
    """Arguments by their names in the schema, defaults filled in."""
    expected = function._schema.arguments
    values = {argument.name: argument.default_value for argument in expected if argument.has_default_value()}
    values |= {argument.name: value for argument, value in zip(expected, args, strict=False)}
    return {argument.name: {**values, **kwargs}[argument.name] for argument in expected}


def written(function: Operation, args: Arguments, kwargs: Keywords) -> list[Tensor]:
    """The arguments that an in-place operation writes to."""
    if not function._schema.is_mutable:
        return []
    values = named(function, args, kwargs)
    targets = [values[argument.name] for argument in function._schema.arguments if argument.is_write]
    return [target for target in targets if isinstance(target, Tensor)]


def rule_of(function: Operation, where: str) -> Rule:
    """The rule for an operation on tensors with a field. One that is not known may read all positions.

    Raises UsageError, naming the operation and the layer, if its shape or result depends on values.
    """
    name = short_name(function)
    if torch.Tag.pointwise in function.tags:
        return rules_elementwise.elementwise
    if name in RULES:
        return RULES[name]
    if any(tag in function.tags for tag in _DATA_TAGS):
        raise NotJudgedError(
            f"the operation {function} in {where} depends on the values of the image: it can't be judged"
        )
    return lambda call: call.everything(f"the operation {function}, for which there is no rule,")


def geometries(rule: Rule, call: Call) -> list[Geometry | None]:
    """The geometry of every result; None for a constant."""
    result = rule(call)
    if isinstance(result, list):
        return [_finished(geometry, call, output) for geometry, output in zip(result, call.outputs, strict=True)]
    if result is None:
        return [None] * len(call.outputs)
    same = [tuple(output.shape) == call.shape for output in call.outputs]
    lost = call.everything("statistics")
    return [
        _finished(result if fits else replace(lost, dims=plain_dims(tuple(output.shape))), call, output)
        for fits, output in zip(same, call.outputs, strict=True)
    ]


def _finished(geometry: Geometry, call: Call, output: Tensor) -> Geometry:
    """Attention is a better reason than the loss of the map on the way to it; the dimensions must fit."""
    if call.label == "attention":
        for axis, current in enumerate(geometry.maps):
            if isinstance(current, Unbounded) and current.kind == "layout":
                geometry = geometry.with_map(axis, Unbounded(call.reason("attention")))
    shape = tuple(output.shape)
    assert tuple(map(size_of, geometry.dims)) == shape, f"{call.name}: {geometry.dims} for {shape}"
    return geometry.settled(geometry.dims, call.reason("positions lost"))
