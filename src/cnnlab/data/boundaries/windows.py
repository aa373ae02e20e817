"""Windows of photographs with the boundaries that people drew in them: cut, scaled, rotated, lit.

C channel, H, W photograph, S side of a window, A annotator.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab._choices import UsageError


@dataclass(frozen=True, eq=False)
class Drawn:
    """A photograph at rest: image_CHW uint8, and votes_HW uint8: 255 where everybody drew a boundary."""

    stem: str
    image_CHW: Tensor
    votes_HW: Tensor

    def to(self, device: torch.device) -> "Drawn":
        return Drawn(self.stem, self.image_CHW.to(device), self.votes_HW.to(device))


def votes_of(boundaries_AHW: Tensor, slack: int) -> Tensor:
    """(H, W) uint8: the fraction of annotators, 255 for all, with a boundary at most `slack` pixels away.

    People agree on a boundary and draw it a pixel apart: without slack, hardly a pixel has two votes. Distances
    count as the king of chess walks.
    """
    votes_AHW = boundaries_AHW.float()
    if slack:
        votes_AHW = F.max_pool2d(votes_AHW[None], 2 * slack + 1, stride=1, padding=slack)[0]
    return (votes_AHW.mean(0) * 255).round().to(torch.uint8)


@dataclass(frozen=True)
class Windows:
    """Draws square windows of `size` pixels.

    scales: [smallest, largest] factor by which the photograph is scaled, uniform in its logarithm; a photograph
    that is too small is enlarged more. flip: left to right, one window in two. turn: by 0, 90, 180 or 270 degrees.
    light: contrast changes by a factor in 1 - light .. 1 + light, brightness by -light/2 .. light/2.
    """

    size: int
    scales: Sequence[float]
    flip: bool
    turn: bool
    light: float

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError(f"data.crop={self.size}: at least 1 pixel")
        if len(self.scales) != 2 or not 0 < self.scales[0] <= self.scales[1]:
            raise UsageError(f"data.scales={list(self.scales)}: [smallest, largest], above 0, such as [0.6, 1.4]")
        if not 0 <= self.light < 1:
            raise UsageError(f"data.light={self.light}: from 0 (off) to below 1")

    def __call__(self, drawn: Drawn, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """image_CSS float32 in [0, 1] and votes_1SS float32 in [0, 1]. Always as many draws, whatever is off."""
        scale, top, left, flip, turn, contrast, brightness = torch.rand(7, generator=generator).tolist()
        smallest, largest = (math.log(one) for one in self.scales)
        height, width = drawn.image_CHW.shape[1:]
        side = min(max(1, round(self.size / math.exp(smallest + (largest - smallest) * scale))), height, width)
        y, x = int(top * (height - side + 1)), int(left * (width - side + 1))
        part = (..., slice(y, y + side), slice(x, x + side))
        image_CSS = self._scaled(drawn.image_CHW[part].float() / 255)
        votes_1SS = self._scaled(drawn.votes_HW[part][None].float() / 255)
        if self.flip and flip < 0.5:
            image_CSS, votes_1SS = image_CSS.flip(-1), votes_1SS.flip(-1)
        if self.turn:
            image_CSS, votes_1SS = (torch.rot90(one, int(4 * turn), (1, 2)) for one in (image_CSS, votes_1SS))
        if self.light:
            factor, offset = 1 + self.light * (2 * contrast - 1), self.light * (brightness - 0.5)
            image_CSS = ((image_CSS - 0.5) * factor + 0.5 + offset).clamp(0, 1)
        return image_CSS, votes_1SS

    def _scaled(self, part_CSS: Tensor) -> Tensor:
        if part_CSS.shape[-1] == self.size:
            return part_CSS
        return F.interpolate(part_CSS[None], (self.size, self.size), mode="bilinear", antialias=True)[0]
