"""The page of the tour: one file, no network. Receives plain data, escapes every name in it."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pygments
from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from cnnlab.report.page import assemble, diverging_colours
from cnnlab.tour.playground import Playground
from cnnlab.tour.sheet import NARROW, WIDE, Sheet
from cnnlab.tour.step import Step

HERE = Path(__file__).parent
DENSITY = {WIDE: 190, NARROW: 190}  # pixels an inch: twice those of a plain screen
QUALITY = 88  # of WebP, from 0 to 100


class PartPage(NamedTuple):
    """A figure, laid out for a desk and for a phone (data URI, width, height), with its caption and its code."""

    wide: tuple[str, int, int]
    narrow: tuple[str, int, int]
    caption: str
    code: str


def render(
    steps: Sequence[Step], pages: Mapping[str, PartPage], playground: Playground, facts: Mapping[str, str]
) -> str:
    """The page. pages: by the stem of a part. facts: {photograph, setup}."""
    return assemble(
        HERE / "tour.html.j2",
        scripts=(HERE / "tour.js",),
        styles=(HERE / "tour.css",),
        steps=steps,
        pages=pages,
        highlight=highlight,
        facts=facts,
        kernels=playground["kernels"],
        data={**playground, "colours": diverging_colours()},
    )


def part_page(sheet: Sheet, code: str) -> PartPage:
    return PartPage(picture(sheet, WIDE), picture(sheet, NARROW), sheet.caption, code)


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
    return Markup(pygments.highlight(code, PythonLexer(stripnl=False, ensurenl=False), HtmlFormatter(nowrap=True)))
