"""The figures of a run. K kernels, C channels, h, w kernel sides."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from cnnlab.draw.curves import Points, learning_curves
from cnnlab.draw.kernels import kernel_grid


def kernels_figure(snapshots: Mapping[int, Tensor]) -> Figure:
    """The first layer at initialisation and after the last epoch; `snapshots` as `Run.kernels()` gives them."""
    first, last = min(snapshots), max(snapshots)
    return kernel_grid({"first layer at initialisation": snapshots[first], f"after epoch {last}": snapshots[last]})


def learning_curves_figure(rows: Sequence[Mapping[str, str]], test_accuracy: float | None) -> Figure:
    """Loss and accuracy by epoch, of the rows of metrics.csv."""
    panels: dict[str, dict[str, Points]] = {}
    for quantity in ("loss", "accuracy"):
        series: dict[str, Points] = {}
        for split, name in (("train", "training"), ("val", "validation")):
            column = f"{split}/{quantity}"
            points = [(int(row["epoch"]) + 1, float(row[column])) for row in rows if column in row]
            if points:
                series[name] = points
        if series or quantity == "loss":
            panels[quantity] = series
    return learning_curves(panels, None if test_accuracy is None else {"accuracy": test_accuracy})
