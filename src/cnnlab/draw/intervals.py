"""Pictures of a study: forests of intervals, curves with bands, first layers before and after."""

from collections.abc import Mapping, Sequence
from math import isfinite

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from cnnlab.draw.kernels import DIVERGING

Interval = tuple[str, float, float, float, bool]  # name, mean, low, high, whether it holds after correction
Band = tuple[float, float, float, float]  # x, middle, low, high
# Ten are matplotlib's; a study of all starts, some of them frozen too, has more.
COLOURS = (
    *(f"C{number}" for number in range(10)),
    "#7b1e3a",
    "#35309b",
    "#f0b429",
    "#14594a",
    "#ff5db1",
    "#66d9a8",
    "#6b4b00",
    "#000000",
)
_NAMED = 2.3  # inches of a name in the legend, with its line
Style = tuple[int, str]  # number of the colour, line style of matplotlib

_BLUE, _RED, _GREY = "#2457b3", "#c9471f", "#596170"


def forest_figure(
    panels: Mapping[str, Sequence[Interval]], unit: str = "points", relevant: float = 1.0, better: str = "higher"
) -> Figure:
    """One panel a condition, one line a comparison: {"100 images": [(name, mean, low, high, holds), ...]}.

    Blue lies on the better side, red on the worse, grey has 0 in its interval; a filled dot holds after correction.
    Differences up to `relevant`, in `unit`, are shaded. A mean that isn't finite leaves its line empty.
    """
    names = list(dict.fromkeys(name for rows in panels.values() for name, *_ in rows))
    figure = Figure(figsize=(2.2 + 3.4 * len(panels), 1.3 + 0.3 * len(names)), layout="constrained")
    axes = figure.subplots(1, max(1, len(panels)), squeeze=False, sharex=True, sharey=True)[0]
    for axis, (condition, rows) in zip(axes, panels.items(), strict=False):
        axis.axvspan(-relevant, relevant, color="0.93", zorder=0)
        axis.axvline(0, color=_GREY, linewidth=1, zorder=1)
        for name, mean, low, high, holds in rows:
            if isfinite(mean):
                _interval(axis, names.index(name), mean, low, high, holds, better)
        axis.set(title=condition, xlabel=f"difference in {unit}", yticks=range(len(names)))
        axis.set_yticklabels(names, fontsize=9)
        axis.title.set_fontsize(10)
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="x", alpha=0.3)
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[0].set_ylim(max(1, len(names)) - 0.5, -0.5)
    return figure


def bands_figure(
    panels: Mapping[str, Mapping[str, Sequence[Band]]],
    x: str,
    y: str = "",
    spread: bool = False,
    styles: Mapping[str, Style] | None = None,
) -> Figure:
    """One panel a title, one line an arm with its band: {"100 images": {"sobel": [(x, middle, low, high), ...]}}.

    For learning curves, accuracy by number of images, and drift. spread: x over log(1 + x), so that a start at 0 is
    seen. styles: {arm: (number of its colour, line style)}; arms without one get the next colour and a solid line.
    """
    arms = list(dict.fromkeys(arm for lines in panels.values() for arm in lines))
    width = max(4.8 * max(1, len(panels)), min(9.6, _NAMED * len(arms)))
    columns = max(1, int(width / _NAMED))
    figure = Figure(figsize=(width, 3.4 + 0.17 * -(-len(arms) // columns)), layout="constrained")
    axes = figure.subplots(1, max(1, len(panels)), squeeze=False)[0]
    for axis, (title, lines) in zip(axes, panels.items(), strict=False):
        for arm, points in lines.items():
            number, line_style = (styles or {}).get(arm, (arms.index(arm), "-"))
            colour = COLOURS[number % len(COLOURS)]
            place, middle, low, high = np.array(points, dtype=float).reshape(-1, 4).T
            axis.plot(place, middle, color=colour, linestyle=line_style, linewidth=1.6, label=arm)
            axis.fill_between(place, low, high, color=colour, alpha=0.12, linewidth=0)
        if spread:
            axis.set_xscale("function", functions=(np.log1p, np.expm1))
            axis.set_xticks(_spread_ticks([point[0] for points in lines.values() for point in points]))
            axis.minorticks_off()
        axis.set(title=title, xlabel=x, ylabel=y)
        axis.title.set_fontsize(10)
        axis.grid(alpha=0.3)
    if arms:
        handles = {line.get_label(): line for axis in axes for line in axis.lines}
        figure.legend(
            [handles[arm] for arm in arms], arms, loc="outside lower center", ncols=columns, fontsize=8, frameon=False
        )
    return figure


def _interval(axis: Axes, line: int, mean: float, low: float, high: float, holds: bool, better: str) -> None:
    clear = low > 0 or high < 0
    colour = _GREY if not clear else _BLUE if (mean > 0) == (better == "higher") else _RED
    if isfinite(low) and isfinite(high):
        axis.plot([low, high], [line, line], color=colour, linewidth=2, solid_capstyle="round", zorder=2)
    fill = colour if holds else "white"
    axis.plot(mean, line, "o", color=colour, markerfacecolor=fill, markersize=6, markeredgewidth=1.6, zorder=3)


def _spread_ticks(places: Sequence[float]) -> list[float]:
    """0 where it is there, and powers of ten; the ends where these are fewer than two."""
    low, high = (min(places), max(places)) if places else (0.0, 1.0)
    powers = [10.0**n for n in range(10) if low <= 10.0**n <= high]
    return [0.0, *powers] if low == 0 else powers if len(powers) > 1 else sorted({low, *powers, high})


def kernels_figure(layers: Mapping[str, tuple[Tensor, Tensor]], title: str) -> Figure:
    """The first layers before and after training, a line an arm: {arm: (start, end), each (K, C, h, w)}.

    Every kernel has its own scale, zero in the middle; of three channels the colours are shown, mid-grey for zero.
    """
    arms = list(layers)
    first = layers[arms[0]][0]
    height, width = first.shape[-2:]
    lines, across = len(arms) * (height + 1), len(first) * (width + 1)
    figure = Figure(figsize=(2.6 + 0.11 * across * 2, 0.9 + 0.11 * lines), layout="constrained")
    for number, (axis, words) in enumerate(zip(figure.subplots(1, 2, sharey=True), ("start", "end"), strict=True)):
        picture = np.ones((lines, across, 3))
        for line, arm in enumerate(arms):
            for column, kernel_Chw in enumerate(layers[arm][number]):
                y, x = line * (height + 1), column * (width + 1)
                picture[y : y + height, x : x + width] = _colours(kernel_Chw)
        axis.imshow(picture)
        axis.set(title=words, xticks=[], yticks=[line * (height + 1) + height / 2 - 0.5 for line in range(len(arms))])
        axis.set_yticklabels(arms, fontsize=9)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
    figure.suptitle(title, fontsize=11)
    return figure


def _colours(kernel_Chw: Tensor) -> np.ndarray:
    """(h, w, 3) from 0 to 1."""
    largest = float(kernel_Chw.abs().max()) or 1.0
    share_Chw = kernel_Chw.double().numpy() / largest if np.isfinite(largest) else np.zeros(tuple(kernel_Chw.shape))
    if len(share_Chw) == 3:
        return np.moveaxis(0.5 + share_Chw / 2, 0, -1)
    return colormaps[DIVERGING](0.5 + share_Chw.mean(0) / 2)[..., :3]
