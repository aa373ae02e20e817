"""The page of the tour: one file, no network. Receives plain data, escapes every name in it."""

import base64
import builtins
import io
import keyword
import tokenize
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from cnnlab.report.page import assemble, diverging_colours
from cnnlab.tour.sheet import NARROW, WIDE, Sheet

DENSITY = {WIDE: 190, NARROW: 190}  # pixels an inch: twice those of a plain screen
QUALITY = 88  # of WebP, from 0 to 100


@dataclass(frozen=True)
class PartPage:
    """A figure, laid out for a desk and for a phone (data URI, width, height), with its caption and its code."""

    stem: str
    wide: tuple[str, int, int]
    narrow: tuple[str, int, int]
    caption: str
    code: str


@dataclass(frozen=True)
class StepPage:
    key: str
    title: str
    words: tuple[str, ...]
    parts: list[PartPage]


def render(steps: list[StepPage], playground: dict[str, Any], facts: dict[str, str]) -> str:
    """The page. playground: picture and kernels, as `app.tour_playground` makes them. facts: {photograph, setup}."""
    return assemble(
        "tour.html.j2",
        scripts=("tour.js",),
        styles=("report.css", "tour.css"),
        steps=steps,
        highlight=highlight,
        facts=facts,
        kernels=playground["kernels"],
        data=playground | {"colours": diverging_colours()},
    )


def part_page(stem: str, sheet: Sheet, code: str) -> PartPage:
    return PartPage(stem, picture(sheet, WIDE), picture(sheet, NARROW), sheet.caption, code)


def picture(sheet: Sheet, width: float) -> tuple[str, int, int]:
    """The sheet at this width as a data URI of WebP, with its size in pixels."""
    sheet.arrange(width)
    sheet.set_dpi(DENSITY[width])
    canvas = FigureCanvasAgg(sheet)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())[:, :, :3])
    content = io.BytesIO()
    image.save(content, "WEBP", quality=QUALITY, method=3)
    return f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}", *image.size


def highlight(code: str) -> Markup:
    """Python with its keywords, strings, comments and numbers in spans; nothing of it is taken for HTML."""
    lines = code.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    found, end = [], 0
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        kind = _kind(token)
        if kind is None:
            continue
        first, last = (starts[row - 1] + column for row, column in (token.start, token.end))
        found += [escape(code[end:first]), Markup('<span class="{}">{}</span>').format(kind, code[first:last])]
        end = last
    return Markup("").join([*found, escape(code[end:])])


def _kind(token: tokenize.TokenInfo) -> str | None:
    if token.type == tokenize.NAME:
        return "kw" if keyword.iskeyword(token.string) else "bi" if hasattr(builtins, token.string) else None
    kinds = {tokenize.STRING: "st", tokenize.COMMENT: "co", tokenize.NUMBER: "nu"}
    kinds |= {
        getattr(tokenize, name): "st"
        for name in ("FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END")
        if hasattr(tokenize, name)
    }
    return kinds.get(token.type)
