"""What a layer's kernels prefer, and what they are: orientation against frequency, cosine against chance.

Layouts are in inches, not left to a solver: a layer of hundreds of kernels has many pages.
"""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch as Swatch

from cnnlab._colour import OKABE_ITO
from cnnlab.draw.kernel_pages import called
from cnnlab.draw.tiles import TEXT, shortened
from cnnlab.filters.analysis.identify import Match
from cnnlab.filters.analysis.properties import KernelProperties

FAMILY_COLOURS = {
    "derivative": OKABE_ITO["blue"],
    "gaussian derivative": OKABE_ITO["sky"],
    "gabor": OKABE_ITO["vermilion"],
    "laplacian": OKABE_ITO["purple"],
    "smoothing": OKABE_ITO["green"],
    "sharpen": OKABE_ITO["yellow"],
    "dct": OKABE_ITO["orange"],
    "shift": OKABE_ITO["black"],
}
CHANCE = "0.75"  # grey: no better than chance


def orientation_frequency(properties: Sequence[KernelProperties], heading: str = "") -> Figure:
    """The lower half of the frequency plane: angle is the preferred orientation (y down), radius the frequency.

    Size is the norm, colour the selectivity. Kernels without a preferred orientation are counted below.
    """
    tuned = [
        (own.norm, own.selectivity or 0.0, own.frequency, math.radians(own.orientation))
        for own in properties
        if own.orientation is not None and own.frequency is not None
    ]
    figure = Figure(figsize=(8.4, 5.0))
    axis = figure.add_axes((0.02, 0.08, 0.82, 0.76))
    _half_plane(axis)
    largest = max((norm for norm, *_ in tuned), default=1.0)
    dots = axis.scatter(
        [frequency * math.cos(angle) for _, _, frequency, angle in tuned],
        [frequency * math.sin(angle) for _, _, frequency, angle in tuned],
        s=[20 + 120 * (norm / largest) ** 2 for norm, *_ in tuned],
        c=[selectivity for _, selectivity, *_ in tuned],
        vmin=0,
        vmax=1,
        cmap="viridis",
        edgecolors="white",
        linewidths=0.6,
        zorder=3,
    )
    bar = figure.colorbar(dots, cax=figure.add_axes((0.88, 0.14, 0.022, 0.62)))
    bar.set_label("selectivity (1 - circular variance)", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    rest = len(properties) - len(tuned)
    note = "preferred orientation, and frequency in cycles per pixel (radius); size: norm"
    figure.text(0.02, 0.97, f"{heading}\n{note}" if heading else note, fontsize=10, va="top")
    figure.text(0.02, 0.03, f"{rest} of {len(properties)} kernels have no preferred orientation", fontsize=9)
    return figure


def _half_plane(axis: Axes) -> None:
    """Rings of frequency and spokes of orientation; y grows down, as in the kernels."""
    axis.set(xlim=(-0.8, 0.8), ylim=(0.8, -0.07), aspect="equal")
    axis.set_axis_off()
    half_turn = [(math.cos(math.pi * step / 90), math.sin(math.pi * step / 90)) for step in range(91)]
    for radius, name in ((0.125, "1/8"), (0.25, "1/4"), (0.375, "3/8"), (0.5, "1/2"), (0.7071, "0.71")):
        ring = [(radius * x, radius * y) for x, y in half_turn]
        axis.plot(*zip(*ring, strict=True), color="0.8", linewidth=0.8)
        axis.text(radius, -0.012, name, ha="center", va="bottom", fontsize=8, color="0.35")
    for degrees in range(0, 181, 30):
        x, y = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        axis.plot([0, 0.7071 * x], [0, 0.7071 * y], color="0.8", linewidth=0.8)
        axis.text(0.76 * x, 0.755 * y + 0.012, f"{degrees}°", ha="center", va="center", fontsize=9)


def match_pages(matches: Sequence[Match], order: Sequence[int] | None = None, per_page: int = 32) -> list[Figure]:
    """One bar per kernel: the cosine with its best analytic match, its family in colour, its name beside it.

    The grey band ends where random kernels of that size do in 95 of 100 cases; bars that end in it are grey.
    """
    chosen = list(range(len(matches)) if order is None else order)
    pages = [chosen[start : start + per_page] for start in range(0, len(chosen), per_page)]
    which = [f" (page {page} of {len(pages)})" if len(pages) > 1 else "" for page in range(1, len(pages) + 1)]
    return [_match_page(matches, page, title) for page, title in zip(pages, which, strict=True)]


def _match_page(matches: Sequence[Match], page: list[int], which: str) -> Figure:
    width, bars, below, above = 8.4, 0.21 * len(page), 1.15, 0.35  # inches
    height = bars + below + above
    figure = Figure(figsize=(width, height))
    axis = figure.add_axes((0.65 / width, below / height, 4.6 / width, bars / height))
    axis.axvspan(0, matches[page[0]].null_95, color="0.93", zorder=0)
    shown = [matches[index] for index in page]
    axis.barh(range(len(page)), [m.cosine for m in shown], color=[_colour(m) for m in shown], height=0.72, zorder=2)
    for row, match in enumerate(shown):
        axis.text(1.02, row, shortened(described(match), 44), fontsize=TEXT, va="center", clip_on=False)
    axis.set_yticks(range(len(page)), [str(index) for index in page], fontsize=TEXT)
    axis.set(xlim=(0, 1), ylim=(len(page) - 0.4, -0.6), xlabel="cosine with the best match", ylabel="kernel")
    axis.set_title(f"Which analytic kernel is it?{which}", fontsize=11, loc="left")
    used = [family for family in FAMILY_COLOURS if any(m.family == family and m.significant for m in shown)]
    swatches = [Swatch(color=FAMILY_COLOURS[family], label=family) for family in used]
    handles = [*swatches, Swatch(color=CHANCE, label="no better than chance"), *_chance_lines(axis, shown[0])]
    figure.legend(handles=handles, loc="lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def _chance_lines(axis: Axes, match: Match) -> list[Line2D]:
    """Where random kernels of this size are."""
    mean, high = f"random kernels: mean {match.null_mean:.2f}", f"random kernels: 95 % below {match.null_95:.2f}"
    return [
        axis.axvline(match.null_mean, color="0.45", linestyle=":", linewidth=1.2, zorder=3, label=mean),
        axis.axvline(match.null_95, color="0.25", linestyle="--", linewidth=1.2, zorder=3, label=high),
    ]


def described(match: Match) -> str:
    """The match with its parameters: "gabor 45°, wavelength 4.1, sigma 2.3"."""
    sizes = (("wavelength", match.wavelength), ("sigma", match.sigma))
    return ", ".join([called(match), *(f"{word} {size:.2g}" for word, size in sizes if size and match.significant)])


def _colour(match: Match) -> str:
    return FAMILY_COLOURS[match.family] if match.significant else CHANCE
