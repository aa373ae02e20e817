"""Boundary detectors: precision over recall with lines of equal F, photographs beside their boundaries, kernels.

H, W photograph, C colour, K kernels of h w.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cnnlab._colour import DIVERGING, OKABE_ITO

COLOURS = tuple(colour for name, colour in OKABE_ITO.items() if name != "yellow")  # which is pale on white
LINES = ("-", "--", ":", "-.")  # the colours once more
LEVELS = tuple(tenth / 10 for tenth in range(1, 10))  # of F
TITLES = ("photograph", "people", "network")
KERNELS = 16  # that are shown of a detector
APART = 0.034  # least distance of names beside the right edge, of its height


class Curve(NamedTuple):
    """A detector: its curve, and the point with the best F. Recall and precision in [0, 1], of one length."""

    name: str
    recall: Sequence[float]
    precision: Sequence[float]
    best: tuple[float, float]  # recall, precision
    f: float


def precision_recall(
    curves: Sequence[Curve],
    published: Sequence[tuple[str, float]] = (),
    human: tuple[float, float] | None = None,
    title: str = "",
) -> Figure:
    """One line a detector, a dot at its best F; `published` (name, F) as lines of equal F with their names beside.

    human: recall and precision of each annotator against the others.
    """
    figure = Figure(figsize=(7.6, 6.2))
    axis = figure.add_axes((0.08, 0.09, 0.70, 0.84))
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="recall", ylabel="precision", aspect="equal")
    axis.set_title(title, fontsize=11, loc="left")
    for level in LEVELS:
        _equal_f(axis, level, "-", "0.85", 1)
        # Named where precision and recall are both F.
        white = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        axis.text(level, level, f"{level:g}", fontsize=7, color="0.5", ha="center", va="center", bbox=white, zorder=2.5)
    _draw_published(axis, published)
    for number, curve in enumerate(curves):
        colour, line = COLOURS[number % len(COLOURS)], LINES[number // len(COLOURS) % len(LINES)]
        label = f"{curve.name}  F = {curve.f:.3f}"
        if len(curve.recall) > 1:
            axis.plot(curve.recall, curve.precision, line, color=colour, linewidth=1.8, zorder=3)
        axis.plot(*curve.best, "o", color=colour, markersize=6, markeredgecolor="white", zorder=4)
        axis.plot([], [], line, marker="o", color=colour, linewidth=1.8, markersize=6, label=label)
    if human is not None:
        f = 2 * human[0] * human[1] / max(sum(human), 1e-12)
        label = f"human agreement (leave one annotator out)  F = {f:.3f}"
        axis.plot(*human, "*", color="#228833", markersize=11, markeredgecolor="white", zorder=5, label=label)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="lower left", fontsize=8, framealpha=0.92)
    return figure


def _equal_f(axis: Axes, f: float, line: str | tuple[int, tuple[int, int]], grey: str, order: int) -> None:
    """All recall and precision with this F: from recall F / (2 - F), where precision is 1, to 1."""
    recall = np.linspace(f / (2 - f), 1, 200)
    axis.plot(recall, f * recall / (2 * recall - f), color=grey, linewidth=0.8, linestyle=line, zorder=order)


def _draw_published(axis: Axes, published: Sequence[tuple[str, float]]) -> None:
    """Only F is published, not where on its line: the line is drawn, and named where it leaves at the right."""
    ends = [f / (2 - f) for _, f in published]
    for (name, f), end, place in zip(published, ends, spread(ends, APART), strict=True):
        _equal_f(axis, f, (0, (4, 3)), "0.35", 2)
        axis.plot([1, 1.025], [end, place], color="0.35", linewidth=0.7, clip_on=False)
        axis.text(1.03, place, f"{name} {f:.3f}", fontsize=8, va="center", clip_on=False)
    if published:
        top = max(spread(ends, APART)) + 1.6 * APART
        axis.text(1.03, top, "published\n(test split)", fontsize=8, va="bottom", color="0.35", clip_on=False)


def spread(places: Sequence[float], apart: float) -> list[float]:
    """The places, moved as little as needed to be `apart`, in the same order.

    >>> spread([0.1, 0.5, 0.5], 0.2)
    [0.1, 0.4, 0.6]
    """
    from scipy.optimize import isotonic_regression

    if not len(places):
        return []
    # Places less their number times `apart` must not fall: the nearest such row is the isotonic regression.
    order, steps = np.argsort(places, kind="stable"), apart * np.arange(len(places))
    moved = np.empty(len(places))
    moved[order] = (isotonic_regression(np.asarray(places)[order] - steps).x + steps).round(12)
    return [float(place) for place in moved]


def boundary_figure(rows: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Figure:
    """One row per photograph: it (H, W, C) in [0, 1], the fraction of people and the network's probability, (H, W)
    each in [0, 1], black on white."""
    assert rows, "a picture needs a photograph"
    heights = [image_HWC.shape[0] / image_HWC.shape[1] for image_HWC, _, _ in rows]
    figure = Figure(figsize=(9.0, 3.0 * sum(heights) + 0.3), layout="constrained")
    axes = figure.subplots(len(rows), 3, squeeze=False, gridspec_kw={"height_ratios": heights})
    for line, pictures in zip(axes, rows, strict=True):
        for axis, picture, colours in zip(line, pictures, (None, "gray_r", "gray_r"), strict=True):
            axis.imshow(picture, cmap=colours, vmin=0, vmax=1)
            axis.set_axis_off()
    for axis, title in zip(axes[0], TITLES, strict=True):
        axis.set_title(title, fontsize=9)
    return figure


def detector_figure(kernels_Khw: np.ndarray, names: Sequence[str], panels: Mapping[str, np.ndarray]) -> Figure:
    """The first kernels in a row; below, pictures (H, W, C) under their titles."""
    figure = Figure(figsize=(7.5, 3.8), layout="constrained")
    rows = figure.add_gridspec(2, 1, height_ratios=(1, 2.4))
    count = min(len(names), KERNELS)
    above = figure.add_subfigure(rows[0]).subplots(1, count, squeeze=False)[0]
    below = figure.add_subfigure(rows[1]).subplots(1, len(panels), squeeze=False)[0]
    for axis, kernel_hw, name in zip(above, kernels_Khw, names, strict=False):
        axis.imshow(kernel_hw, cmap=DIVERGING, vmin=-np.abs(kernel_hw).max(), vmax=np.abs(kernel_hw).max())
        axis.set_title(name.partition("_")[2] or name, fontsize=7)  # gaussian_dx: dx
    for axis, (title, picture_HWC) in zip(below, panels.items(), strict=True):
        axis.imshow(picture_HWC)
        axis.set_title(title, fontsize=9)
    for axis in (*above, *below):
        axis.set_axis_off()
    return figure
