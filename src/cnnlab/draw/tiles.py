"""Small pictures in rows, each under its title, on one scale. h height, w width of a tile.

The layout is in inches, not left to a solver: a page of hundreds of tiles is drawn at once, and no title can run
into the next one, since it is cut to the width it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from textwrap import fill

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor

from cnnlab._colour import DIVERGING

TEXT, HEADING = 7.5, 11  # points
_CHARACTER = 0.062  # inches that one character of TEXT takes
_LINE = 0.15  # inches that one line of it takes


@dataclass(frozen=True)
class Cell:
    """Tiles side by side under one title: (h, w) numbers on the common scale, or (h, w, 3) colours from 0 to 1."""

    tiles: tuple[Tensor, ...]
    title: str = ""


@dataclass(frozen=True)
class Page:
    """A figure and its tiles, in order, to be changed frame by frame."""

    figure: Figure
    images: list[AxesImage]


def zero_centred(limit: float) -> Normalize:
    """-limit to limit; a limit of 0 is taken for 1."""
    return Normalize(-(limit or 1.0), limit or 1.0)


def tile_page(
    cells: Sequence[Cell],
    *,
    columns: int,
    side: float,
    norm: Normalize,
    cmap: str | Colormap = DIVERGING,
    heading: str = "",
    label: str = "",
    cut: bool = False,
) -> Page:
    """All cells on one figure, `columns` in a row, each tile `side` inches, with one colour bar named `label`.

    `cut`: some numbers lie beyond the scale, which the pointed ends of the bar say.
    """
    assert cells, "at least one cell"
    columns = min(columns, len(cells))
    wide = max(len(cell.tiles) for cell in cells) * side + 0.12
    lines = max(cell.title.count("\n") + 1 if cell.title else 0 for cell in cells)
    high = side * max(min(1.0, tile.shape[0] / tile.shape[1]) for cell in cells for tile in cell.tiles)
    high += lines * _LINE + 0.1
    words = heading.split("\n")
    top = 0.12 + 0.21 * len(words) if heading else 0.12
    height = max(ceil(len(cells) / columns) * high + top + 0.05, 1.6)
    width = max(columns * wide + 1.1, 0.085 * max(map(len, words)) + 0.3)
    figure = Figure(figsize=(width, height))
    figure.text(0.1 / width, 1 - 0.08 / height, heading, fontsize=HEADING, va="top", ha="left")
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set_axis_off()
    axis.set(xlim=(0, width), ylim=(height, 0))
    images = []
    for index, cell in enumerate(cells):
        row, column = divmod(index, columns)
        x, y = 0.1 + column * wide, top + row * high
        title = "\n".join(shortened(line, int((wide - 0.06) / _CHARACTER)) for line in cell.title.split("\n"))
        axis.text(x, y + lines * _LINE, title, fontsize=TEXT, va="bottom", ha="left", linespacing=1.1)
        for place, tile in enumerate(cell.tiles):
            corner = (x + place * side, y + lines * _LINE + 0.03)
            images.append(axis.imshow(_pixels(tile), norm=norm, cmap=cmap, extent=_extent(tile, corner, side)))
            images[-1].set_clip_on(False)
    axis.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    bar_axis = figure.add_axes((1 - 0.85 / width, 0.2 / height, 0.16 / width, (height - top - 0.35) / height))
    bar = figure.colorbar(ScalarMappable(norm, cmap), cax=bar_axis, extend="both" if cut else "neither")
    bar.ax.tick_params(labelsize=TEXT)
    middle = 0.2 + (height - top - 0.35) / 2  # of the bar; its name is centred there, and reaches no further down
    bar.set_label(fill(label, max(8, int(2 * middle / _CHARACTER))), fontsize=TEXT)
    return Page(figure, images)


def shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: max(1, length - 1)]}…"


def _pixels(tile: Tensor) -> np.ndarray:
    array = tile.detach().cpu().double().numpy()
    return array.clip(0, 1) if array.ndim == 3 else array


def _extent(tile: Tensor, corner: tuple[float, float], side: float) -> tuple[float, float, float, float]:
    """Left, right, bottom, top in inches: the tile's own proportions, 5 % of air, at the top left of its square."""
    height, width = tile.shape[:2]
    scale = 0.95 * side / max(height, width)
    x, y = corner
    return x, x + width * scale, y + height * scale, y
