"""A figure whose panels flow like words: as many beside each other as the width has room for.

So one figure serves a lecture hall, a page and a phone. All lengths are inches; panels keep their size and letters
theirs, whatever the width. H, W image, h, w kernel.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import Tensor

from cnnlab._colour import DIVERGING
from cnnlab.draw.tiles import zero_centred

WIDE, NARROW = 11.0, 4.4  # of a figure on a page and on a phone
INK, SOFT, RULE = "#1c1f24", "#596170", "#dfe2e6"
MARKS = ("#c9471f", "#2457b3", "#2b8a57", "#8a4fb8")  # vermilion, blue, green, violet
TEXT, TITLE = 11, 12.5  # points
GAP = 0.34  # between panels
LINE = 0.215  # of a title
SCALES = tuple(percent / 100 for percent in range(80, 201, 2))  # that panels may be drawn at
LARGEST = 1.3  # of them on a wide sheet
TIMES = "\N{MULTIPLICATION SIGN}"


class Place(NamedTuple):
    """A panel: its axes' size and the room around it for ticks and titles."""

    axis: Axes
    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    first: bool
    chart: bool

    def tall(self, fit: float) -> float:
        """Its axes' height at this scale. A chart that has to be narrower stays as high as it is."""
        return self.height * (max(1.0, fit) if self.chart else fit)


class Sheet(Figure):
    """Axes made by `panel`, laid out by `arrange`. `caption` says in sentences what was measured."""

    def __init__(self) -> None:
        super().__init__(figsize=(WIDE, 1.0))
        self.caption = ""
        self.places: list[Place] = []

    def panel(
        self,
        width: float,
        height: float,
        title: str = "",
        *,
        ticks: bool = False,
        named: bool = False,
        bar: bool = False,
        row: bool = False,
        above: float = 0.0,
    ) -> Axes:
        """Axes of this size under `title`, which is cut by hand. ticks: room for numbers and names along both axes;
        named: for names alone; bar: for a colour bar at the right; row: begins a new row; above: more room between
        title and axes."""
        axis = self.add_axes((0, 0, 1, 1))
        axis.set_title(title, fontsize=TITLE, color=INK, loc="left", linespacing=1.25, y=1.0, pad=6 + 72 * above)
        axis.tick_params(labelsize=TEXT - 1, color=SOFT, labelcolor=SOFT)
        axis.spines[:].set(color="#b4bac3", linewidth=0.8)
        if not ticks:
            axis.set(xticks=[], yticks=[])
        lines = title.count("\n") + 1 if title else 0
        top = lines * LINE + 0.13 + above
        left, bottom = (0.74, 0.58) if ticks else (0.3, 0.34) if named else (0.03, 0.06)
        self.places.append(
            Place(axis, width, height, left, 0.72 if bar else 0.12 if ticks else 0.03, top, bottom, row, ticks)
        )
        self.arrange(WIDE)
        return axis

    def arrange(self, width: float) -> "Sheet":
        """Lay the panels out in rows on a sheet of this width: as few rows as slightly smaller panels allow, and then
        panels as large as still give as few."""
        counts = {scale: len(self._rows(width, scale)) for scale in SCALES}
        fewest = counts[1.0] if width < WIDE else min(counts.values())
        most = max(SCALES) if width < WIDE else LARGEST
        scale = max(scale for scale, count in counts.items() if count <= fewest and scale <= most)
        rows = self._rows(width, scale)
        tops = [max(place.top for place, _ in row) for row in rows]  # so that the images of a row begin at one height
        heights = [
            top + max(place.tall(fit) + place.bottom for place, fit in row) for top, row in zip(tops, rows, strict=True)
        ]
        total = sum(heights) + GAP / 2 * max(0, len(heights) - 1) + 0.06
        self.set_size_inches(width, total)
        y = total - 0.03
        for row, top, height in zip(rows, tops, heights, strict=True):
            x = 0.0
            for place, fit in row:
                w, h = place.width * fit, place.tall(fit)
                place.axis.set_position(((x + place.left) / width, (y - top - h) / total, w / width, h / total))
                x += place.left + w + place.right + GAP
            y -= height + GAP / 2
        return self

    def _rows(self, width: float, scale: float) -> list[list[tuple[Place, float]]]:
        """The panels of each row, each with its own scale: one that is wider than the sheet is scaled down."""
        rows: list[list[tuple[Place, float]]] = []
        used = 0.0
        for place in self.places:
            around = place.left + place.right
            fit = min(scale, (width - around) / place.width)
            outer = place.width * fit + around
            if not rows or place.first or used + GAP + outer > width + 1e-9:
                rows.append([])
                used = -GAP
            used += GAP + outer
            rows[-1].append((place, fit))
        return rows


def sized(image_HW: Tensor, side: float) -> tuple[float, float]:
    """(width, height) of a panel with the image's proportions, as large in area as a square of this side."""
    ratio = (image_HW.shape[-1] / image_HW.shape[-2]) ** 0.5
    return side * ratio, side / ratio


def place_of(map_HW: Tensor) -> tuple[int, int]:
    """(y, x) of the largest value."""
    return divmod(int(map_HW.argmax()), map_HW.shape[1])


