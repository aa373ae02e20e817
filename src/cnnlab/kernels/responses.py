"""What kernels and units respond to, as figures. B batch, K unit or kernel, C channel, H height, W width."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.draw.tiles import TEXT, Cell, tile_page, zero_centred
from cnnlab.receptive.maximise import Maximised
from cnnlab.receptive.stimuli import Patch

SHOWN = 47  # maps on one figure
FRAME = "0.6"  # grey


def response_maps(
    image_CHW: Tensor, maps_KHW: Tensor, titles: Sequence[str] | None = None, heading: str = ""
) -> Figure:
    """An image and the responses of K kernels to it, each over its own largest, which stands in its title.

    The image in [0, 1], grey or in colour. At most SHOWN maps are drawn, and the heading says so.
    """
    names = [str(index) for index in range(len(maps_KHW))] if titles is None else list(titles)
    maps_KHW = maps_KHW.detach().cpu().double()
    shown = maps_KHW[:SHOWN]
    cells = [Cell((picture(image_CHW),), "the image")]
    for map_HW, name in zip(shown, names[:SHOWN], strict=True):
        largest = float(map_HW.abs().max())
        cells.append(Cell((map_HW / (largest or 1.0),), f"{name}\nlargest {largest:.3g}"))
    more = f" (the first {SHOWN} of {len(maps_KHW)})" if len(maps_KHW) > SHOWN else ""
    heading, label = f"{heading or 'responses'}{more}", "fraction of the map's largest response"
    return tile_page(cells, columns=8, side=1.25, norm=zero_centred(1.0), heading=heading, label=label).figure


def top_patches(units: Sequence[Sequence[Patch]], names: Sequence[str] | None = None, heading: str = "") -> Figure:
    """One row per unit: the patches that it responds to most, strongest first, each under its response.

    Patches in [0, 1], cut to the unit's receptive field.
    """
    columns = max(map(len, units), default=0)
    if not columns:
        raise UsageError("top_patches needs at least one patch, got none")
    figure = Figure(figsize=(0.95 * columns + 1.3, 1.12 * len(units) + 0.6))
    figure.text(0.02, 0.985, heading, fontsize=11, va="top")
    bottom, top = 0.1 / figure.get_figheight(), 1 - 0.5 / figure.get_figheight()
    left = 1.1 / figure.get_figwidth()
    axes = figure.subplots(
        len(units), columns, squeeze=False, gridspec_kw={"left": left, "right": 0.99, "top": top, "bottom": bottom}
    )
    figure.subplots_adjust(wspace=0.08, hspace=0.3)
    for row, patches in enumerate(units):
        name = f"unit {row}" if names is None else names[row]
        axes[row, 0].text(-0.12, 0.5, name, transform=axes[row, 0].transAxes, ha="right", va="center", fontsize=8)
        for column, axis in enumerate(axes[row]):
            if column >= len(patches):
                axis.set_axis_off()
                continue
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set(color=FRAME, linewidth=0.8)  # a white patch ends somewhere too
            axis.imshow(picture(patches[column].patch_Chw).numpy(), cmap="gray", vmin=0, vmax=1)
            axis.set_title(f"{patches[column].activation:.3g}", fontsize=TEXT, pad=2)
    return figure


def maximised_images(made: Sequence[Maximised], names: Sequence[str] | None = None, heading: str = "") -> Figure:
    """The image that maximises each unit and the unit's response; mid-grey is zero, one scale for all."""
    limit = max(float(image.image_CHW.abs().max()) for image in made) or 1.0
    cells = []
    for index, image in enumerate(made):
        name = f"unit {index}" if names is None else names[index]
        title = f"{name}\nresponse {image.activation:.3g}"
        cells.append(Cell((picture(0.5 + image.image_CHW / limit / 2),), title))
    norm = zero_centred(limit)
    return tile_page(cells, columns=8, side=1.25, norm=norm, cmap="gray", heading=heading, label="intensity").figure


def picture(image_CHW: Tensor) -> Tensor:
    """(H, W, 3) in [0, 1] from one or three channels; of other images the mean over the channels."""
    image_CHW = image_CHW.detach().cpu().double().clamp(0, 1)
    if len(image_CHW) != 3:
        image_CHW = image_CHW.mean(0, keepdim=True).expand(3, -1, -1)
    return image_CHW.permute(1, 2, 0)
