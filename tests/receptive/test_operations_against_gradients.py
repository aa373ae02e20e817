"""Single operations, and windows of attention: every unit's clipped box is the support of its gradient.

B batch, C channel, H, W image; K entries and L places of patches.
"""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnlab.receptive import receptive_fields


class Call(nn.Module):
    """A function of the image as a layer."""

    def __init__(self, function: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.function, self.args, self.kwargs = function, args, kwargs

    def forward(self, image: Tensor) -> Tensor:
        return self.function(image, *self.args, **self.kwargs)


RESAMPLINGS = [
    {"size": (17, 40), "mode": "nearest"},
    {"size": (17, 40), "mode": "nearest-exact"},
    {"size": (17, 40), "mode": "bilinear"},
    {"size": (35, 9), "mode": "bilinear", "align_corners": True},
    {"size": (17, 40), "mode": "bicubic"},
    {"size": (7, 30), "mode": "bilinear", "antialias": True},
    {"scale_factor": (1.5, 0.4), "mode": "bilinear"},
    {"scale_factor": (2.0, 3.0), "mode": "bicubic"},
    {"scale_factor": (1.7, 0.7), "mode": "nearest"},
    # Factors that torch sets aside: the map keeps its size, or doubles.
    {"scale_factor": (1.07, 1.05), "mode": "nearest"},
    {"scale_factor": (1.07, 1.05), "mode": "bilinear"},
    {"scale_factor": (2.05, 2.02), "mode": "nearest"},
]
SINGLE = {
    **{f"resampling {number}": Call(F.interpolate, **how) for number, how in enumerate(RESAMPLINGS)},
    "adaptive 5, 9": nn.AdaptiveAvgPool2d((5, 9)),
    "adaptive 20, 30": nn.AdaptiveAvgPool2d((20, 30)),
    "adaptive rows only": nn.AdaptiveAvgPool2d((None, 4)),
    "unfold and fold": Call(lambda image: F.fold(_mixed(F.unfold(image, 4, stride=3)), (13, 19), 4, stride=3)),
    "windows of Tensor.unfold": Call(lambda image: image.unfold(2, 3, 2).sum(-1).unfold(3, 4, 4).sum(-1)),
    "average over blocks": Call(lambda image: image[..., :12, :18].unflatten(2, (4, 3)).mean(3)),
    # Places between units exactly, where torch's single precision decides.
    "2 made 41": Call(lambda image: F.interpolate(image[:, :, :2, :4], size=(41, 41), mode="nearest-exact")),
    "2 made 82": Call(lambda image: F.interpolate(image[:, :, :2, :2], size=(82, 94), mode="nearest")),
    "rolled the long way round": Call(lambda image: image.roll((12, -18), (2, 3))[:, :, :-1, 1:]),
    # Steps that repeat after very many units, or never.
    "uneven steps": Call(lambda image: F.interpolate(F.interpolate(image, scale_factor=1.23457), scale_factor=1.76543)),
    "half as large, and back": Call(lambda image: image + _back(image, mode="bilinear")),
    "corners aligned": Call(lambda image: image + _back(image, mode="bilinear", align_corners=True)),
    "cubic, then a pool": Call(lambda image: F.avg_pool2d(image + _back(image, mode="bicubic"), 3, 2, 1)),
    "branches of other strides": Call(lambda image: image[..., :4, :6] + image[..., :12:3, :12:2]),
    "averages of blocks": Call(lambda image: F.avg_pool2d(F.pixel_unshuffle(image[..., :12, :18], 2), 2)),
    "parts of blocks": Call(lambda image: image[..., :12, :18].unflatten(2, (4, 3))[:, :, :, 1:].mean(3)),
    "parts of blocks in a row": Call(lambda image: _blocks(image, 2, 5)),
    "blocks left out": Call(lambda image: F.avg_pool2d(_blocks(image, 3, 6, every=2), 3, 1)),
    "written into a channel": Call(lambda image: _with_blurred_channel(image)),
}


def _back(image: Tensor, **how: Any) -> Tensor:
    return F.interpolate(F.avg_pool2d(image, 3, 2, 1), size=image.shape[2:], **how)


def _blocks(image_BCHW: Tensor, height: int, width: int, every: int = 1) -> Tensor:
    """The upper left part of blocks of 3 by 6, of every such block, side by side."""
    blocks = image_BCHW[..., :12, :18].unflatten(3, (3, 6)).unflatten(2, (4, 3))
    return blocks[:, :, ::every, :height, :, :width].flatten(4, 5).flatten(2, 3)


def _mixed(patches_BKL: Tensor) -> Tensor:
    return torch.ones(patches_BKL.shape[1], patches_BKL.shape[1], dtype=patches_BKL.dtype) @ patches_BKL


def _with_blurred_channel(image_BCHW: Tensor) -> Tensor:
    result = image_BCHW.clone()
    result[:, :1] = F.avg_pool2d(image_BCHW[:, :1], 3, 1, 1)
    return result


@pytest.mark.parametrize("name", SINGLE)
def test_every_unit_sees_exactly_the_pixels_with_a_gradient(support: Any, name: str) -> None:
    """Also at the border, so the clipped box is compared, for all rows and for all columns."""
    image = torch.rand(1, 2, 13, 19, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    field = receptive_fields(SINGLE[name], (2, 13, 19))[""]
    height, width = SINGLE[name](image).shape[2:]
    for i, j in [(i, width // 2) for i in range(height)] + [(height // 2, j) for j in range(width)]:
        # Weights that are 0 by the formula are rounding errors in antialiased resampling.
        assert support(SINGLE[name], image, i, j, above=1e-12) == field.clipped(i, j, 13, 19), (i, j)


def patch_embedding(image_BCHW: Tensor) -> Tensor:
    """Patches of 4 by cutting and flattening, one token for each, as (B, C', H / 4, W / 4)."""
    batch, channels, height, width = image_BCHW.shape
    patches = image_BCHW.reshape(batch, channels, height // 4, 4, width // 4, 4).permute(0, 2, 4, 1, 3, 5)
    tokens = patches.reshape(batch, height // 4 * (width // 4), -1) @ torch.ones(
        16 * channels, 3, dtype=image_BCHW.dtype
    )
    return tokens.transpose(1, 2).reshape(batch, 3, height // 4, width // 4)


def test_a_patch_embedding_by_reshapes_sees_its_patch() -> None:
    field = receptive_fields(Call(patch_embedding), (2, 16, 24))[""]
    assert (field.size, field.stride, field.padding) == ((4, 4), (4, 4), (0, 0))


def test_swin_windows_are_exact_at_every_place(support: Any) -> None:
    """Windows, cyclic shifts, merging of patches: compared to gradients of torchvision's own network."""
    from torchvision.models.swin_transformer import SwinTransformer

    torch.manual_seed(0)
    swin = SwinTransformer([2, 2], 8, [2, 2], [1, 1], [3, 5], num_classes=2).double().eval()
    height, width = 48, 80
    fields = receptive_fields(swin, (3, height, width))
    image = torch.rand(1, 3, height, width, dtype=torch.float64)
    for depth, layer in ((2, "features.1.0"), (2, "features.1.1"), (3, "features.2"), (4, "features.3.1")):
        stages = list(swin.features)[:depth]
        if layer == "features.1.0":
            stages[-1] = stages[-1][0]
        network = nn.Sequential(*stages, Call(lambda x_BHWC: x_BHWC.permute(0, 3, 1, 2)))
        rows, columns = network(image).shape[2:]
        for i, j in [(i, columns // 2) for i in range(rows)] + [(rows // 2, j) for j in range(columns)]:
            # torchvision masks by adding -100, so what is masked keeps e^-100.
            assert support(network, image, i, j, above=1e-12) == fields[layer].clipped(i, j, height, width), (
                layer,
                i,
                j,
            )
