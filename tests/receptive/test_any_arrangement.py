"""Layers in blocks, windows and rows, within each other, as they come: no unit sees more than its box.

B batch, C channel, H, W image; b, c sides of a block.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cnnlab.receptive import receptive_fields

SHAPE = (2, 24, 24)


class Layer(nn.Module):
    """A function of an image (B, C, H, W)."""

    def __init__(self, name: str, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.name, self.function = name, function

    def forward(self, image_BCHW: Tensor) -> Tensor:
        return self.function(image_BCHW)

    def extra_repr(self) -> str:
        return self.name


class Blocks(nn.Module):
    """Blocks of b by c: as channels of one image (`windows` False), or as images of their own, and back."""

    def __init__(self, inner: nn.Module, b: int, c: int, windows: bool, back: bool) -> None:
        super().__init__()
        self.inner, self.b, self.c, self.windows, self.back = inner, b, c, windows, back

    def forward(self, image_BCHW: Tensor) -> Tensor:
        batch, channels, height, width = image_BCHW.shape
        y, x = height // self.b, width // self.c
        cut = image_BCHW[..., : y * self.b, : x * self.c].reshape(batch, channels, y, self.b, x, self.c)
        if self.windows:
            after = self.inner(cut.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, self.b, self.c))
            return after.view(batch, y, x, *after.shape[1:]).permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
        after = self.inner(cut.permute(0, 1, 3, 5, 2, 4).reshape(batch, -1, y, x))
        if not self.back:
            return after
        whole = after.unflatten(1, (channels, self.b, self.c)).permute(0, 1, 4, 2, 5, 3)
        return whole.flatten(4, 5).flatten(2, 3)


class Beside(nn.Module):
    """The layer's result and the image itself, cut to the smaller size, are added."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, image_BCHW: Tensor) -> Tensor:
        after = self.inner(image_BCHW)
        height, width = (min(sizes) for sizes in zip(after.shape[2:], image_BCHW.shape[2:], strict=True))
        if after.shape[1] != image_BCHW.shape[1]:
            return after
        return after[..., :height, :width] + image_BCHW[..., :height, :width]


def _convolved(image_BCHW: Tensor, *settings: Any) -> Tensor:
    weight = torch.ones(image_BCHW.shape[1], image_BCHW.shape[1], 3, 2, dtype=image_BCHW.dtype)
    return F.conv2d(image_BCHW, weight, None, *settings)


def _unpooled(image_BCHW: Tensor) -> Tensor:
    values, places = F.max_pool2d(image_BCHW, 2, return_indices=True)
    return F.max_unpool2d(values.relu(), places, 2, output_size=image_BCHW.shape[2:])


layers = st.sampled_from(
    [
        Layer("convolution", lambda x: _convolved(x, 1, (1, 0))),
        Layer("strided", lambda x: _convolved(x, (2, 1), 1, (1, 2))),
        Layer("transposed", lambda x: F.conv_transpose2d(x, torch.ones(x.shape[1], 1, 2, 3).to(x), stride=2)),
        Layer("maximum", lambda x: F.max_pool2d(x, 3, 2, 1)),
        Layer("average", lambda x: F.avg_pool2d(x, (1, 2), 1)),
        Layer("adaptive", lambda x: F.adaptive_avg_pool2d(x, (3, 2))),
        Layer("unpooled", _unpooled),
        Layer("zeros around", lambda x: F.pad(x, (1, 0, 2, 1))),
        Layer("nearest", lambda x: F.interpolate(x, size=(5, 7))),
        Layer("finer", lambda x: F.interpolate(x, scale_factor=2)),
        Layer("repeated", lambda x: x.repeat_interleave(2, 3)),
        Layer("sliced", lambda x: x[..., 1::2, :-1]),
        Layer("half the channels", lambda x: x[:, ::2]),
        Layer("transposed image", lambda x: x.transpose(2, 3)),
        Layer("mixed", lambda x: x.mean(1, keepdim=True) * x),
        Layer("softmax of channels", lambda x: x.softmax(1)),
        Layer("of all", lambda x: x - x.mean((2, 3), keepdim=True)),
        Layer("of a row", lambda x: x.softmax(3)),
        Layer("mirrored", lambda x: x.flip(2)),
    ]
)
sides = st.integers(1, 4)
networks = st.recursive(
    layers,
    lambda inner: st.one_of(
        st.builds(Blocks, inner, sides, sides, st.booleans(), st.booleans()),
        st.builds(Beside, inner),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: nn.Sequential(*parts)),
    ),
    max_leaves=4,
)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(network=networks)
def test_no_unit_sees_more_than_its_box(betrayed: Any, network: nn.Module) -> None:
    try:
        output = network(torch.zeros(1, *SHAPE))
    except (RuntimeError, ValueError):
        assume(False)
    assume(output.dim() == 4 and 0 < output.numel() < 40_000)
    field = receptive_fields(network, SHAPE)[""]
    if field.grid is not None:
        places = {output.shape[dim] for dim in field.map_dims}
        assert places == ({math.prod(field.grid)} if len(set(field.map_dims)) == 1 else set(field.grid))
        assert betrayed(network, field, SHAPE) == []