def show_image(axis: Axes, image: Tensor | NDArray[np.generic], smooth: bool = True) -> None:
    """An image in [0, 1], (H, W) or (3, H, W), or one of uint8 (H, W, 3) as it is."""
    pixels = image.detach().cpu().numpy() if isinstance(image, Tensor) else image
    if pixels.ndim == 3 and len(pixels) == 3:
        pixels = pixels.transpose(1, 2, 0)
    if pixels.dtype != np.uint8:
        pixels = pixels.clip(0, 1)
    # Of an image in colour the scale is ignored.
    axis.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="antialiased" if smooth else "nearest")


def name_axes(axis: Axes, x: str, y: str) -> None:
    """Names along both axes of a chart, and no frame at the other sides."""
    axis.set_xlabel(x, fontsize=TEXT, color=SOFT, labelpad=3)
    axis.set_ylabel(y, fontsize=TEXT, color=SOFT, labelpad=3)
    axis.spines[["top", "right"]].set_visible(False)


def show_signed(axis: Axes, map_HW: Tensor, limit: float | None = None, bar: bool = True) -> float:
    """A map with zero as the white middle; beyond `limit` the colour stays. Without one, all but 1 % lie within.

    Returns the limit.
    """
    values = map_HW.detach().cpu().double().numpy()
    limit = limit or float(np.quantile(np.abs(values), 0.99)) or float(np.abs(values).max()) or 1.0
    norm = zero_centred(limit)
    axis.imshow(values, norm=norm, cmap=DIVERGING)
    if bar:
        show_bar(axis, norm, DIVERGING, cut=float(np.abs(values).max()) > limit * 1.0001)
    return limit


def show_bar(axis: Axes, norm: Normalize, cmap: str, cut: bool = False) -> None:
    """A colour bar at the right of the axes, which moves with them."""
    beside = axis.inset_axes((1.03, 0.0, 0.05, 1.0))
    bar = axis.figure.colorbar(ScalarMappable(norm, cmap), cax=beside, extend="both" if cut else "neither")
    bar.ax.tick_params(labelsize=TEXT - 2, labelcolor=SOFT, color=SOFT)
    bar.ax.locator_params(nbins=5)
    bar.outline.set(edgecolor="#b4bac3", linewidth=0.8)


def show_kernel(
    axis: Axes, kernel_hw: Tensor, numbers: str | None = None, limit: float | None = None, size: float = TEXT
) -> None:
    """Weights as tiles, zero white; `numbers` writes each as this format says, where there are few."""
    values = kernel_hw.detach().cpu().double().numpy()
    norm = zero_centred(limit or float(np.abs(values).max()))
    axis.imshow(values, norm=norm, cmap=DIVERGING, interpolation="nearest")
    if numbers is not None:
        show_numbers(axis, values, numbers, on_tile(norm), size)


def inset_kernel(axis: Axes, kernel_hw: Tensor, limit: float, width: float) -> None:
    """The kernel in the lower left corner, `width` of the axes wide, with its numbers where it has nine."""
    rows, columns = kernel_hw.shape
    box = axis.get_window_extent()
    inset = axis.inset_axes((0.03, 0.03, width, width * box.width / box.height))
    inset.set(xticks=[], yticks=[])
    inset.spines[:].set(color="white", linewidth=2)
    show_kernel(inset, kernel_hw, ".3g" if rows == 3 else None, limit, size=9)
    if rows > 3 and int((kernel_hw != 0).sum()) == 1:  # one weight of 1 among hundreds of zeros
        y, x = place_of(kernel_hw)
        inset.plot(columns // 2, rows // 2, "+", color=SOFT, markersize=7)
        inset.plot(x, y, "s", color="#67001f", markersize=4)


def on_tile(norm: Normalize) -> Callable[[float], str]:
    """The ink for a number on a tile of a scale about zero."""
    limit = norm.vmax or 1.0
    return lambda value: "white" if abs(value) > 0.62 * limit else INK


def show_numbers(
    axis: Axes,
    values_hw: NDArray[np.floating],
    form: str,
    ink: Callable[[float], str],
    size: float = TEXT,
    corner: tuple[float, float] = (0, 0),
) -> None:
    """Each value in the middle of its tile, the first one at (y, x) = `corner`."""
    for (y, x), value in np.ndenumerate(values_hw):
        words, place = signed(float(value), form), (corner[1] + x, corner[0] + y)
        axis.text(*place, words, ha="center", va="center", fontsize=size, color=ink(value))


def mark(axis: Axes, y: float, x: float, height: float, width: float, colour: str, line: float = 2.2) -> None:
    """A box around the pixels (y, x) to (y + height - 1, x + width - 1), on a light rim that shows on any ground."""
    for edge, thick in (("white", line + 1.8), (colour, line)):
        box = Rectangle((x - 0.5, y - 0.5), width, height, fill=False, edgecolor=edge, linewidth=thick)
        box.set(clip_on=False, zorder=5)
        axis.add_patch(box)


def scientific(value: float) -> str:
    """
    >>> scientific(3.2e-16)
    '3 × 10⁻¹⁶'
    """
    if value == 0:
        return "0"
    digit, power = f"{value:.0e}".split("e")
    raised = str(int(power)).translate(
        str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")
    )
    return f"{digit} {TIMES} 10{raised}"


def signed(value: float, form: str) -> str:
    """A number with a true minus sign, and no minus before zero.

    >>> signed(-0.001, ".1f"), signed(-2, ".0f")
    ('0.0', '−2')
    """
    text = format(value, form)
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")
