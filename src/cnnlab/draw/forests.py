"""Differences between arms with their intervals, one line per comparison: the numbers, and the figure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cnnlab._colour import BLUE, GREY, RED
from cnnlab.draw.charts import ticks


@dataclass(frozen=True)
class Compared:
    """One arm against `control` under one condition: the mean difference and its interval in the forest's unit.

    words: the verdict. clear: whether the interval excludes 0. holds: whether it does so after correction too.
    """

    arm: str
    control: str
    condition: str
    mean: float
    low: float
    high: float
    seeds: int
    words: str
    clear: bool
    holds: bool


@dataclass(frozen=True)
class Forest:
    """All comparisons of one quantity. `relevant`: the smallest difference that matters, shaded about 0.

    better: "higher" or "lower" values; the side that is better is named under the axis.
    """

    quantity: str
    unit: str
    relevant: float
    better: str
    lead: str
    rows: Sequence[Compared]

    def tone(self, row: Compared) -> str:
        """ "better", "worse", or "none" where 0 is in the interval."""
        if not row.clear:
            return "none"
        return "better" if (row.mean > 0) == (self.better == "higher") else "worse"


@dataclass(frozen=True)
class Axis:
    """A line of intervals: places are in per cent of its length. `ticks`: (place, words)."""

    low: float
    high: float

    def place(self, value: float) -> float:
        return round(100 * (min(max(value, self.low), self.high) - self.low) / (self.high - self.low), 2)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        return [(self.place(tick), _signed(tick)) for tick in ticks(self.low, self.high, 6)]


def axis_of(forest: Forest) -> Axis:
    """An axis that holds 0, `relevant` to both sides, and the ends of the intervals.

    One arm that is much worse than all the others would squeeze these: beyond 6 times the middle of all ends, a half
    of the axis stops and cuts.
    """
    least = forest.relevant
    ends = [end for row in forest.rows for end in (row.low, row.high, row.mean) if math.isfinite(end)]
    sizes = sorted(map(abs, ends))
    most = max(2 * least, 6 * sizes[len(sizes) // 2]) if sizes else 2 * least
    most = most or max(sizes, default=0.0) or 1.0  # most are 0 where nothing matters below a size
    low, high = max(-most, min([-least, *ends])), min(most, max([least, *ends]))
    if low == high:
        low, high = -most, most
    room = 0.04 * (high - low)
    return Axis(low - room, high + room)


COLOURS = {"better": BLUE, "worse": RED, "none": GREY}


def forest_figure(forest: Forest) -> Figure:
    """One panel per condition, one line per comparison. A filled dot holds after correction.

    A mean that isn't finite leaves its line empty.
    """
    conditions = list(dict.fromkeys(row.condition for row in forest.rows))
    pairs = list(dict.fromkeys((row.arm, row.control) for row in forest.rows))
    figure = Figure(figsize=(2.2 + 3.4 * len(conditions), 1.3 + 0.3 * len(pairs)), layout="constrained")
    axes = figure.subplots(1, max(1, len(conditions)), squeeze=False, sharex=True, sharey=True)[0]
    for axis, condition in zip(axes, conditions, strict=False):
        axis.axvspan(-forest.relevant, forest.relevant, color="0.93", zorder=0)
        axis.axvline(0, color=GREY, linewidth=1, zorder=1)
        for row in forest.rows:
            if row.condition == condition and math.isfinite(row.mean):
                _interval(axis, pairs.index((row.arm, row.control)), row, COLOURS[forest.tone(row)])
        axis.set(title=condition, xlabel=f"difference in {forest.unit}", yticks=range(len(pairs)))
        axis.set_yticklabels([f"{arm} against {control}" for arm, control in pairs], fontsize=9)
        axis.title.set_fontsize(10)
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="x", alpha=0.3)
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[0].set_ylim(max(1, len(pairs)) - 0.5, -0.5)
    return figure


def _interval(axis: Axes, line: int, row: Compared, colour: str) -> None:
    if math.isfinite(row.low) and math.isfinite(row.high):
        axis.plot([row.low, row.high], [line, line], color=colour, linewidth=2, solid_capstyle="round", zorder=2)
    fill = colour if row.holds else "white"
    axis.plot(row.mean, line, "o", color=colour, markerfacecolor=fill, markersize=6, markeredgewidth=1.6, zorder=3)


def _signed(value: float) -> str:
    return "0" if value == 0 else f"{value:+g}".replace("-", "\N{MINUS SIGN}")
