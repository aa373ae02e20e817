"""The network that draws boundaries: derivative filters, a few scales down, and back up.

B batch, C input channel, F feature, S side output, H, W image, h, w side output (H / stride, rounded up).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnlab._arguments import remembers_arguments
from cnnlab._choices import UsageError
from cnnlab.filters.bank import FilterBank
from cnnlab.nn.contract import LabNetwork, as_bank
from cnnlab.nn.front_end import FrontEnd

WEIGHTS = Path(__file__).parent / "weights" / "edge_net.pt"
BANK = "gaussian(sigma=1, order=1) + gaussian(sigma=2, order=1, size=7)"  # gradients at two scales: 4 kernels of 7 x 7
RARE = -2.0  # log odds at the start: about a tenth of the pixels lie on a boundary


@remembers_arguments
@final
class EdgeNet(LabNetwork):
    """(B, C, H, W) in [0, 1] -> edge logits (B, 1, H, W), for images of any size from 1 x 1 on.

    front end -> norm -> 1x1 convolution to the first of `widths`. Then a stage for each of `widths`, each half as
    large as the one before: residual 3x3 convolutions, one for each of the stage's `dilations`. From the smallest
    stage back up, each is scaled up, added to the next larger one, and merged by a 3x3 convolution of `up_width`
    channels, as in Lin et al. 2017, CVPR. Each gives a map of its own, and a 1x1 convolution fuses these maps (side
    outputs, Xie & Tu 2015, ICCV). All this at 1 / `stem_stride` of the image; the fused map is scaled up last.
    mode, channels, start, gain, rectify, border, unfreeze_epoch, anchor: see `FrontEnd`.
    """

    first_layer = "front_end"

    def __init__(
        self, bank: FilterBank | str = BANK, *, in_channels: int = 3,
        mode: str = "trainable", channels: str = "opponent", start: str = "bank", gain: str = "kaiming",
        rectify: str = "full", border: str = "replicate", unfreeze_epoch: int = 1, anchor: float = 0.01,
        stem_stride: int = 2, widths: Sequence[int] = (16, 32, 56),
        dilations: Sequence[Sequence[int]] = ((1, 1), (1, 1), (1, 2)), up_width: int = 16,
    ) -> None:  # fmt: skip
        super().__init__()
        _check(widths, dilations, up_width, border)
        self.bank = as_bank(bank)
        self.front_end = FrontEnd(
            self.bank, in_channels, mode, channels=channels, start=start, gain=gain, rectify=rectify,
            border=border, stride=stem_stride, unfreeze_epoch=unfreeze_epoch, anchor=anchor,
        )  # fmt: skip
        self.kernel_names = self.front_end.response_names
        features = self.front_end.out_channels
        self.stem = nn.Sequential(nn.BatchNorm2d(features), *_convolution(features, widths[0], 1))
        self.stages_down = nn.ModuleList()
        before = widths[0]
        for number, (width, steps) in enumerate(zip(widths, dilations, strict=True)):
            shrink = [nn.MaxPool2d(2, ceil_mode=True), *_convolution(before, width, 1)] if number else []
            self.stages_down.append(nn.Sequential(*shrink, *(Residual(width, step) for step in steps)))
            before = width
        self.lateral = nn.ModuleList(nn.Sequential(*_convolution(width, up_width, 1)[:2]) for width in widths)
        self.merge = nn.ModuleList(nn.Sequential(*_convolution(up_width, up_width, 3)) for _ in widths)
        self.side = nn.ModuleList(_side(up_width) for _ in widths)
        self.fuse = nn.Conv2d(len(widths), 1, 1)
        nn.init.constant_(self.fuse.weight, 1 / len(widths))
        assert self.fuse.bias is not None
        nn.init.zeros_(self.fuse.bias)
        self.grid = stem_stride * 2 ** (len(widths) - 1)
        self.reach = _reach(max(self.bank.kernels.shape[-2:]), stem_stride, dilations)

    def stages(self, image_BCHW: Tensor) -> dict[str, Tensor]:
        """Every stage in order: `response`, `feature`, `stem`, `down1` ..., `sides` (B, S, h, w), `logits`."""
        named = self.front_end(image_BCHW, named=True)
        named["stem"] = current = self.stem(named["feature"])
        scales = []
        for number, stage in enumerate(self.stages_down, start=1):
            named[f"down{number}"] = current = stage(current)
            scales.append(current)
        named["sides"] = self._sides(scales)
        named["logits"] = _enlarged(named["sides"][:, -1:], self.front_end.stride, image_BCHW.shape[-2:])
        return named

    def _sides(self, scales: list[Tensor]) -> Tensor:
        """(B, S, h, w): one map a scale, from the smallest on, and the fused one last."""
        sides: list[Tensor] = []
        above = None
        for number in reversed(range(len(scales))):
            here = self.lateral[number](scales[number])
            if above is not None:
                here = here + _enlarged(above, 2, here.shape[-2:])
            above = self.merge[number](here.relu())
            sides.append(_enlarged(self.side[number](above), 2**number, scales[0].shape[-2:]))
        maps_BShw = torch.cat(sides, dim=1)
        return torch.cat([maps_BShw, self.fuse(maps_BShw)], dim=1)

    def side_logits(self, image_BCHW: Tensor) -> Tensor:
        """(B, S, h, w): what the loss is taken of, every scale's map and the fused one last, not scaled up."""
        return self.stages(image_BCHW)["sides"]

    def forward(self, image_BCHW: Tensor) -> Tensor:
        return self.stages(image_BCHW)["logits"]

    def first_layer_kernels(self) -> Tensor:
        """(K, C, h, w): a detached copy of the first convolution's weight."""
        return self.front_end.first_layer_kernels()

    def at_epoch(self, epoch: int) -> None:
        """To be called as every training epoch starts, after a resume too; mode `unfrozen` needs it."""
        self.front_end.at_epoch(epoch)

    def penalty(self) -> Tensor:
        """() to be added to the loss; 0 unless the mode is `anchored`."""
        return self.front_end.penalty()


