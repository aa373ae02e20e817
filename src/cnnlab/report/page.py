"""One HTML file that shows runs: no network, no second file. Receives plain data, escapes every name in it."""

import base64
import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
from markupsafe import Markup

from cnnlab.draw.charts import Chart, chart
from cnnlab.draw.kernels import DIVERGING
from cnnlab.report.words import describe, headline

FOLDER = Path(__file__).parent / "templates"
DASH = "\N{EN DASH}"
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class RunPage:
    """What the page shows of one run; a part that is not there is None, and `missing` says why in a sentence.

    summary: as read from summary.json. curves: {"loss": {"training": [(epoch, value), ...], ...}, ...}.
    answers: split, images, names, confusion as rows (true, answer, images), mistakes with pictures.
    kernels: epochs, frames and the rows of the table. fields: pictures, layers, boxes, heat maps.
    drawings: split and rows of photographs with what people and the network drew in them, in place of answers.
    The keys of the four are documented where they are made.
    """

    name: str
    folder: str
    summary: dict[str, Any]
    curves: dict[str, dict[str, Points]] = field(default_factory=dict)
    answers: dict[str, Any] | None = None
    kernels: dict[str, Any] | None = None
    fields: dict[str, Any] | None = None
    missing: dict[str, str] = field(default_factory=dict)
    drawings: dict[str, Any] | None = None


def render(runs: list[RunPage]) -> str:
    """The page. Several runs stand side by side, their curves in one picture."""
    assert runs, "a page needs a run"
    return assemble(
        "report.html.j2",
        scripts=("tables.js", "report.js"),
        styles=("report.css",),
        runs=runs,
        titles=[run.name for run in runs],
        headlines=[headline(run.summary, run.answers) for run in runs],
        facts=side_by_side([describe(run.summary, run.folder) for run in runs]),
        charts=charts(runs),
        confusions=[confusion_table(run.answers) for run in runs],
        data=finite({"colours": diverging_colours(), "runs": [drawn(run) for run in runs]}),
    )


def assemble(template: str, scripts: tuple[str, ...], styles: tuple[str, ...], **values: Any) -> str:
    """A template of the folder `page` with its scripts and styles, as one file. Every value is escaped."""
    loader = jinja2.FileSystemLoader(FOLDER)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= {"number": number, "percent": percent, "whole": whole}
    script = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in scripts)
    # Only this script may run, and nothing may be loaded: names from data can't get around that either.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    css = "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in styles)
    return environment.get_template(template).render(css=Markup(css), script=Markup(script), digest=digest, **values)


def diverging_colours(steps: int = 255) -> list[tuple[int, int, int]]:
    """RGB from 0 to 255 of the pictures' colour map, lowest value first; the middle is zero."""
    colours = matplotlib.colormaps[DIVERGING].resampled(steps)
    return [tuple(round(255 * part) for part in colours(step)[:3]) for step in range(steps)]


def charts(runs: list[RunPage]) -> list[Chart]:
    """Loss and accuracy by epoch; of several runs, one colour a run and one line style a split."""
    found = []
    for quantity in ("loss", "accuracy"):
        lines = [
            (split if len(runs) == 1 else f"{run.name}, {split}", points, number, split)
            for number, run in enumerate(runs)
            for split, points in run.curves.get(quantity, {}).items()
        ]
        if lines:
            test = (runs[0].summary.get("metrics") or {}).get(f"test/{quantity}") if len(runs) == 1 else None
            found.append(chart(quantity, lines, many=len(runs) > 1, mark=test))
    return found


def drawn(run: RunPage) -> dict[str, Any]:
    """What the script draws."""
    matrix = run.answers and {"classes": len(run.answers["names"]), "confusion": run.answers["confusion"]}
    return {"kernels": run.kernels, "fields": run.fields, "matrix": matrix}


def side_by_side(described: list[dict[str, str]]) -> list[tuple[str, list[str]]]:
    """Rows (name, [value of each run]) of all names that a run has, in order."""
    names = dict.fromkeys(name for facts in described for name in facts)
    return [(name, [facts.get(name, "") for facts in described]) for name in names]


def confusion_table(answers: dict[str, Any] | None, largest: int = 20) -> dict[str, Any] | None:
    """Rows of (images, share of the true class) for at most `largest` classes, and the commonest confusions.

    None without answers; "rows" is None where a table would have too many cells to read.
    """
    if answers is None:
        return None
    names = answers["names"]
    images = [0] * len(names)
    for true, _, count in answers["confusion"]:
        images[true] += count
    wrong = sorted((entry for entry in answers["confusion"] if entry[0] != entry[1]), key=lambda entry: -entry[2])
    often = [
        {"true": names[true], "answer": names[answer], "images": count, "share": count / images[true]}
        for true, answer, count in wrong[:8]
    ]
    if len(names) > largest:
        return {"rows": None, "often": often}
    cells = {(true, answer): count for true, answer, count in answers["confusion"]}
    rows = [
        [(cells.get((i, j), 0), cells.get((i, j), 0) / max(1, images[i])) for j in range(len(names))]
        for i in range(len(names))
    ]
    return {"rows": rows, "often": often}


def finite(value: Any) -> Any:
    """The same plain data with None for numbers that JSON does not know (NaN, infinities)."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def number(value: Any, digits: int = 2) -> str:
    """A number for a table; a dash where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return DASH
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}")  # + 0.0: no minus zero


def percent(value: float | None, digits: int = 1) -> str:
    """A share in per cent; a dash where there is none."""
    return DASH if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f}\N{NO-BREAK SPACE}%"


def whole(value: Any) -> str:
    """12,345; a dash where there is none."""
    return DASH if value is None else f"{value:,.0f}"
