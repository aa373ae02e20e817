"""A study as one HTML file, in the look of the report: no network, no second file. Receives plain data.

What the page says of an interval comes in words with it; here nothing is computed but places in pictures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from cnnlab.draw.chart_svg import classes, readings, svg
from cnnlab.draw.charts import Chart
from cnnlab.draw.forests import Axis, Compared, Forest, axis_of
from cnnlab.report.page import TABLES, assemble

HERE = Path(__file__).parent
COLOURS = 18  # in study.css: of starts in a mode; the largest study that comes along has 17


@dataclass(frozen=True)
class Arm:
    """`family`: arms of one family, a bank and its controls, share a colour. `line`: "", dashed, dotted or dashdot."""

    name: str
    words: str
    family: str
    kind: str
    line: str = ""


@dataclass(frozen=True)
class HeatMap:
    """Rows of (arm, [(mean difference to the reference, whether clear, words), None where missing]).

    groups: (family, number of its columns), in order. `reference`: its own values, in words, one per column.
    """

    title: str
    columns: Sequence[str]
    groups: Sequence[tuple[str, int]]
    reference: Sequence[str]
    rows: Sequence[tuple[str, Sequence[tuple[float, bool, str] | None]]]


@dataclass(frozen=True)
class Table:
    """Cells are texts, numbers or None; `digits` are the decimals of a column of numbers, None for one of texts."""

    columns: Sequence[str]
    digits: Sequence[int | None]
    rows: Sequence[Sequence[str | float | None]]


@dataclass(frozen=True)
class StudyPage:
    """What the page shows; parts that are empty are left out, and `missing` may say why in a sentence, by section.

    headline: (words, value). hypotheses: (text, verdict in words, "supported", "refuted" or "undecided"), as they were
    written down before the study. conditions: in words, in the order of the panels. commands: (what for, command).
    """

    name: str
    question: str
    headline: Sequence[tuple[str, str]]
    facts: dict[str, str]
    arms: Sequence[Arm]
    reference: str
    conditions: Sequence[str]
    hypotheses: Sequence[tuple[str, str, str]] = ()
    summary: Sequence[str] = ()
    forests: Sequence[Forest] = ()
    curves: Sequence[Chart] = ()
    sizes: Sequence[Chart] = ()
    drift: Sequence[Chart] = ()
    corruptions: Sequence[HeatMap] = ()
    table: Table | None = None
    power: Table | None = None
    learning_rates: Table | None = None
    failed: Table | None = None
    commands: Sequence[tuple[str, str]] = ()
    limits: Sequence[str] = ()
    missing: dict[str, str] = field(default_factory=dict)


def render_study(page: StudyPage) -> str:
    """The page as text."""
    dressed = styles(page.arms)
    sections = {"curves": page.curves, "sizes": page.sizes, "drift": page.drift}
    charts = {name: [chart.styled(dressed) for chart in pictures] for name, pictures in sections.items()}
    every = [chart for pictures in charts.values() for chart in pictures]
    return assemble(
        HERE / "study.html.j2",
        scripts=(TABLES, HERE / "study.js"),
        styles=(HERE / "study.css",),
        page=page,
        styles_of=[classes(*style, COLOURS) for style in dressed.values()],
        forests=[_intervals(page, forest) for forest in page.forests],
        charts={name: [(chart, svg(chart, COLOURS)) for chart in pictures] for name, pictures in charts.items()},
        heats=[(heat, _strongest(heat)) for heat in page.corruptions],
        data=[readings(chart) for chart in every],
    )


def styles(arms: Sequence[Arm]) -> dict[str, tuple[int, str]]:
    """Of each arm: a colour by family, and a line that is broken for controls."""
    families = list(dict.fromkeys(arm.family for arm in arms))
    return {arm.name: (families.index(arm.family), arm.line) for arm in arms}


class Interval(TypedDict):
    """Of a row of a forest: where its bar begins, its width, its dot, in per cent; and what of it is off the axis."""

    row: Compared
    left: float
    width: float
    middle: float
    cut_left: bool
    cut_right: bool
    out: bool


def _intervals(
    page: StudyPage, forest: Forest
) -> tuple[Forest, Axis, list[tuple[tuple[str, str], list[Interval | None]]]]:
    """With the axis that all panels share, and for every (arm, control) its cells in the order of the conditions."""
    axis = axis_of(forest)
    cells = {(row.arm, row.control, row.condition): _interval(axis, row) for row in forest.rows}
    assert len(cells) == len(forest.rows), "a comparison is given twice"
    pairs = dict.fromkeys((row.arm, row.control) for row in forest.rows)
    return forest, axis, [(pair, [cells.get((*pair, condition)) for condition in page.conditions]) for pair in pairs]


def _interval(axis: Axis, row: Compared) -> Interval:
    whole = math.isfinite(row.low) and math.isfinite(row.high)
    low, high = (axis.place(row.low), axis.place(row.high)) if whole else (axis.place(row.mean),) * 2
    return {
        "row": row,
        "left": low,
        "width": round(high - low, 2),
        "middle": axis.place(row.mean),
        "cut_left": whole and row.low < axis.low,
        "cut_right": whole and row.high > axis.high,
        "out": not axis.low <= row.mean <= axis.high,
    }


def _strongest(heat: HeatMap) -> float:
    """The difference at which a cell has its full colour. One arm in nine may be far off without paling the others."""
    sizes = sorted(abs(cell[0]) for _, cells in heat.rows for cell in cells if cell and math.isfinite(cell[0]))
    return max(sizes[int(0.8 * (len(sizes) - 1))], 1e-9) if sizes else 1.0