class Residual(nn.Module):
    """x + ReLU(norm(3x3 convolution of x)), the size kept."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_convolution(width, width, 3, dilation))

    def forward(self, feature_BFhw: Tensor) -> Tensor:
        return feature_BFhw + self.body(feature_BFhw)


def pretrained() -> EdgeNet:
    """With the weights that come with cnnlab, ready to draw; `weights/README.md` says how they were trained."""
    from cnnlab.nn.rebuilding import load  # it names the networks, this one among them

    network = load(WEIGHTS)
    assert isinstance(network, EdgeNet)
    return network


def _check(widths: Sequence[int], dilations: Sequence[Sequence[int]], up_width: int, border: str) -> None:
    if not widths or min(*widths, up_width, 1) < 1:
        raise UsageError(f"widths (at least one) and up_width must be positive; got {list(widths)}, {up_width}")
    if len(dilations) != len(widths) or any(step < 1 for steps in dilations for step in steps):
        raise UsageError(
            f"dilations: for each of the {len(widths)} widths a list of whole numbers from 1 on, one a convolution; "
            f"got {[list(steps) for steps in dilations]}"
        )
    if border not in ("replicate", "zeros"):
        raise UsageError(f"border={border!r}: replicate or zeros, which take images of any size")


def _convolution(inputs: int, outputs: int, size: int, dilation: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, size, padding=dilation * (size // 2), dilation=dilation, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]


def _side(width: int) -> nn.Conv2d:
    side = nn.Conv2d(width, 1, 1)
    nn.init.normal_(side.weight, std=0.01)
    assert side.bias is not None
    nn.init.constant_(side.bias, RARE)
    return side


def _enlarged(map_BFhw: Tensor, factor: int, size: Sequence[int]) -> Tensor:
    """By a whole factor, then cut to size: a pixel keeps its place in images of any size."""
    if factor == 1:
        return map_BFhw
    enlarged_BFHW = F.interpolate(map_BFhw, scale_factor=factor, mode="bilinear", align_corners=False)
    return enlarged_BFHW[..., : size[0], : size[1]]


def _reach(kernel: int, stride: int, dilations: Sequence[Sequence[int]]) -> int:
    """How many pixels away, at most, a pixel still matters: kernels, pools and the way back up, all added."""
    reach, step = kernel // 2 + stride, stride  # the last scaling looks one pixel of the small map further
    for number, steps in enumerate(dilations):
        if number:
            reach += step  # the pool
            step *= 2
            reach += step  # and the scaling back up, one pixel of the smaller map
        reach += step * (sum(steps) + 1)  # the residual convolutions and the merging one
    return reach
