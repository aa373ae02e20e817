"""The way that kernels went during training."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cnnlab._colour import OKABE_ITO
from cnnlab.filters.analysis.drift import Drift

_BLUE, _RED = OKABE_ITO["blue"], OKABE_ITO["vermilion"]


def drift_figure(rows: Sequence[Drift], heading: str = "") -> Figure:
    """Cosine to the initialisation (all kernels and the layer), relative distance, and angles between subspaces."""
    figure = Figure(figsize=(12.0, 3.7), layout="constrained")
    figure.suptitle(heading, fontsize=11)
    cosines, distance, angles = figure.subplots(1, 3)
    epochs = [row.epoch for row in rows]
    each_EK = np.array([_numbers(row.cosines) for row in rows])
    cosines.plot(epochs, each_EK, color="0.7", linewidth=0.8)
    cosines.plot([], [], color="0.7", linewidth=0.8, label="each kernel")
    cosines.plot(epochs, _numbers([row.cosine for row in rows]), color=_BLUE, linewidth=2.2, label="the layer")
    cosines.set(title="cosine to the initialisation")
    cosines.set_ylim(min(0.0, float(np.nanmin(each_EK, initial=0.0)) - 0.05), 1.03)
    cosines.legend(fontsize=8)
    distance.plot(epochs, _numbers([row.relative_distance for row in rows]), color=_BLUE, linewidth=2.2)
    distance.set(title="distance from the initialisation, over its norm")
    distance.set_ylim(bottom=0)
    if any(row.largest_angle is not None for row in rows):
        angles.plot(epochs, _numbers([row.largest_angle for row in rows]), color=_RED, linewidth=2.2, label="largest")
        mean = _numbers([row.mean_angle for row in rows])
        angles.plot(epochs, mean, color=_BLUE, linewidth=2.2, linestyle="--", label="mean")
        angles.legend(fontsize=8)
    else:
        reason = "the kernels span all dimensions:\ntheir space cannot turn"
        angles.text(0.5, 0.5, reason, transform=angles.transAxes, ha="center", va="center", fontsize=9)
    angles.set(title="principal angles to the initial subspace (°)", ylim=(0, 92), yticks=range(0, 91, 15))
    for axis in (cosines, distance, angles):
        axis.set(xlabel="epoch")
        axis.title.set_fontsize(10)
        axis.tick_params(labelsize=8)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    return figure


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]
