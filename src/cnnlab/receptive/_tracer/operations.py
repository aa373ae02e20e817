"""From an aten operation to the geometry of its results. An operation without a rule is an error."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from cnnlab.receptive._tracer import rules_elementwise, rules_layout, rules_mixing, rules_windows
from cnnlab.receptive._tracer.call import Call, NotJudgedError, Rule
from cnnlab.receptive._tracer.geometry import Geometry, Unbounded
from cnnlab.receptive._tracer.layout import plain_dims

RULES: dict[str, Rule] = {
    **rules_elementwise.RULES,
    **rules_layout.RULES,
    **rules_windows.RULES,
    **rules_mixing.RULES,
}
_DATA_TAGS = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)


def short_name(function: torch._ops.OpOverload) -> str:
    """ "relu" for aten::relu_; other namespaces keep theirs."""
    namespace, name = function._schema.name.split("::")
    if name.endswith("_") and not name.endswith("__"):
        name = name[:-1]
    name = {"__and__": "bitwise_and", "__or__": "bitwise_or"}.get(name, name)
    return name if namespace in ("aten", "prims") else f"{namespace}::{name}"


def rule_of(function: torch._ops.OpOverload, where: str, all_unbounded: bool) -> Rule:
    """The rule for an operation on tensors with a field.

    Raises ValueError, naming the operation and the layer, if there is none. What sees everything already
    (`all_unbounded`) goes on to do so through operations that have no rule.
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
    if all_unbounded:
        return _still_unbounded
    raise NotJudgedError(f"no rule says which positions the operation {function} in {where} reads: it can't be judged")


def geometries(rule: Rule, call: Call) -> list[Geometry | None]:
    """The geometry of every result; None for a constant."""
    found = rule(call)
    if isinstance(found, list):
        return [_finished(geometry, call, output) for geometry, output in zip(found, call.outputs, strict=True)]
    if found is None:
        return [None] * len(call.outputs)
    same = [tuple(output.shape) == call.shape for output in call.outputs]
    lost = call.everything("statistics")
    return [
        _finished(found if fits else replace(lost, dims=plain_dims(tuple(output.shape))), call, output)
        for fits, output in zip(same, call.outputs, strict=True)
    ]


def all_unbounded(found: Sequence[Geometry]) -> bool:
    return all(isinstance(axis, Unbounded) for geometry in found for axis in geometry.maps)


def _still_unbounded(call: Call) -> Geometry:
    return call.everything("")


def _finished(geometry: Geometry, call: Call, output: Tensor) -> Geometry:
    """Attention is a better reason than the loss of the map on the way to it; the dimensions must fit."""
    if call.label == "attention":
        for axis, current in enumerate(geometry.maps):
            if isinstance(current, Unbounded) and current.kind == "layout":
                geometry = geometry.with_map(axis, Unbounded(call.reason("attention")))
    sizes = [1] * len(geometry.dims)
    for number, dim in enumerate(geometry.dims):
        for factor in dim:
            sizes[number] *= factor[0]
    assert tuple(sizes) == tuple(output.shape), f"{call.name}: {geometry.dims} for {tuple(output.shape)}"
    return geometry
