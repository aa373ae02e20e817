"""Learning curves."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Points = Sequence[tuple[float, float]]


def learning_curves(panels: dict[str, dict[str, Points]], marks: dict[str, float] | None = None) -> Figure:
    """One panel a quantity, one line a series of (epoch, value) points: {"loss": {"training": [...], ...}, ...}.

    `marks` draws a dashed line at a value, by panel: the test accuracy, say. The loss has a logarithmic axis where
    all its values are positive.
    """
    figure = Figure(figsize=(4.6 * len(panels), 3.4), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (quantity, series) in zip(axes, panels.items(), strict=True):
        for name, points in series.items():
            few = len(points) < 40
            axis.plot(*zip(*points, strict=True), label=name, marker="o" if few else None, markersize=3)
        if marks and quantity in marks:
            value = marks[quantity]
            axis.axhline(value, linestyle="--", color="0.4", linewidth=1, label=f"test {value:.4f}")
        values = [value for points in series.values() for _, value in points]
        if "loss" in quantity and values and min(values) > 0:
            axis.set_yscale("log")
        axis.set(xlabel="epoch", title=quantity)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=8)
    return figure
