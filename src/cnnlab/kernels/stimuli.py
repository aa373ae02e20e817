"""What the units of a layer respond to: response maps, top patches, images that maximise a unit."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from rich.progress import track

from cnnlab.draw.saving import save_figure
from cnnlab.kernels.responses import maximised_images, response_maps, top_patches
from cnnlab.kernels.subject import Subject
from cnnlab.receptive import ReceptiveField, check_layer, receptive_fields
from cnnlab.receptive.capture import captured
from cnnlab.receptive.maximise import Maximised, maximise_activations
from cnnlab.receptive.stimuli import Box, Patch, top_activating

BATCH = 64
PATCHES = 9  # for each unit
EARLY = 4  # layers whose response maps are drawn, unless one was asked for
AT_ONCE = 8  # units that gradient ascent takes together


def draw_stimuli(subject: Subject, layer: str, figures: Path, *, units: int, steps: int, deeper: bool) -> None:
    """responses.png (`deeper`: and of the next layers), patches.png and maximised.png, of the first units of a layer.

    `steps` of gradient ascent make an image.
    """
    inputs_NCHW = subject.inputs()
    _, channels, height, width = inputs_NCHW.shape
    fields = receptive_fields(subject.network, (channels, height, width))
    name = next((key for key in fields if key == layer or key.startswith(f"{layer}[")), layer)
    check_layer(fields, name)
    field = fields[name]
    maps_1KYX = captured(subject.network, name, inputs_NCHW[:1]).detach()
    if maps_1KYX.ndim != 4 or field.grid is None:
        print(f"no responses are shown: {layer} has no map of units")
        return
    for number, shown in enumerate(early_layers(subject, fields, name) if deeper else [name]):
        _draw_responses(subject, shown, figures / ("responses.png" if number == 0 else f"responses_{number + 1}.png"))
    chosen = list(range(min(units, maps_1KYX.shape[1])))
    titles = [f"unit {unit}" for unit in chosen]
    batches = [(part, part.new_zeros(len(part)).long()) for part in inputs_NCHW.split(BATCH)]
    watched = track(batches, description="patches", transient=True)
    box_of = _box_of(field, (height, width))
    most = top_activating(subject.network, layer, watched, box_of, 4 * PATCHES, units=chosen)
    patches = [[_as_seen(patch, subject) for patch in distinct(some)[:PATCHES]] for some in most]
    sees = seen_by(field, (height, width))
    heading = f"patches with the strongest responses of {layer} ({sees})"
    save_figure(top_patches(patches, titles, heading), figures / "patches.png")
    made = _maximised(subject, layer, chosen, steps, window_of(subject, name, field, (channels, height, width)))
    heading = f"images that maximise the middle unit of channels of {layer} ({sees})"
    save_figure(maximised_images(made, titles, heading), figures / "maximised.png")


def early_layers(subject: Subject, fields: dict[str, ReceptiveField], first: str) -> list[str]:
    """`first` and the next convolutions with a larger field than those before, EARLY together."""
    names, modules = [first], dict(subject.network.named_modules())
    for name, field in fields.items():
        kernels = getattr(modules.get(name), "weight", None)
        if len(names) < EARLY and getattr(kernels, "ndim", 0) == 4 and field.grid is not None:
            size, last = _bounded(field), _bounded(fields[names[-1]])
            if size and last and min(size) > max(last):
                names.append(name)
    return names


def _bounded(field: ReceptiveField) -> tuple[int, int] | None:
    """Its size, where it has one along both axes."""
    height, width = field.size
    return None if height is None or width is None else (height, width)


def _draw_responses(subject: Subject, name: str, path: Path) -> None:
    maps_KYX = captured(subject.network, name, subject.inputs()[:1]).detach()[0]
    titles = [f"unit {unit}" for unit in range(len(maps_KYX))]
    heading = f"responses of {name.partition('[')[0]}"
    save_figure(response_maps(subject.images_NCHW[0], maps_KYX, titles, heading), path)


@dataclass(frozen=True)
class Window:
    """The images (C, H, W) to make for a unit, the part of them that it sees, their norm (None: as for all of it)."""

    shape: tuple[int, int, int]
    part: Box
    norm: float | None = None


def window_of(subject: Subject, name: str, field: ReceptiveField, shape: tuple[int, int, int]) -> Window:
    """What the middle unit of the layer sees, with as little around it as its place allows: the rest changes nothing.

    The whole image where the unit sees more than that, or where the network takes no smaller one.
    """
    channels, height, width = shape
    size = _bounded(field)
    if size and size[0] < height and size[1] < width:
        norm = (channels * size[0] * size[1]) ** 0.5 / 4  # a contrast of 1/4 over what the unit sees
        least = [
            min(full, int(seen + 2 * max(padding or 0, 0) + 2 * (stride or 0)))
            for seen, padding, stride, full in zip(size, field.padding, field.stride, (height, width), strict=True)
        ]
        for smaller in ((channels, least[0], least[1]), shape):
            part = _part(subject, name, field, smaller)
            if part is not None:
                return Window(smaller, part, norm)
    return Window(shape, (0, 0, height, width))


def _part(subject: Subject, name: str, field: ReceptiveField, shape: tuple[int, int, int]) -> Box | None:
    """What the middle unit sees of an image of this shape; None where that is not all of its field."""
    try:
        own = receptive_fields(subject.network, shape)[name]
    except (ValueError, KeyError, RuntimeError):  # it takes no such image, or goes another way for it
        return None
    if own != field or own.grid is None:
        return None
    top, left, bottom, right = own.box(own.grid[0] // 2, own.grid[1] // 2)
    inside = top >= 0 and left >= 0 and bottom < shape[1] and right < shape[2]
    return (top, left, bottom + 1, right + 1) if inside else None


def _maximised(subject: Subject, layer: str, units: list[int], steps: int, window: Window) -> list[Maximised]:
    top, left, bottom, right = window.part
    made: list[Maximised] = []
    for start in range(0, len(units), AT_ONCE):
        some = units[start : start + AT_ONCE]
        watch = _watched(f"images that maximise units {some[0]} to {some[-1]}")
        made += maximise_activations(
            subject.network, layer, some, window.shape, norm=window.norm, steps=steps, watch=watch
        )
    return [replace(image, image_CHW=image.image_CHW[:, top:bottom, left:right]) for image in made]


def _watched(words: str) -> Callable[[range], Iterable[int]]:
    return lambda steps: track(steps, description=words, transient=True)


def seen_by(field: ReceptiveField, image_size: tuple[int, int]) -> str:
    """In words, what a patch or an image shows of the input."""
    whole, size = f"{image_size[0]} x {image_size[1]} pixels", _bounded(field)
    return f"each sees {size[0]} x {size[1]} of {whole}" if size else f"each sees all of the {whole}"


def _box_of(field: ReceptiveField, image_size: tuple[int, int]) -> Callable[[tuple[int, int]], Box]:
    """Unit (i, j) -> the pixels that it sees, the last ones excluded; of an axis that it sees more than all of, all."""
    size, (height, width) = _bounded(field), image_size

    def box(place: tuple[int, int]) -> Box:
        if size is None:
            return (0, 0, height, width)
        seen = field.box(*place)
        top, bottom = (0, height) if size[0] >= height else (seen.top, seen.bottom + 1)
        left, right = (0, width) if size[1] >= width else (seen.left, seen.right + 1)
        return (top, left, bottom, right)

    return box


def distinct(patches: list[Patch]) -> list[Patch]:
    """Without those that show the same pixels as a stronger one: windows of one photograph overlap."""
    kept: dict[bytes, Patch] = {}
    for patch in patches:
        kept.setdefault(patch.patch_Chw.numpy().tobytes(), patch)
    return list(kept.values())


def _as_seen(patch: Patch, subject: Subject) -> Patch:
    """The patch as part of the image, in [0, 1], not as the network's normalised input."""
    return replace(patch, patch_Chw=(patch.patch_Chw * subject.std_C11 + subject.mean_C11).clamp(0, 1))
