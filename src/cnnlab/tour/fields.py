"""Deeper units see more: receptive fields, as computed and as measured. C channel, H, W image."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.patches import Circle
from torch import Tensor, nn

from cnnlab.receptive import EffectiveField, ReceptiveField, effective_field, random_inputs, receptive_fields
from cnnlab.tour.sheet import MARKS, RULE, TEXT, TIMES, Sheet, mark, name_axes, show_image, sized
from cnnlab.tour.step import Part, Step


def cascade(depth: int, pooled: bool = False, width: int = 12) -> nn.Sequential:
    """3 x 3 convolutions, each followed by a ReLU, drawn at random; `pooled`: a pool after every second halves."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for number in range(depth):
        convolution = nn.Conv2d(width if number else 3, width, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight)
        layers += [convolution, nn.ReLU()]
        if pooled and number % 2:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def field_growth(depth: int = 10, side: int = 128) -> dict[str, list[ReceptiveField]]:
    """What a unit sees after each convolution, without and with pools between them."""
    growth = {}
    for name, pooled in (("convolutions alone", False), ("a pool after every second", True)):
        network = cascade(depth, pooled)
        fields = receptive_fields(network, (3, side, side))
        growth[name] = [fields[layer] for layer, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    return growth


def measured_fields(depths: tuple[int, ...] = (1, 3, 6, 10), side: int = 32, inputs: int = 24) -> list[EffectiveField]:
    """What the middle unit listens to after so many convolutions, over images of noise."""
    network = cascade(max(depths))
    layers = [str(2 * (depth - 1)) for depth in depths]  # each convolution is followed by a ReLU
    return [effective_field(network, layer, random_inputs((3, side, side), inputs, batch=24)) for layer in layers]


def growth_figure(
    photo_CHW: Tensor, growth: Mapping[str, Sequence[ReceptiveField]], measured: Sequence[EffectiveField]
) -> Sheet:
    """Sizes over depth, the fields of one place on the photograph, and what units measurably listen to."""
    sheet = Sheet()
    sizes = {name: [_side(field) for field in fields] for name, fields in growth.items()}
    axis = sheet.panel(3.5, 2.9, "what a unit can see,\nby the number of convolutions", ticks=True)
    for (name, sides), colour, sign in zip(sizes.items(), MARKS[:2][::-1], "os", strict=True):
        axis.plot(range(1, len(sides) + 1), sides, f"{sign}-", color=colour, linewidth=2, markersize=5, label=name)
    name_axes(axis, "3 by 3 convolutions", "pixels along a side")
    axis.grid(color=RULE, linewidth=0.7)
    axis.legend(fontsize=TEXT - 1, frameon=False, loc="upper left")
    plain, pooled = sizes.values()
    axis = sheet.panel(*sized(photo_CHW[0], 2.9), "boxes of 1, 5 and 10 convolutions,\nwithout and with pools")
    show_image(axis, photo_CHW)
    middle = [side // 2 for side in photo_CHW.shape[1:]]
    for sides, colour in ((plain, MARKS[1]), (pooled, MARKS[0])):
        for depth in (1, 5, 10):
            side = sides[depth - 1]
            mark(axis, middle[0] - side // 2, middle[1] - side // 2, side, side, colour, 1.6)
    axis.set(xlim=(-0.5, photo_CHW.shape[2] - 0.5), ylim=(photo_CHW.shape[1] - 0.5, -0.5))
    for number, field in enumerate(measured):
        _heat(sheet, field, number == 0)
    first, last = measured[0], measured[-1]
    listened = ", ".join(f"{_side(field.theoretical)} ({2 * field.radius[95]:.0f})" for field in measured)
    sheet.caption = (
        f"Each 3 {TIMES} 3 convolution adds 2 pixels: {len(plain)} of them see {plain[-1]} {TIMES} {plain[-1]}. With a "
        f"pool after every second one the same ten see {pooled[-1]} {TIMES} {pooled[-1]}. The heat was measured in "
        f"random networks over {first.count} images of noise: side of the box, and in brackets the diameter that holds "
        f"95 % of the energy, {listened} pixels. The middle of the box counts most, and the fraction of its pixels "
        f"with 95 % of the energy falls from {100 * first.fraction[95]:.0f} to {100 * last.fraction[95]:.0f} %."
    )
    return sheet


def _side(field: ReceptiveField) -> int:
    assert field.size[0] is not None, "convolutions and pools see a part of the image"
    return field.size[0]


def _heat(sheet: Sheet, field: EffectiveField, first: bool) -> None:
    assert field.unit is not None, "convolutions have maps"
    heat = field.heat_HW.numpy()
    depth = (_side(field.theoretical) - 1) // 2
    axis = sheet.panel(2.3, 2.3, f"{depth} convolution{'s' if depth > 1 else ''}:\nwhat a unit listens to", row=first)
    axis.imshow(np.sqrt(heat / heat.max()), cmap="magma")
    box = field.theoretical.clipped(*field.unit, heat.shape[0], heat.shape[1])
    mark(axis, box.top, box.left, box.bottom - box.top + 1, box.right - box.left + 1, "#56b4e9", 1.6)
    centre = (field.centroid[1], field.centroid[0])
    radius = max(field.radius[95], 0.5)
    axis.add_patch(Circle(centre, radius, fill=False, edgecolor="white", linestyle="--", linewidth=1.4))


STEP = Step(
    "fields",
    "Deeper units see more",
    (
        "A unit of the second layer looks at a neighbourhood of first-layer units, each of which looks at a "
        "neighbourhood of pixels. So what a unit can see, its receptive field, grows with depth: by two pixels for "
        "each 3 by 3 convolution, and much faster with pools or strides between them, which move the units apart.",
        "What a unit can see is not what it listens to. There are many ways from the middle of its field to the "
        "unit and few from the rim, so the middle counts most. This effective field can be measured, by gradients.",
    ),
    (
        Part(
            "8_fields",
            (cascade, field_growth, measured_fields),
            "figure = growth_figure(photo_CHW, field_growth(), measured_fields())",
        ),
    ),
)
