"""Learning curves as SVG, drawn by the template: text follows the page's colours, light or dark."""

import math
from dataclasses import dataclass

Points = list[tuple[float, float]]
WIDTH, HEIGHT = 440, 280  # of the drawing, in its own units; on a phone they are about pixels
LEFT, RIGHT, TOP, BOTTOM = 52, 428, 14, 238  # of the plot inside of it


@dataclass(frozen=True)
class Line:
    """`path` is the d of an SVG path, `dots` its points where they are few; `colour` counts from 0."""

    name: str
    path: str
    dots: list[tuple[float, float]]
    colour: int
    dashed: bool
    last: float


@dataclass(frozen=True)
class Chart:
    """`ticks_x`, `ticks_y`: (place, words). `mark`: (place, value) of a horizontal line, or None."""

    quantity: str
    words: str
    lines: list[Line]
    ticks_x: list[tuple[float, str]]
    ticks_y: list[tuple[float, str]]
    logarithmic: bool
    mark: tuple[float, float] | None
    rows: list[tuple[int, list[float | None]]]


def chart(quantity: str, lines: list[tuple[str, Points, int, str]], many: bool, mark: float | None) -> Chart:
    """`lines` are (name, points, number of the run, split). Values that are not finite are left out.

    The loss has a logarithmic axis where all its values are positive.
    """
    kept = [(name, _finite(points), run, split) for name, points, run, split in lines]
    every = [point for _, points, _, _ in kept for point in points]
    values = [value for _, value in every] + ([mark] if mark is not None and math.isfinite(mark) else [])
    logarithmic = quantity == "loss" and bool(values) and min(values) > 0
    low, high = _range(values, logarithmic)
    first, last = (min(x for x, _ in every), max(x for x, _ in every)) if every else (0, 1)

    def across(x: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * ((x - first) / (last - first) if last > first else 0.5), 1)

    def down(y: float) -> float:
        if logarithmic:
            share = (math.log(y) - math.log(low)) / (math.log(high) - math.log(low))
        else:
            share = (y - low) / (high - low)
        return round(BOTTOM - (BOTTOM - TOP) * share, 1)

    drawn = []
    for number, (name, points, run, split) in enumerate(kept):
        places = [(across(x), down(y)) for x, y in points]
        path = " ".join(f"{'M' if i == 0 else 'L'}{x} {y}" for i, (x, y) in enumerate(places))
        dots = places if len(places) <= 40 else []
        last_value = points[-1][1] if points else math.nan
        drawn.append(Line(name, path, dots, run if many else number, many and split == "training", last_value))
    return Chart(
        quantity=quantity,
        words=_in_words(quantity, kept, mark),
        lines=drawn,
        ticks_x=[(across(x), f"{x:g}") for x in _whole_ticks(first, last)],
        ticks_y=[(down(y), f"{y:g}") for y in (log_ticks if logarithmic else ticks)(low, high)],
        logarithmic=logarithmic,
        mark=(down(mark), mark) if mark is not None and math.isfinite(mark) else None,
        rows=_rows(kept),
    )


def _finite(points: Points) -> Points:
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _range(values: list[float], logarithmic: bool) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    if logarithmic:
        return low / 1.15, high * 1.15
    room = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
    return low - room, high + room


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers between `low` and `high`."""
    step = 10 ** math.floor(math.log10((high - low) / wanted))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= wanted)
    return [round(number * step, 12) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, with 2 and 5 between them where they leave room."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    wide = [10.0**e for e in exponents if low <= 10.0**e <= high]
    if len(wide) > 2:
        return wide
    return [f * 10.0**e for e in exponents for f in (1, 2, 5) if low <= f * 10.0**e <= high] or ticks(low, high)


def _whole_ticks(first: float, last: float) -> list[float]:
    if last <= first:
        return [first]
    step = max(1, round(ticks(0, last - first, 7)[1])) if last - first > 1 else 1
    start = math.ceil(first / step) * step
    return [float(x) for x in range(start, math.floor(last) + 1, step)]


def _in_words(quantity: str, lines: list[tuple[str, Points, int, str]], mark: float | None) -> str:
    """The picture for those who can't see it."""
    parts = [
        f"{name}: from {points[0][1]:.4g} in epoch {points[0][0]:g} to {points[-1][1]:.4g} in epoch {points[-1][0]:g}"
        for name, points, _, _ in lines
        if points
    ]
    tested = [] if mark is None else [f"test: {mark:.4g}"]
    return f"{quantity} by epoch. " + "; ".join(parts + tested)


def _rows(lines: list[tuple[str, Points, int, str]]) -> list[tuple[int, list[float | None]]]:
    """The numbers behind the picture: (epoch, [value of each line])."""
    tables = [dict(points) for _, points, _, _ in lines]
    epochs = sorted({x for table in tables for x in table})
    return [(int(epoch), [table.get(epoch) for table in tables]) for epoch in epochs]
