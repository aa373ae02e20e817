"""Charts as SVG: text follows the page's colours, light or dark."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from cnnlab.draw.charts import Chart, Line, finite, short, x_ticks, y_range, y_ticks

WIDTH, HEIGHT = 440, 280  # of the drawing, in its own units; on a phone they are about pixels
LEFT, RIGHT, TOP, BOTTOM = 52, 428, 14, 238  # of the plot inside of it
Place = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """Where numbers lie in the drawing; y grows down."""

    first: float
    last: float
    low: float
    high: float
    spread: bool
    logarithmic: bool

    def across(self, x: float) -> float:
        first, last, place = (math.log1p(v) if self.spread else v for v in (self.first, self.last, x))
        return round(LEFT + (RIGHT - LEFT) * ((place - first) / (last - first) if last > first else 0.5), 1)

    def down(self, y: float) -> float:
        low, high, place = (math.log(v) if self.logarithmic else v for v in (self.low, self.high, y))
        return round(BOTTOM - (BOTTOM - TOP) * (place - low) / (high - low), 1)


def frame_of(chart: Chart) -> Frame:
    places = chart.places() or [0.0, 1.0]
    return Frame(min(places), max(places), *y_range(chart), chart.spread, chart.logarithmic)


def classes(colour: int, broken: str, colours: int) -> str:
    """The classes of a line in the style sheets, which know this many colours."""
    return f"s{colour % colours} {broken}".strip()


def svg(chart: Chart, colours: int) -> Markup:
    """The chart, with `colours` of the style sheet. A line is a group with its number in `data-arm`."""
    frame = frame_of(chart)
    opening = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    parts = [opening.format(WIDTH, HEIGHT, chart.in_words())]
    rule = Markup('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>')
    for value, words in y_ticks(chart):
        y = frame.down(value)
        parts += [rule.format("grid", LEFT, RIGHT, y, y), _text(LEFT - 7, y + 4, "end", words)]
    for value, words in x_ticks(chart):
        x = frame.across(value)
        parts.append(_text(x, 257, "end" if x > 418 else "middle", words))
    parts += [rule.format("axis", LEFT, RIGHT, BOTTOM, BOTTOM), _text(240, 276, "middle", chart.x)]
    if chart.mark is not None:
        parts.append(rule.format("mark", LEFT, RIGHT, frame.down(chart.mark), frame.down(chart.mark)))
    parts += [_drawn(frame, line, classes(line.colour, line.broken, colours)) for line in chart.lines]
    return Markup("\n").join([*parts, rule.format("cross", 0, 0, TOP, BOTTOM), Markup("</svg>")])


def readings(chart: Chart) -> list[dict[str, object]]:
    """For the script that follows the pointer: of each line its points, (place across, words of x, of the value)."""
    frame = frame_of(chart)
    return [
        {
            "arm": line.number,
            "points": [
                (frame.across(x), short(x), f"{value:.4g}" + _between(low, high))
                for x, value, low, high in finite(line.points)
            ],
        }
        for line in chart.lines
    ]


def _between(low: float, high: float) -> str:
    return f" ({low:.4g} to {high:.4g})" if math.isfinite(low + high) else ""


def _drawn(frame: Frame, line: Line, style: str) -> Markup:
    points = finite(line.points)
    middle = [(frame.across(x), frame.down(value)) for x, value, _, _ in points]
    banded = [(frame.across(x), low, high) for x, _, low, high in points if math.isfinite(low + high)]
    edge = [(x, frame.down(low)) for x, low, _ in banded] + [(x, frame.down(high)) for x, _, high in reversed(banded)]
    parts = [Markup('<g class="arm {}" data-arm="{}">').format(style, line.number)]
    if len(banded) > 1:
        parts.append(Markup('<path class="band" d="{} Z"/>').format(_path(edge)))
    parts.append(Markup('<path class="line {}" d="{}"/>').format(style, _path(middle)))
    if not banded and len(middle) <= 40:
        parts += [Markup('<circle cx="{}" cy="{}" r="2.6"/>').format(x, y) for x, y in middle]
    return Markup("").join([*parts, Markup("</g>")])


def _path(places: Iterable[Place]) -> str:
    return " ".join(f"{'M' if number == 0 else 'L'}{x} {y}" for number, (x, y) in enumerate(places))


def _text(x: float, y: float, anchor: str, words: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(x, y, anchor, words)
