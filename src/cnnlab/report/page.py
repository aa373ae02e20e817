"""HTML pages in one file: no network, no second file. Every value in them is escaped."""

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import jinja2
import matplotlib
from markupsafe import Markup

from cnnlab._colour import DIVERGING

FOLDER = Path(__file__).parent / "templates"
TABLES = FOLDER / "tables.js"  # the script of tables that can be sorted
DASH = "\N{EN DASH}"


def assemble(
    template: Path, scripts: Iterable[Path], styles: Iterable[Path], more: Iterable[str] = (), **values: object
) -> str:
    """A template with its scripts and styles, after the look of all pages, as one file. `more`: scripts as text."""
    script = "\n".join([*map(_read, scripts), *more])
    # Only this script may run, and nothing may be loaded: names from data can't get around that either.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    css = "\n".join(map(_read, [FOLDER / "report.css", *styles]))
    return filled(_read(template), css=Markup(css), script=Markup(script), digest=digest, **values)


def filled(template: str, **values: object) -> Markup:
    """The text of a template with its values, each escaped."""
    return Markup(_compiled(template).render(**values))


@cache
def _compiled(template: str) -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= {"number": number, "percent": percent, "integer": integer}
    return environment.from_string(template)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def diverging_colours(steps: int = 255) -> list[tuple[int, ...]]:
    """RGB from 0 to 255 of the pictures' colour map, lowest value first; the middle is zero."""
    colours = matplotlib.colormaps[DIVERGING].resampled(steps)
    return [tuple(round(255 * part) for part in colours(step)[:3]) for step in range(steps)]


def finite(value: object) -> object:
    """The same plain data with None for numbers that JSON does not know (NaN, infinities)."""
    if isinstance(value, Mapping):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def number(value: float | None, digits: int = 2) -> str:
    """A number for a table; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}")  # + 0.0: no minus zero


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction in per cent; a dash where there is none."""
    return DASH if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f}\N{NO-BREAK SPACE}%"


def integer(value: float | None) -> str:
    """12,345; a dash where there is none."""
    return DASH if value is None else f"{value:,.0f}"
