"""Pictures of receptive fields. C channel, H, W image."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from numpy.typing import NDArray
from torch import Tensor

from cnnlab._colour import OKABE_ITO
from cnnlab.receptive import Box, EffectiveField, ReceptiveField

COLOURS = tuple(OKABE_ITO[name] for name in ("orange", "sky", "green", "yellow", "blue", "vermilion", "purple"))


def growth(fields: dict[str, ReceptiveField], image_size: tuple[int, int] | None = None) -> Figure:
    """Size of the field over depth, one point per layer; unbounded layers are crosses at the top."""
    names = list(fields)
    figure = Figure(figsize=(max(6.0, min(16.0, 0.16 * len(names) + 4)), 4.6), layout="constrained")
    axis = figure.subplots()
    largest = max((size for field in fields.values() for size in field.size if size is not None), default=1)
    for number, (what, colour) in enumerate((("height", COLOURS[4]), ("width", COLOURS[0]))):
        sizes = {place: field.size[number] for place, field in enumerate(fields.values())}
        bounded = {place: size for place, size in sizes.items() if size is not None}
        if bounded:
            style = "o-" if number == 0 else "o--"
            points = list(bounded), list(bounded.values())
            axis.plot(*points, style, markersize=4 - number, color=colour, label=f"size, {what}")
    top = max(largest, max(image_size or (1, 1)))  # what sees everything sees no less than the image
    endless = [place for place, name in enumerate(names) if fields[name].unbounded is not None]
    if endless:
        axis.plot(endless, [top * 1.35] * len(endless), "x", color=COLOURS[5], label="sees everything")
    if image_size is not None:
        axis.axhline(max(image_size), color="0.5", linewidth=1, linestyle=":", label=f"image, {max(image_size)} px")
    axis.set_yscale("log", base=2)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    every = max(1, len(names) // 40)
    axis.set_xticks(range(0, len(names), every), names[::every], rotation=60, ha="right", fontsize=7)
    axis.set(ylabel="pixels", title="growth of the receptive field over depth")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return figure


def boxes(image_CHW: Tensor, shown: Sequence[tuple[str, Box]]) -> Figure:
    """The fields of units over an image in [0, 1]; parts of a box over the border are drawn outside of the image."""
    height, width = image_CHW.shape[-2:]
    figure = Figure(figsize=(7.4, 5.2), layout="constrained")
    axis = figure.subplots()
    axis.imshow(_displayed(image_CHW), cmap="gray", vmin=0, vmax=1)  # of colour images the last three are ignored
    for number, (name, box) in enumerate(shown):
        colour = COLOURS[number % len(COLOURS)]
        sides = box.right - box.left + 1, box.bottom - box.top + 1
        outline = Rectangle((box.left - 0.5, box.top - 0.5), *sides, fill=False, edgecolor=colour, linewidth=2)
        outline.set(label=f"{name}: {sides[1]} x {sides[0]}", clip_on=False)
        axis.add_patch(outline)
    edges = [(-0.5, -0.5, height - 0.5, width - 0.5), *[box for _, box in shown]]
    top, left = min(edge[0] for edge in edges), min(edge[1] for edge in edges)
    bottom, right = max(edge[2] for edge in edges), max(edge[3] for edge in edges)
    margin = 0.02 * max(bottom - top, right - left)
    axis.set(xlim=(left - margin, right + margin), ylim=(bottom + margin, top - margin))
    axis.set_title("what the middle unit of each layer sees", fontsize=10)
    if shown:
        figure.legend(loc="outside right upper", fontsize=8)
    return figure


def effective(measured: Sequence[EffectiveField]) -> Figure:
    """Heat maps of the energy, each with the theoretical box and the disc of 95 % of the energy."""
    columns = min(4, len(measured))
    rows = -(-len(measured) // columns)
    figure = Figure(figsize=(3.3 * columns, 3.7 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for axis in axes:
        axis.set_axis_off()
    for axis, field in zip(figure.axes, measured, strict=False):
        heat = field.heat_HW.numpy()
        axis.imshow(np.sqrt(heat / heat.max()), cmap="magma")
        axis.add_patch(_disc(field))
        if field.theoretical.unbounded is None and field.unit is not None:
            box = field.theoretical.clipped(*field.unit, *heat.shape)
            sides = box.right - box.left + 1, box.bottom - box.top + 1
            corner = (box.left - 0.5, box.top - 0.5)
            axis.add_patch(Rectangle(corner, *sides, fill=False, edgecolor=COLOURS[1], linewidth=1.5))
            size = f"theory {field.theoretical.size[0]} x {field.theoretical.size[1]}"
        else:
            size = "theory: everything"
        axis.set_title(f"{field.layer}\n{size}, 95 % within {field.radius[95]:.1f} px", fontsize=8)
    heading = "effective field: root of the energy; box: theory; circle: 95 % of the energy"
    figure.suptitle(fill(heading, 40 * columns), fontsize=9)
    return figure


def _disc(field: EffectiveField) -> Circle:
    centre = (field.centroid[1], field.centroid[0])
    return Circle(centre, max(field.radius[95], 0.5), fill=False, edgecolor="white", linestyle="--", linewidth=1)


def _displayed(image_CHW: Tensor) -> NDArray[np.float32]:
    image = image_CHW.detach().cpu().float().clamp(0, 1)
    return image.permute(1, 2, 0).numpy() if len(image) == 3 else image.mean(0).numpy()
