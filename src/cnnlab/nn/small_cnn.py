"""The one small network of every arm: a front end, a few stages, global pooling, a linear head.

B batch, C input channel, K class, D width of the last stage, H, W image; other letters per stage.
"""

import math
from collections.abc import Sequence
from typing import final

from torch import Tensor, nn

from cnnlab._arguments import remembers_arguments
from cnnlab._choices import UsageError, check_choice
from cnnlab.filters.bank import FilterBank
from cnnlab.nn.contract import LabNetwork, as_bank
from cnnlab.nn.front_end import FrontEnd

POOLS = ("max", "avg")
NORMS = ("batch", "group", "none")
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}
# Gradient along y, x and both diagonals, the second derivatives and their sum: 8 kernels of 3 x 3.
BANK = "sobel + sobel(orientations=4)[t45, t135] + central(order=2) + laplacian"
SMALL_IMAGE = 16  # pixels; a smaller image is not halved at once: on 8x8 digits that costs accuracy


@remembers_arguments
@final
class SmallCNN(LabNetwork):
    """(B, C, H, W) -> logits (B, K), for images of any size that the border of the front end allows.

    front end -> pool (`stem_pool`) -> norm, then one stage per entry of `widths`: 3x3 convolution, norm,
    activation, and between the stages a pool of 2. Then the mean over the image, dropout, a linear head.
    Pools round up, so a single pixel survives.

    >>> import torch
    >>> SmallCNN("sobel + laplacian", in_channels=1, num_classes=10)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])

    mode, channels, start, gain, rectify, border, unfreeze_epoch, anchor: see `FrontEnd`.
    stem_stride: the front end's stride; None takes 2, or 1 where an `image_size` below 16 pixels is known.
    """

    first_layer = "front_end"

    def __init__(
        self, bank: FilterBank | str = BANK, *, in_channels: int, num_classes: int,
        mode: str = "trainable", channels: str = "luminance", start: str = "bank", gain: str = "kaiming",
        rectify: str = "full", border: str = "reflect", unfreeze_epoch: int = 1, anchor: float = 0.01,
        stem_stride: int | None = None, stem_pool: int = 1, stem_norm: bool = True,
        widths: Sequence[int] = (32, 64, 128), norm: str = "batch", activation: str = "relu", pool: str = "max",
        dropout: float = 0.0, image_size: Sequence[int] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        for what, given, valid in (
            ("norm", norm, NORMS), ("activation", activation, ACTIVATIONS), ("pool", pool, POOLS),
        ):  # fmt: skip
            check_choice(what, given, valid)
        if not widths or min(*widths, num_classes, stem_pool, 1) < 1:
            raise UsageError(
                f"widths (at least one), num_classes and stem_pool must be positive; "
                f"got {list(widths)}, {num_classes}, {stem_pool}"
            )
        if stem_stride is None:
            stem_stride = 1 if image_size is not None and min(image_size) < SMALL_IMAGE else 2
        self.bank = as_bank(bank)
        self.front_end = FrontEnd(
            self.bank, in_channels, mode, channels=channels, start=start, gain=gain, rectify=rectify,
            border=border, stride=stem_stride, unfreeze_epoch=unfreeze_epoch, anchor=anchor,
        )  # fmt: skip
        inputs = [self.front_end.out_channels, *widths]
        self.stem = nn.Sequential(_pool(pool, stem_pool), _norm(norm if stem_norm else "none", inputs[0]))
        self.trunk = nn.ModuleList()
        for number, width in enumerate(widths):
            conv = nn.Conv2d(inputs[number], width, 3, padding=1, bias=norm == "none")
            between = _pool(pool, 2 if number + 1 < len(widths) else 1)
            self.trunk.append(nn.Sequential(conv, _norm(norm, width), ACTIVATIONS[activation](), between))
        self.kernel_names = self.front_end.response_names
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(widths[-1], num_classes))

    def stages(self, image_BCHW: Tensor) -> dict[str, Tensor]:
        """Every stage in order: `response`, `feature`, `stem`, `stage1` ..., `embedding` (B, D), `logits`."""
        named = self.front_end(image_BCHW, named=True)
        named["stem"] = current = self.stem(named["feature"])
        for number, stage in enumerate(self.trunk, start=1):
            named[f"stage{number}"] = current = stage(current)
        named["embedding"] = current.mean(dim=(2, 3))
        named["logits"] = self.head(named["embedding"])
        return named

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


def _norm(kind: str, width: int) -> nn.Module:
    if kind == "group":
        return nn.GroupNorm(math.gcd(8, width), width)
    return nn.BatchNorm2d(width) if kind == "batch" else nn.Identity()


def _pool(kind: str, factor: int) -> nn.Module:
    if factor == 1:
        return nn.Identity()
    return nn.MaxPool2d(factor, ceil_mode=True) if kind == "max" else nn.AvgPool2d(factor, ceil_mode=True)
