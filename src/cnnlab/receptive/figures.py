"""Pictures of receptive fields. C channel, H, W image."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab._colour import OKABE_ITO
from cnnlab.receptive.field import Box, EffectiveField, ReceptiveField

COLOURS = tuple(OKABE_ITO[name] for name in ("orange", "sky", "green", "yellow", "blue", "vermilion", "purple"))
DRAWN = 6  # layers whose boxes are drawn, unless some were asked for


def overview(fields: Mapping[str, ReceptiveField], image_size: tuple[int, int]) -> Figure:
    """The size over depth, and beside it what the middle units of a few layers see of an image of that size."""
    figure = Figure(figsize=(12.5, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    _draw_growth(left, fields, image_size, labels=24)
    _draw_boxes(right, image_size, fields, spread(fields))
    right.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    return figure


def growth(fields: Mapping[str, ReceptiveField], image_size: tuple[int, int] | None = None) -> Figure:
    """Size of the field over depth, one point per layer; unbounded layers are crosses at the top."""
    figure = Figure(figsize=(max(6.0, min(16.0, 0.16 * len(fields) + 4)), 4.6), layout="constrained")
    _draw_growth(figure.subplots(), fields, image_size)
    return figure


def boxes(image_CHW: Tensor, fields: Mapping[str, ReceptiveField], layers: Sequence[str]) -> Figure:
    """What the middle unit of each layer sees of an image in [0, 1]; a box may reach over the border."""
    height, width = image_CHW.shape[-2:]
    image = image_CHW.detach().cpu().float().clamp(0, 1)
    pixels = image.permute(1, 2, 0) if len(image) == 3 else image.mean(0)
    figure = Figure(figsize=(7.4, 5.2), layout="constrained")
    axis = figure.subplots()
    axis.imshow(pixels.numpy(), cmap="gray", vmin=0, vmax=1)  # of colour images the last three are ignored
    if _draw_boxes(axis, (height, width), fields, layers):
        figure.legend(loc="outside right upper", fontsize=8)
    return figure


def spread(fields: Mapping[str, ReceptiveField]) -> list[str]:
    """Up to DRAWN layers with a map of units from first to last, one for each size."""
    mapped = [name for name, field in fields.items() if name and field.grid is not None]
    names = list({(fields[name].size, fields[name].unbounded): name for name in mapped}.values())
    if len(names) <= DRAWN:
        return names
    return [names[round(place * (len(names) - 1) / (DRAWN - 1))] for place in range(DRAWN)]


def _draw_growth(
    axis: Axes, fields: Mapping[str, ReceptiveField], image_size: tuple[int, int] | None, labels: int = 40
) -> None:
    names = [name or "(network)" for name in fields]
    largest = max((size for field in fields.values() for size in field.size if size is not None), default=1)
    for number, (what, colour) in enumerate((("height", COLOURS[4]), ("width", COLOURS[0]))):
        sizes = {place: field.size[number] for place, field in enumerate(fields.values())}
        bounded = {place: size for place, size in sizes.items() if size is not None}
        if bounded:
            style = "o-" if number == 0 else "o--"
            points = list(bounded), list(bounded.values())
            axis.plot(*points, style, markersize=4 - number, color=colour, label=f"size, {what}")
    top = max(largest, *(image_size or (1, 1)))  # what sees everything sees no less than the image
    endless = [place for place, field in enumerate(fields.values()) if field.unbounded is not None]
    if endless:
        axis.plot(endless, [top * 1.35] * len(endless), "x", color=COLOURS[5], label="sees everything")
    if image_size is not None:
        axis.axhline(max(image_size), color="0.5", linewidth=1, linestyle=":", label=f"image, {max(image_size)} px")
    axis.set_yscale("log", base=2)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    every = max(1, len(names) // labels)
    axis.set_xticks(range(0, len(names), every), names[::every], rotation=60, ha="right", fontsize=7)
    axis.set(ylabel="pixels", title="growth of the receptive field over depth")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)


def _draw_boxes(
    axis: Axes, image_size: tuple[int, int], fields: Mapping[str, ReceptiveField], layers: Sequence[str]
) -> bool:
    """The boxes of the layers that have one, to scale; False where there are none."""
    height, width = image_size
    shown = {name: box for name in layers if (box := _middle_box(fields[name])) is not None}
    axis.add_patch(Rectangle((-0.5, -0.5), width, height, facecolor="none", edgecolor="0.5", linestyle=":"))
    for number, (name, box) in enumerate(shown.items()):
        sides = box.right - box.left + 1, box.bottom - box.top + 1
        colour = COLOURS[number % len(COLOURS)]
        outline = Rectangle((box.left - 0.5, box.top - 0.5), *sides, fill=False, edgecolor=colour, linewidth=2)
        outline.set(label=f"{name or '(network)'}: {sides[1]} x {sides[0]}", clip_on=False)
        axis.add_patch(outline)
    edges = [(-0.5, -0.5, height - 0.5, width - 0.5), *shown.values()]
    top, left = min(edge[0] for edge in edges), min(edge[1] for edge in edges)
    bottom, right = max(edge[2] for edge in edges), max(edge[3] for edge in edges)
    margin = 0.02 * max(bottom - top, right - left)
    axis.set(xlim=(left - margin, right + margin), ylim=(bottom + margin, top - margin), aspect="equal")
    axis.set_title("what the middle unit of each layer sees", fontsize=10)
    return bool(shown)


def _middle_box(field: ReceptiveField) -> Box | None:
    """None where the field is unbounded, the layer has no map, or that unit sees nothing."""
    if field.unbounded is None and field.grid is not None:
        with suppress(UsageError):
            return field.box(field.grid[0] // 2, field.grid[1] // 2)
    return None


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
