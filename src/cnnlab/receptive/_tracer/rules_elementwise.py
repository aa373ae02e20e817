"""Operations that work on every position by itself, and those whose result says nothing of the image."""

from cnnlab.receptive._tracer.call import Call, Rule, Seen, of_one
from cnnlab.receptive._tracer.geometry import Geometry, Unbounded, broadcast, union
from cnnlab.receptive._tracer.layout import plain, replaced


def elementwise(call: Call) -> Geometry:
    """The union over the operands; a product with something pooled over the whole image is squeeze-and-excite."""
    geometries = call.geometries()
    if call.name == "mul" and len(geometries) == 2:
        bounded = any(not isinstance(axis, Unbounded) for geometry in geometries for axis in geometry.maps)
        geometries = [_excited(geometry, call) if bounded else geometry for geometry in geometries]
    return union(geometries, call.shape, call.where)


def constant(call: Call) -> None:
    """Depends on shapes only."""


def copied(call: Call) -> Geometry | None:
    """`copy(self, src)` and `fill(self, value)`: what was there before is gone."""
    source = call.get("src", call.get("value"))
    geometry = source.geometry if isinstance(source, Seen) else None
    return None if geometry is None else broadcast(geometry, call.shape, call.where)


@of_one
def gated(call: Call, geometry: Geometry) -> Geometry:
    """`glu`: two halves of one dimension are multiplied."""
    number, reason = call["dim"] % len(call.shape), call.reason("gating over positions")
    dims = replaced(geometry.dims, number, plain(call.shape[number]))
    return geometry.mixed([number], reason).settled(dims, reason)


def _excited(geometry: Geometry, call: Call) -> Geometry:
    reason = f"squeeze-and-excite in {call.where}"
    for axis, current in enumerate(geometry.maps):
        if isinstance(current, Unbounded) and current.kind == "pooling":
            geometry = geometry.with_map(axis, Unbounded(reason))
    return geometry


# Elementwise operations without torch's tag `pointwise` (torch 2.7 to 2.15), and casts and copies.
_UNTAGGED = """
_to_copy alias bernoulli bitwise_and clone complex contiguous copysign detach dropout eq feature_dropout ge gt
hardshrink hardswish heaviside imag isclose le leaky_relu lift lift_fresh log_sigmoid log_sigmoid_forward
logical_and logical_not logical_or lt masked_fill maximum minimum mish native_dropout ne polar prelu _prelu_kernel
real relu relu6 requires_grad rrelu_with_noise rrelu_with_noise_functional softplus softshrink threshold where zeta
hardsigmoid hardtanh silu gelu elu celu selu sigmoid tanh add sub mul div pow clamp clamp_min clamp_max
clip rsqrt sqrt exp log abs neg sign square reciprocal erf addcmul addcdiv lerp rsub nan_to_num view_as_complex_copy
convert_element_type
"""

_CONSTANT = """
zeros_like ones_like full_like empty_like rand_like randn_like randint_like new_zeros new_ones new_full new_empty
new_empty_strided zero normal uniform exponential random bernoulli_float
"""

RULES: dict[str, Rule] = {
    **dict.fromkeys(_UNTAGGED.split(), elementwise),
    **dict.fromkeys(_CONSTANT.split(), constant),
    "copy": copied,
    "fill": copied,
    "glu": gated,
}
