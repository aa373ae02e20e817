"""Pictures of kernels. K kernels, C channels, h height, w width."""

from collections.abc import Mapping

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from cnnlab._colour import DIVERGING
from cnnlab.draw.tiles import Cell, tile_page, zero_centred

SHOWN = 64  # kernels on one picture


def pairs_figure(first_KChw: Tensor, last_KChw: Tensor, heading: str) -> Figure:
    """Every kernel twice under its number, such as before and after training, on one scale about zero.

    A tile is the kernel averaged over its channels, which is its response to a grey image; of kernels for three
    channels two more tiles show the colours, mid-grey for zero. At most SHOWN kernels are drawn.
    """
    pair = [kernels_KChw[:SHOWN].detach().cpu().double() for kernels_KChw in (first_KChw, last_KChw)]
    tiles = [list(kernels_KChw.mean(1)) for kernels_KChw in pair]
    limit = max(float(tile.abs().max()) for column in tiles for tile in column)
    if first_KChw.shape[1] == 3:
        largest = max(float(kernels_KChw.abs().max()) for kernels_KChw in pair) or 1.0
        tiles += [list((0.5 + kernels_KChw / largest / 2).permute(0, 2, 3, 1)) for kernels_KChw in pair]
    cells = [Cell(tiles, str(number)) for number, tiles in enumerate(zip(*tiles, strict=True))]
    more = f" (the first {SHOWN} of {len(first_KChw)})" if len(first_KChw) > SHOWN else ""
    norm, columns = zero_centred(limit), 16 // len(tiles)
    return tile_page(cells, columns=columns, side=0.6, norm=norm, heading=heading + more, label="weight").figure


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
