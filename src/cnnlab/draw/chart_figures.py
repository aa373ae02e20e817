"""Charts by matplotlib."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cnnlab._colour import LINES
from cnnlab.draw.charts import Chart, finite, x_ticks, y_range, y_ticks

STYLES = {"": "-", "dashed": "--", "dotted": ":", "dashdot": "-."}
_NAMED = 2.3  # inches of a name in the legend, with its line


def chart_figure(charts: Sequence[Chart], title: str = "") -> Figure:
    """One panel per chart, and below them the names of all lines."""
    names = list(dict.fromkeys(line.name for chart in charts for line in chart.lines))
    width = max(4.8 * max(1, len(charts)), min(9.6, _NAMED * len(names)))
    columns = max(1, int(width / _NAMED))
    figure = Figure(figsize=(width, 3.4 + 0.17 * -(-len(names) // columns)), layout="constrained")
    figure.suptitle(title, fontsize=10)
    for axis, chart in zip(figure.subplots(1, max(1, len(charts)), squeeze=False)[0], charts, strict=False):
        _panel(axis, chart)
    handles = {line.get_label(): line for axis in figure.axes for line in axis.lines}
    if names:
        keys = [handles[name] for name in names]
        figure.legend(keys, names, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
    return figure


def _panel(axis: Axes, chart: Chart) -> None:
    for line in chart.lines:
        colour, points = LINES[line.colour % len(LINES)], finite(line.points)
        x, value, low, high = np.array(points, dtype=float).reshape(-1, 4).T
        few = "o" if len(points) < 40 and np.isnan(low).all() else None
        style = STYLES[line.broken]
        axis.plot(x, value, style, label=line.name, color=colour, linewidth=1.6, marker=few, markersize=3)
        axis.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
    if chart.mark is not None:
        axis.axhline(chart.mark, linestyle="--", color="0.4", linewidth=1)
        words = f"test {chart.mark:.4f}"
        axis.annotate(
            words, (0, chart.mark), (3, 2), axis.get_yaxis_transform(), "offset points", fontsize=8, color="0.4"
        )
    if chart.spread:
        axis.set_xscale("function", functions=(np.log1p, np.expm1))
    if chart.logarithmic:
        axis.set_yscale("log")
    for ruler, places in ((axis.xaxis, x_ticks(chart)), (axis.yaxis, y_ticks(chart))):
        ruler.set_ticks([place for place, _ in places], labels=[words for _, words in places])
    axis.set_ylim(*y_range(chart))
    axis.minorticks_off()
    axis.set(title=chart.title, xlabel=chart.x)
    axis.title.set_fontsize(10)
    axis.grid(alpha=0.3)
