"""Figures of the tour's steps on networks. C channel, H, W image, K kernel, h, w kernel sides."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Protocol

import numpy as np
from matplotlib.patches import Circle
from torch import Tensor

from cnnlab.receptive import EffectiveField, ReceptiveField
from cnnlab.tour.sheet import (
    MARKS,
    RULE,
    SOFT,
    TEXT,
    TIMES,
    Sheet,
    mark,
    show_image,
    show_kernel,
    sized,
)

SHOWN = 16  # kernels of a first layer
PER_ROW = 8


class Layer(Protocol):
    """First-layer kernels (K, C, h, w) of a training at its start and end, as the tour has them."""

    name: str
    start: Tensor
    end: Tensor
    alike: Sequence[float]
    named: int
    accuracy: float | None


def growth_figure(
    photo_CHW: Tensor, growth: Mapping[str, Sequence[ReceptiveField]], measured: Sequence[EffectiveField]
) -> Sheet:
    """Sizes over depth, the fields of one place on the photograph, and what units measurably listen to."""
    sheet = Sheet()
    axis = sheet.panel(3.5, 2.9, "what a unit can see,\nby the number of convolutions", ticks=True)
    for (name, fields), colour, sign in zip(growth.items(), MARKS[:2][::-1], "os", strict=True):
        sizes = [field.size[0] for field in fields]
        axis.plot(range(1, len(sizes) + 1), sizes, f"{sign}-", color=colour, linewidth=2, markersize=5, label=name)
    axis.set_xlabel("3 by 3 convolutions", fontsize=TEXT, color=SOFT)
    axis.set_ylabel("pixels along a side", fontsize=TEXT, color=SOFT)
    axis.grid(color=RULE, linewidth=0.7)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=TEXT - 1, frameon=False, loc="upper left")
    plain, pooled = growth.values()
    axis = sheet.panel(*sized(photo_CHW[0], 2.9), "boxes of 1, 5 and 10 convolutions,\nwithout and with pools")
    show_image(axis, photo_CHW)
    middle = [side // 2 for side in photo_CHW.shape[1:]]
    for fields, colour in ((plain, MARKS[1]), (pooled, MARKS[0])):
        for depth in (1, 5, 10):
            side = fields[depth - 1].size[0]
            mark(axis, middle[0] - side // 2, middle[1] - side // 2, side, side, colour, 1.6)
    axis.set(xlim=(-0.5, photo_CHW.shape[2] - 0.5), ylim=(photo_CHW.shape[1] - 0.5, -0.5))
    for number, field in enumerate(measured):
        _heat(sheet, field, number == 0)
    first, last = measured[0], measured[-1]
    told = ", ".join(f"{field.theoretical.size[0]} ({2 * field.radius[95]:.0f})" for field in measured)
    sheet.caption = (
        f"Each 3 {TIMES} 3 convolution adds 2 pixels: {len(plain)} of them see {plain[-1].size[0]} {TIMES} "
        f"{plain[-1].size[1]}. With a pool behind every second one the same ten see {pooled[-1].size[0]} {TIMES} "
        f"{pooled[-1].size[1]}. The heat was measured in random networks over {first.count} images of "
        f"noise: side of the box, and in brackets the diameter that holds 95 % of "
        f"the energy, {told} pixels. The "
        f"middle of the box counts most, and the share of its pixels with 95 % of the energy falls from "
        f"{100 * first.fraction[95]:.0f} to {100 * last.fraction[95]:.0f} %."
    )
    return sheet


def _heat(sheet: Sheet, field: EffectiveField, first: bool) -> None:
    heat = field.heat_HW.numpy()
    depth = (field.theoretical.size[0] - 1) // 2
    axis = sheet.panel(2.3, 2.3, f"{depth} convolution{'s' if depth > 1 else ''}:\nwhat a unit listens to", row=first)
    axis.imshow(np.sqrt(heat / heat.max()), cmap="magma")
    box = field.theoretical.clipped(*field.unit, *heat.shape)
    mark(axis, box.top, box.left, box.bottom - box.top + 1, box.right - box.left + 1, "#56b4e9", 1.6)
    centre = (field.centroid[1], field.centroid[0])
    radius = max(field.radius[95], 0.5)
    axis.add_patch(Circle(centre, radius, fill=False, edgecolor="white", linestyle="--", linewidth=1.4))


def learned_figure(layers: Sequence[Layer]) -> Sheet:
    """A row of pairs for each training: a kernel at the start above the same kernel at the end."""
    sheet = Sheet()
    told = []
    for layer in layers:
        shown = min(SHOWN, len(layer.start))
        limit = max(float(kernels.mean(1).abs().max()) for kernels in (layer.start, layer.end)) or 1.0
        score = f", {100 * layer.accuracy:.1f} % right on the test images" if layer.accuracy is not None else ""
        heading = f"{layer.name}{score}\nabove: at the start, below: after the training"
        lines = ceil(shown / PER_ROW)
        axis = sheet.panel(PER_ROW * 0.54, lines * 1.22, heading, row=len(layers) == 1)
        axis.set_axis_off()
        for index in range(shown):
            line, column = divmod(index, PER_ROW)
            for place, kernels in enumerate((layer.start, layer.end)):
                bottom = 1 - (line + 0.46 + 0.5 * place) / lines
                tile = axis.inset_axes((column / PER_ROW, bottom, 0.92 / PER_ROW, 0.44 / lines))
                tile.set(xticks=[], yticks=[])
                show_kernel(tile, kernels[index].mean(0), limit=limit)
                tile.spines[:].set(color=SOFT if place else RULE)
        mean = sum(layer.alike) / len(layer.alike)
        told.append(
            f"{layer.name}: mean cosine of a kernel with its start {mean:.2f}, and {layer.named} of {len(layer.end)} "
            f"kernels are more like an analytic filter than 95 % of random kernels are"
        )
    more = max(len(layer.start) for layer in layers) - SHOWN
    first = f" Of each layer the first {SHOWN} kernels are shown." if more > 0 else ""
    sheet.caption = f"{'; '.join(told)}.{first}"
    return sheet
