"""Pictures of kernels. K kernels, C channels, h height, w width."""

from collections.abc import Mapping
from math import ceil

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from cnnlab._colour import DIVERGING

SHOWN = 64  # kernels on one picture


def kernel_grid(rows: dict[str, Tensor], columns: int = 16) -> Figure:
    """Kernels under each other, such as before and after training: {"before": (K, C, h, w), ...}, all of one shape.

    A tile is the kernel averaged over its channels, which is its response to a grey image; of kernels for
    three channels a second tile shows the colours, mid-grey for zero. One scale, symmetric about zero, for all.
    At most SHOWN kernels are drawn, and the title says so.
    """
    first = next(iter(rows.values()))
    assert all(kernels.shape == first.shape for kernels in rows.values()), "kernels of one shape"
    shown, per_row = min(len(first), SHOWN), min(columns, len(first), SHOWN)
    lines = [(name, kernels[:shown]) for name, kernels in rows.items()]
    height = ceil(shown / per_row) * (2 if first.shape[1] == 3 else 1)
    figure = Figure(figsize=(0.62 * per_row + 1.4, (0.62 * height + 0.42) * len(lines) + 0.2), layout="constrained")
    parts = figure.subfigures(len(lines), 1, squeeze=False)[:, 0]
    limit = max(float(kernels.mean(1).abs().max()) for _, kernels in lines) or 1.0
    for part, (name, kernels) in zip(parts, lines, strict=True):
        more = f" (the first {shown} of {len(first)})" if shown < len(first) else ""
        part.suptitle(f"{name}{more}", fontsize=9, x=0.01, ha="left")
        axes = part.subplots(height, per_row, squeeze=False)
        for axis in axes.flat:
            axis.set_axis_off()
        for index, kernel_Chw in enumerate(kernels):
            line, column = divmod(index, per_row)
            _tile(axes, line, column, kernel_Chw, limit)
        image = axes[0, 0].images[0]
        part.colorbar(image, ax=axes, shrink=0.9, aspect=12 * height, pad=0.01).ax.tick_params(labelsize=7)
    return figure


def _tile(axes: NDArray[np.object_], line: int, column: int, kernel_Chw: Tensor, limit: float) -> None:
    grey = kernel_Chw.mean(0)
    coloured = kernel_Chw.shape[0] == 3
    axis = axes[line * 2 if coloured else line, column]
    axis.imshow(grey.numpy(), cmap=DIVERGING, vmin=-limit, vmax=limit)
    if coloured:
        largest = kernel_Chw.abs().max().clamp_min(torch.finfo(kernel_Chw.dtype).tiny)
        axes[line * 2 + 1, column].imshow((0.5 + kernel_Chw / largest / 2).permute(1, 2, 0).numpy())


def kernels_figure(layers: Mapping[str, tuple[Tensor, Tensor]], title: str) -> Figure:
    """The first layers before and after training, one line per arm: {arm: (start, end), each (K, C, h, w)}.

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


def _colours(kernel_Chw: Tensor) -> NDArray[np.float64]:
    """(h, w, 3) from 0 to 1."""
    largest = float(kernel_Chw.abs().max()) or 1.0
    weights_Chw = kernel_Chw.double().numpy() / largest if np.isfinite(largest) else np.zeros(tuple(kernel_Chw.shape))
    if len(weights_Chw) == 3:
        return np.moveaxis(0.5 + weights_Chw / 2, 0, -1)
    return colormaps[DIVERGING](0.5 + weights_Chw.mean(0) / 2)[..., :3]
