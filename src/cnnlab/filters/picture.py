"""A bank as a picture. K kernels, h by w kernel sides."""

from collections.abc import Sequence
from math import ceil

from matplotlib.figure import Figure
from torch import Tensor

from cnnlab._colour import DIVERGING

COLUMNS = 8
SHOWN = 64  # kernels on one picture


def kernel_panels(kernels_K1hw: Tensor, names: Sequence[str]) -> Figure:
    """One panel per kernel, the first SHOWN of them, under its name and largest weight. Zero is white."""
    shown = min(len(names), SHOWN)
    columns, rows = min(shown, COLUMNS), ceil(shown / COLUMNS)
    width, height = 1.5 * columns, 1.8 * rows + 0.2  # inches; a layout that is solved for takes seconds
    figure = Figure(figsize=(width, height))
    edges = {"left": 0.1 / width, "right": 1 - 0.1 / width, "bottom": 0.05 / height, "top": 1 - 0.55 / height}
    axes = figure.subplots(rows, columns, squeeze=False, gridspec_kw={**edges, "wspace": 0.1, "hspace": 0.35})
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, kernel_1hw, name in zip(axes.flat, kernels_K1hw[:shown], names, strict=False):
        limit = float(kernel_1hw.abs().max()) or 1.0
        axis.imshow(kernel_1hw[0].numpy(), cmap=DIVERGING, vmin=-limit, vmax=limit)
        axis.set_title(f"{name}\n±{limit:.3g}", fontsize=7)
    if shown < len(names):
        figure.suptitle(f"the first {shown} of {len(names)} kernels", fontsize=8, y=1 - 0.02 / height)
    return figure
