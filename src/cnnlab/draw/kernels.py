"""Pictures of kernels. K kernels, C channels, h height, w width."""

from math import ceil

import torch
from matplotlib.figure import Figure
from torch import Tensor

# Zero is the white middle of the colour map in every picture: sign is what a derivative kernel is about.
DIVERGING = "RdBu_r"
SHOWN = 64  # kernels on one picture


def kernel_grid(rows: dict[str, Tensor], columns: int = 16) -> Figure:
    """Kernels under each other, such as before and after training: {"before": (K, C, h, w), ...}, all of one shape.

    A tile is the kernel averaged over its channels, which is how it answers to a grey image; of kernels for
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
            _tile(axes, line, column, kernel_Chw, limit, figure_height=height)
        image = axes[0, 0].images[0]
        part.colorbar(image, ax=axes, shrink=0.9, aspect=12 * height, pad=0.01).ax.tick_params(labelsize=7)
    return figure


def _tile(axes, line: int, column: int, kernel_Chw: Tensor, limit: float, figure_height: int) -> None:
    grey = kernel_Chw.mean(0)
    coloured = kernel_Chw.shape[0] == 3
    axis = axes[line * 2 if coloured else line, column]
    axis.imshow(grey.numpy(), cmap=DIVERGING, vmin=-limit, vmax=limit)
    if coloured:
        largest = kernel_Chw.abs().max().clamp_min(torch.finfo(kernel_Chw.dtype).tiny)
        axes[line * 2 + 1, column].imshow((0.5 + kernel_Chw / largest / 2).permute(1, 2, 0).numpy())
