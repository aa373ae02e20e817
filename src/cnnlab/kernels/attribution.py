"""Which pixels the network's own predictions came from. N images, K class, C channel, H height, W width."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab._colour import DIVERGING
from cnnlab.draw.saving import save_figure
from cnnlab.draw.tiles import shortened, zero_centred
from cnnlab.kernels.responses import picture
from cnnlab.kernels.subject import Subject
from cnnlab.receptive.attribution import SIGNED, attribute, map_layer

IMAGES = 4
SIDE = 2.3  # inches
CLIPPED = 0.995  # of the pixels lie on the scale: one hot pixel hides nothing


def draw_attribution(subject: Subject, methods: Sequence[str], path: Path) -> None:
    """`path`: the first IMAGES images beside the maps of `methods`, all for the class that the network predicts."""
    if not subject.class_names:
        raise UsageError(f"attribution: {subject.name} is no classifier, so there is no prediction to explain")
    inputs_NCHW = subject.inputs()[:IMAGES]
    with torch.no_grad():
        probability_NK = subject.network(inputs_NCHW).float().softmax(1)
    confidence_N, predicted_N = probability_NK.max(1)
    maps = attribute(subject.network, inputs_NCHW, predicted_N, methods)
    layer = map_layer(subject.network, inputs_NCHW) if "grad_cam" in methods else ""
    named = {f"{name} of {layer}" if name == "grad_cam" else name: maps_NCHW for name, maps_NCHW in maps.items()}
    titles = [
        f"{subject.class_names[predicted]}, {100 * confidence:.0f} %"
        for predicted, confidence in zip(predicted_N.tolist(), confidence_N.tolist(), strict=True)
    ]
    save_figure(attribution_maps(subject.images_NCHW[:IMAGES], named, titles, SIGNED), path)


def attribution_maps(
    images_NCHW: Tensor, maps: Mapping[str, Tensor], titles: Sequence[str], signed: Sequence[str]
) -> Figure:
    """One row per image in [0, 1]: the image under its title, then one map (N, C, H, W) of each method.

    Channels add up. Each map is over its own largest value; those named in `signed` have zero in the middle of a
    diverging scale, the others begin at zero.
    """
    columns = 1 + len(maps)
    width, height = (SIDE + 0.15) * columns + 0.15, (SIDE + 0.35) * len(images_NCHW) + 0.75
    figure = Figure(figsize=(width, height))
    edges = {"left": 0.1 / width, "right": 1 - 0.1 / width, "top": 1 - 0.3 / height, "bottom": 0.8 / height}
    spaced = {**edges, "wspace": 0.06, "hspace": 0.14}
    axes = figure.subplots(len(images_NCHW), columns, squeeze=False, gridspec_kw=spaced)
    for row, (image_CHW, title) in enumerate(zip(images_NCHW, titles, strict=True)):
        axes[row, 0].imshow(picture(image_CHW).numpy())
        axes[row, 0].set_title(shortened(title, 34), fontsize=9)
        for column, (name, maps_NCHW) in enumerate(maps.items(), start=1):
            map_HW = maps_NCHW[row].detach().cpu().double().sum(0)
            limit = float(map_HW.abs().flatten().quantile(CLIPPED)) or float(map_HW.abs().max()) or 1.0
            norm, colours = _scale(name in signed)
            axes[row, column].imshow((map_HW / limit).numpy(), norm=norm, cmap=colours)
            axes[row, column].set_title(shortened(name.replace("_", " "), 34) if row == 0 else "", fontsize=9)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(color="0.6", linewidth=0.8)
    for column, name in enumerate(maps, start=1):
        place = axes[-1, column].get_position()
        bar_axis = figure.add_axes((place.x0 + 0.05 * place.width, 0.55 / height, 0.9 * place.width, 0.1 / height))
        ends = "both" if name in signed else "max"
        bar = figure.colorbar(ScalarMappable(*_scale(name in signed)), bar_axis, orientation="horizontal", extend=ends)
        bar.ax.tick_params(labelsize=7.5)
        words = "against the class (blue), for it (red)" if name in signed else "fraction of the map's largest"
        bar.set_label(words, fontsize=8)
    return figure


def _scale(signed: bool) -> tuple[Normalize, str]:
    return (zero_centred(1.0), DIVERGING) if signed else (Normalize(0, 1), "magma")
