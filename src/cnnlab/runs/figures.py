"""The figures of a run. K kernels, C channels, h, w kernel sides."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from cnnlab.draw.chart_figures import chart_figure
from cnnlab.draw.charts import learning_curves
from cnnlab.draw.kernels import pairs_figure


def kernels_figure(snapshots: Mapping[int, Tensor]) -> Figure:
    """The first layer at initialisation and after the last epoch; `snapshots` as `Run.kernels()` gives them."""
    first, last = min(snapshots), max(snapshots)
    heading = f"first layer at initialisation and after epoch {last}"
    return pairs_figure(snapshots[first], snapshots[last], heading)


def learning_curves_figure(rows: Sequence[Mapping[str, str]], scores: Mapping[str, object]) -> Figure:
    """Loss and accuracy by epoch, of the rows of metrics.csv; `scores` of the test are marked."""
    return chart_figure(learning_curves([("", rows)], scores))
