"""Precision over recall of boundary detectors, with lines of equal F."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito 2008: colours that colour-blind people tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", ":", "-.")  # the colours once more
LEVELS = tuple(tenth / 10 for tenth in range(1, 10))  # of F
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
    order = np.argsort(places, kind="stable")
    # Places less their number times `apart` must not fall: the nearest such row is the isotonic regression.
    blocks: list[tuple[float, int]] = []
    for number, index in enumerate(order):
        blocks.append((places[index] - number * apart, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (low, few), (high, more) = blocks[-2:]
            blocks[-2:] = [((low * few + high * more) / (few + more), few + more)]
    level = [value for value, count in blocks for _ in range(count)]
    found = [0.0] * len(level)
    for number, index in enumerate(order):
        found[index] = round(level[number] + number * apart, 12)
    return found
