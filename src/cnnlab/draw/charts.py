"""Lines over one axis, with bands or without: the numbers. `chart_figures` and `chart_svg` draw them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

Point = tuple[float, float, float, float]  # x, value, low, high; the last two are NaN where there is no band


@dataclass(frozen=True)
class Line:
    """`number`: its place among all lines. `colour` counts from 0. `broken`: "", dashed, dotted or dashdot."""

    name: str
    points: Sequence[Point]
    number: int = 0
    colour: int = 0
    broken: str = ""


@dataclass(frozen=True)
class Chart:
    """`x`, `y`: what the axes say. `mark`: the value on the test split, a horizontal line.

    spread: x runs over log(1 + x), so that a start at 0 is seen. log_y: y is logarithmic if all values are positive.
    """

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    spread: bool = False
    log_y: bool = False
    mark: float | None = None

    @property
    def logarithmic(self) -> bool:
        return self.log_y and bool(values := self.values()) and min(values) > 0

    def values(self) -> list[float]:
        """All finite numbers that lie along y."""
        every = [value for line in self.lines for point in line.points for value in point[1:]]
        return [value for value in [*every, math.nan if self.mark is None else self.mark] if math.isfinite(value)]

    def places(self) -> list[float]:
        """All that lie along x, of points that can be drawn."""
        return [point[0] for line in self.lines for point in finite(line.points)]

    def table(self) -> list[tuple[float, list[float | None]]]:
        """The numbers behind the picture: (x, [value of each line])."""
        columns = [{x: value for x, value, _, _ in finite(line.points)} for line in self.lines]
        return [(x, [column.get(x) for column in columns]) for x in sorted({*self.places()})]

    def in_words(self) -> str:
        """The picture for those who can't see it."""
        ends = [(line.name, points[0], points[-1]) for line in self.lines if (points := finite(line.points))]
        parts = [f"{name}: from {first[1]:.4g} to {last[1]:.4g}" for name, first, last in ends]
        tested = [] if self.mark is None else [f"test: {self.mark:.4g}"]
        return f"{self.title} by {self.x}. " + "; ".join(parts + tested)

    def styled(self, styles: Mapping[str, tuple[int, str]]) -> "Chart":
        """With lines in the order of `styles`, {name: (colour, broken)}, and numbered by it."""
        numbers = {name: number for number, name in enumerate(styles)}
        lines = [Line(line.name, line.points, numbers[line.name], *styles[line.name]) for line in self.lines]
        return replace(self, lines=sorted(lines, key=lambda line: line.number))


def plain(x: float, value: float) -> Point:
    """Without a band."""
    return x, value, math.nan, math.nan


def lines_of(points: Mapping[str, Sequence[Point]]) -> list[Line]:
    """A line per name, each in a colour of its own."""
    return [Line(name, those, number, number) for number, (name, those) in enumerate(points.items())]


def finite(points: Iterable[Point]) -> list[Point]:
    """Those that can be drawn; their band may be missing."""
    return [point for point in points if math.isfinite(point[0]) and math.isfinite(point[1])]


def learning_curves(
    runs: Sequence[tuple[str, Sequence[Mapping[str, str]]]], tested: Mapping[str, object] | None = None
) -> list[Chart]:
    """Loss and accuracy by epoch, counted from 1, as far as they are there; `runs` are (name, rows of metrics.csv).

    Of several runs one colour per run, and dashed lines for training. tested: metrics, of which `test/...` are marked.
    """
    charts = []
    for quantity in ("loss", "accuracy"):
        lines: list[Line] = []
        for number, (run, rows) in enumerate(runs):
            for split, column in (("training", f"train/{quantity}"), ("validation", f"val/{quantity}")):
                points = [plain(int(row["epoch"]) + 1, float(row[column])) for row in rows if column in row]
                if points and len(runs) == 1:
                    lines.append(Line(split, points, len(lines), len(lines)))
                elif points:
                    dashed = "dashed" if split == "training" else ""
                    lines.append(Line(f"{run}, {split}", points, len(lines), number, dashed))
        mark = (tested or {}).get(f"test/{quantity}")
        if lines:
            mark = mark if isinstance(mark, float) and math.isfinite(mark) else None
            charts.append(Chart(quantity, "epoch", quantity, lines, log_y=quantity == "loss", mark=mark))
    return charts


def ticks(low: float, high: float, wanted: int = 5, least: float = 0.0) -> list[float]:
    """Round numbers between `low` and `high`, at least `least` apart."""
    step = 10 ** math.floor(math.log10((high - low) / wanted))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= wanted)
    step = max(step, least)
    return [round(number * step, 12) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, with 2 and 5 between them where they leave room."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    wide = [10.0**e for e in exponents if low <= 10.0**e <= high]
    if len(wide) > 2:
        return wide
    return [f * 10.0**e for e in exponents for f in (1, 2, 5) if low <= f * 10.0**e <= high] or ticks(low, high)


def y_range(chart: Chart) -> tuple[float, float]:
    """Holds all that the chart shows, with some room above and below."""
    values = chart.values()
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if chart.logarithmic:
        return low / 1.15, high * 1.15
    room = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
    return low - room, high + room


def y_ticks(chart: Chart) -> list[tuple[float, str]]:
    """(value, words) of the ticks along y."""
    return [(value, f"{value:g}") for value in (log_ticks if chart.logarithmic else ticks)(*y_range(chart))]


def x_ticks(chart: Chart) -> list[tuple[float, str]]:
    """(x, words) of the ticks along x: integers where all places are."""
    places = chart.places()
    if not places:
        return []
    first, last = min(places), max(places)
    if first == last:
        found = [first]
    elif chart.spread:
        found = [t for t in log_ticks(max(1.0, first), max(2.0, last)) if first <= t <= last]
        found = ([0.0] if first == 0 else []) + found
    else:
        found = ticks(first, last, 7, least=1.0 if all(x == int(x) for x in places) else 0.0)
    return [(x, short(x)) for x in found]


def short(x: float) -> str:
    """
    >>> short(128.0), short(50_000.0)
    ('128', '50k')
    """
    return f"{x / 1000:g}k" if x >= 10_000 else f"{x:g}"
