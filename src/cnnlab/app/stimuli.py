"""What the units of a layer answer to: response maps, top patches, images made to please them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig
from rich.progress import track

from cnnlab.app.pictures import save
from cnnlab.app.subject import Subject
from cnnlab.receptive import ReceptiveField, check_layer, receptive_fields
from cnnlab.receptive.capture import captured
from cnnlab.receptive.stimuli import Box, Patch, maximise_activation, top_activating
from cnnlab.views.responses import maximised_images, response_maps, top_patches

BATCH = 64
PATCHES = 9  # for each unit


def draw_stimuli(config: DictConfig, subject: Subject, layer: str, figures: Path) -> None:
    """responses.png, patches.png and maximised.png, of the first `config.units` units of `layer`."""
    inputs_NCHW = subject.inputs()[: max(config.inputs, 1)]
    fields = receptive_fields(subject.network, inputs_NCHW.shape[1:])
    name = next((key for key in fields if key == layer or key.startswith(f"{layer}[")), layer)
    check_layer(fields, name)
    maps_1KYX = captured(subject.network, name, inputs_NCHW[:1]).detach()
    if maps_1KYX.ndim != 4 or fields[name].grid is None:
        print(f"no responses are shown: {layer} has no map of units")
        return
    titles = [f"unit {unit}" for unit in range(maps_1KYX.shape[1])]
    shown = response_maps(subject.images_NCHW[0], maps_1KYX[0], titles, f"answers of {layer}")
    save(shown, figures / "responses.png")
    units = range(min(config.units, len(titles)))
    batches = [(part, part.new_zeros(len(part)).long()) for part in inputs_NCHW.split(BATCH)]
    told = track(batches, description="patches", transient=True)
    box_of = _box_of(fields[name], tuple(inputs_NCHW.shape[-2:]))
    found = top_activating(subject.network, layer, told, box_of, PATCHES)
    patches = [[_as_seen(patch, subject) for patch in found[unit]] for unit in units]
    save(top_patches(patches, titles, f"what each unit of {layer} answers to most"), figures / "patches.png")
    made = [
        maximise_activation(subject.network, layer, unit, tuple(inputs_NCHW.shape[1:]), steps=config.steps)
        for unit in track(units, description="images that maximise a unit", transient=True)
    ]
    heading = f"images that maximise the middle unit of each channel of {layer}"
    save(maximised_images(made, titles, heading), figures / "maximised.png")


def _box_of(field: ReceptiveField, image_size: tuple[int, int]) -> Callable[[tuple[int, int]], Box]:
    """Unit (i, j) -> the pixels that it sees, the last ones excluded; the whole image where it sees everything."""

    def box(place: tuple[int, int]) -> Box:
        if field.unbounded is not None:
            return (0, 0, *image_size)
        seen = field.box(*place)
        return (seen.top, seen.left, seen.bottom + 1, seen.right + 1)

    return box


def _as_seen(patch: Patch, subject: Subject) -> Patch:
    """The patch as part of the image, in [0, 1], not as the network's normalised input."""
    return replace(patch, patch_Chw=(patch.patch_Chw * subject.std_C11 + subject.mean_C11).clamp(0, 1))
