"""Curves of many arms with their bands, and intervals on one axis, as numbers for a template to draw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cnnlab.draw.charts import BOTTOM, LEFT, RIGHT, TOP, log_ticks, ticks

Band = tuple[float, float, float, float]  # x, middle, low, high


@dataclass(frozen=True)
class BandLine:
    """`arm` is its place among all arms; `path` and `area` are the d of SVG paths; `points` what hovering says."""

    arm: int
    path: str
    area: str
    points: list[tuple[float, str, str]]  # place across, words of x, words of the value


@dataclass(frozen=True)
class BandChart:
    """`ticks_x`, `ticks_y`: (place, words). `note`: said beside the title, as that an axis is logarithmic."""

    title: str
    x: str
    y: str
    words: str
    note: str
    lines: list[BandLine]
    ticks_x: list[tuple[float, str]]
    ticks_y: list[tuple[float, str]]


def band_chart(title: str, x: str, y: str, lines: Sequence[tuple[int, str, Sequence[Band]]], spread: bool) -> BandChart:
    """`lines` are (place of the arm, its name, points); a point that is not finite is left out.

    spread: x runs over log(1 + x), so that a start at 0 is seen.
    """
    kept = [(arm, name, [p for p in points if all(map(math.isfinite, p[:2]))]) for arm, name, points in lines]
    every = [point for _, _, points in kept for point in points]
    low, high = _range([value for point in every for value in point[1:] if math.isfinite(value)])
    place = math.log1p if spread else float
    first, last = (place(min(p[0] for p in every)), place(max(p[0] for p in every))) if every else (0.0, 1.0)

    def across(value: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * ((place(value) - first) / (last - first) if last > first else 0.5), 1)

    def down(value: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low), 1)

    drawn = [_line(arm, points, across, down) for arm, _, points in kept if points]
    return BandChart(
        title=title,
        x=x,
        y=y,
        words=_in_words(title, x, kept),
        note="logarithmic axis" if spread else "",
        lines=drawn,
        ticks_x=[(across(value), _short(value)) for value in _ticks_x([p[0] for p in every], spread)],
        ticks_y=[(down(value), f"{value:g}") for value in ticks(low, high)],
    )


@dataclass(frozen=True)
class Axis:
    """A line of intervals: places are in per cent of its length. `ticks`: (place, words)."""

    low: float
    high: float
    ticks: list[tuple[float, str]]

    def place(self, value: float) -> float:
        return round(100 * (min(max(value, self.low), self.high) - self.low) / (self.high - self.low), 2)


def axis_of(ends: Sequence[float], least: float) -> Axis:
    """An axis that holds 0, `least` to both sides, and the ends of the intervals.

    One arm that is much worse than all the others would squeeze these: beyond 6 times the middle of all ends, a half
    of the axis stops and cuts.
    """
    sizes = sorted(abs(end) for end in ends if math.isfinite(end))
    most = max(2 * least, 6 * sizes[len(sizes) // 2]) if sizes else 2 * least
    most = most or max(sizes, default=0.0) or 1.0  # most are 0 where nothing matters below a size
    low = max(-most, min([-least, *(end for end in ends if math.isfinite(end))]))
    high = min(most, max([least, *(end for end in ends if math.isfinite(end))]))
    if low == high:
        low, high = -most, most
    room = 0.04 * (high - low)
    axis = Axis(low - room, high + room, [])
    return Axis(axis.low, axis.high, [(axis.place(t), _signed(t)) for t in ticks(axis.low, axis.high, 6)])


def _line(arm: int, points: Sequence[Band], across, down) -> BandLine:
    middle = [(across(x), down(value)) for x, value, _, _ in points]
    banded = [(across(x), down(low), down(high)) for x, _, low, high in points if math.isfinite(low + high)]
    edge = [(x, low) for x, low, _ in banded] + [(x, high) for x, _, high in reversed(banded)]
    said = [
        (across(x), _short(x), f"{value:.4g}" + (f" ({low:.4g} to {high:.4g})" if math.isfinite(low + high) else ""))
        for x, value, low, high in points
    ]
    return BandLine(arm, _path(middle), _path(edge) + " Z" if len(banded) > 1 else "", said)


def _path(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{'M' if i == 0 else 'L'}{x} {y}" for i, (x, y) in enumerate(places))


def _range(values: list[float]) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or 0.05 * abs(high) or 0.05
    return low - room, high + room


def _ticks_x(values: list[float], spread: bool) -> list[float]:
    if not values:
        return []
    first, last = min(values), max(values)
    if not spread:
        return ticks(first, last, 6) if last > first else [first]
    found = [t for t in log_ticks(max(1.0, first), max(2.0, last)) if first <= t <= last]
    return ([0.0] if first == 0 else []) + found


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"


def _signed(value: float) -> str:
    return "0" if value == 0 else f"{value:+g}".replace("-", "\N{MINUS SIGN}")


def _in_words(title: str, x: str, lines: Sequence[tuple[int, str, Sequence[Band]]]) -> str:
    """The picture for those who can't see it."""
    parts = [f"{name}: from {points[0][1]:.4g} to {points[-1][1]:.4g}" for _, name, points in lines if points]
    return f"{title} by {x}. " + "; ".join(parts)
