"""Which pixels an answer came from. C channel, H height, W width."""

from collections.abc import Sequence

from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from cnnlab._colour import DIVERGING
from cnnlab.draw.tiles import shortened, zero_centred
from cnnlab.kernels.responses import picture

SIDE = 2.3  # inches
CLIPPED = 0.995  # of the pixels lie on the scale: one hot pixel hides nothing


def attribution_maps(
    images: Sequence[Tensor], maps: dict[str, Sequence[Tensor]], titles: Sequence[str], signed: Sequence[str]
) -> Figure:
    """A row for each image (C, H, W) in [0, 1]: the image under its title, then a map (C, H, W) a column.

    Channels add up. Each map is over its own largest value; those named in `signed` have zero in the middle of a
    diverging scale, the others begin at zero.
    """
    columns = 1 + len(maps)
    width, height = (SIDE + 0.15) * columns + 0.15, (SIDE + 0.35) * len(images) + 0.75
    figure = Figure(figsize=(width, height))
    edges = {"left": 0.1 / width, "right": 1 - 0.1 / width, "top": 1 - 0.3 / height, "bottom": 0.8 / height}
    axes = figure.subplots(len(images), columns, squeeze=False, gridspec_kw={**edges, "wspace": 0.06, "hspace": 0.14})
    for row, (image_CHW, title) in enumerate(zip(images, titles, strict=True)):
        axes[row, 0].imshow(picture(image_CHW).numpy())
        axes[row, 0].set_title(shortened(title, 34), fontsize=9)
        for column, (name, found) in enumerate(maps.items(), start=1):
            map_HW = found[row].detach().cpu().double().sum(0)
            limit = float(map_HW.abs().flatten().quantile(CLIPPED)) or float(map_HW.abs().max()) or 1.0
            axes[row, column].imshow((map_HW / limit).numpy(), **_scale(name in signed))
            axes[row, column].set_title(shortened(name.replace("_", " "), 34) if row == 0 else "", fontsize=9)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(color="0.6", linewidth=0.8)
    for column, name in enumerate(maps, start=1):
        place = axes[-1, column].get_position()
        bar_axis = figure.add_axes((place.x0 + 0.05 * place.width, 0.55 / height, 0.9 * place.width, 0.1 / height))
        ends = "both" if name in signed else "max"
        bar = figure.colorbar(ScalarMappable(**_scale(name in signed)), bar_axis, orientation="horizontal", extend=ends)
        bar.ax.tick_params(labelsize=7.5)
        words = "against the class (blue), for it (red)" if name in signed else "share of the map's largest"
        bar.set_label(words, fontsize=8)
    return figure


def _scale(signed: bool) -> dict:
    return {"norm": zero_centred(1.0), "cmap": DIVERGING} if signed else {"norm": Normalize(0, 1), "cmap": "magma"}
