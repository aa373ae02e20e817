"""What the units of a layer answer to: response maps, top patches, images made to please them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig
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


def draw_stimuli(config: DictConfig, subject: Subject, layer: str, figures: Path) -> None:
    """responses.png (and of the next layers), patches.png and maximised.png, of the first `config.units` units."""
    inputs_NCHW = subject.inputs()[: max(config.inputs, 1)]
    fields = receptive_fields(subject.network, inputs_NCHW.shape[1:])
    name = next((key for key in fields if key == layer or key.startswith(f"{layer}[")), layer)
    check_layer(fields, name)
    maps_1KYX = captured(subject.network, name, inputs_NCHW[:1]).detach()
    if maps_1KYX.ndim != 4 or fields[name].grid is None:
        print(f"no responses are shown: {layer} has no map of units")
        return
    for number, shown in enumerate([name] if config.layer is not None else early_layers(subject, fields, name)):
        _draw_responses(subject, shown, figures / ("responses.png" if number == 0 else f"responses_{number + 1}.png"))
    units = list(range(min(config.units, maps_1KYX.shape[1])))
    titles = [f"unit {unit}" for unit in units]
    image_size = tuple(inputs_NCHW.shape[-2:])
    batches = [(part, part.new_zeros(len(part)).long()) for part in inputs_NCHW.split(BATCH)]
    told = track(batches, description="patches", transient=True)
    box_of = _box_of(fields[name], image_size)
    found = top_activating(subject.network, layer, told, box_of, 4 * PATCHES, units=units)
    patches = [[_as_seen(patch, subject) for patch in distinct(some)[:PATCHES]] for some in found]
    sees = seen_by(fields[name], image_size)
    save_figure(top_patches(patches, titles, f"what units of {layer} answer to most ({sees})"), figures / "patches.png")
    window = window_of(subject, name, fields[name], tuple(inputs_NCHW.shape[1:]))
    made = _maximised(config, subject, layer, units, window)
    heading = f"images that maximise the middle unit of channels of {layer} ({sees})"
    save_figure(maximised_images(made, titles, heading), figures / "maximised.png")


def early_layers(subject: Subject, fields: dict[str, ReceptiveField], first: str) -> list[str]:
    """`first` and the next convolutions with a larger field than those before, EARLY together."""
    names = [first]
    for name, field in fields.items():
        kernels = getattr(dict(subject.network.named_modules()).get(name), "weight", None)
        if len(names) < EARLY and getattr(kernels, "ndim", 0) == 4 and field.grid is not None:
            last = fields[names[-1]].size
            if None not in field.size and None not in last and min(field.size) > max(last):
                names.append(name)
    return names


def _draw_responses(subject: Subject, name: str, path: Path) -> None:
    maps_KYX = captured(subject.network, name, subject.inputs()[:1]).detach()[0]
    layer = name.partition("[")[0]
    titles = [f"unit {unit}" for unit in range(len(maps_KYX))]
    save_figure(response_maps(subject.images_NCHW[0], maps_KYX, titles, f"answers of {layer}"), path)


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
    whole = Window(shape, (0, 0, *shape[1:]))
    if field.unbounded is not None or any(size >= side for size, side in zip(field.size, shape[1:], strict=True)):
        return whole
    norm = (shape[0] * field.size[0] * field.size[1]) ** 0.5 / 4  # a contrast of 1/4 over what the unit sees
    numbers = zip(field.size, field.padding, field.stride, shape[1:], strict=True)
    sides = [min(full, int(size + 2 * max(padding, 0) + 2 * stride)) for size, padding, stride, full in numbers]
    for smaller in ((shape[0], *sides), shape):
        try:
            own = receptive_fields(subject.network, smaller)[name]
        except (ValueError, KeyError, RuntimeError):  # it takes no such image, or goes another way for it
            continue
        top, left, bottom, right = own.box(own.grid[0] // 2, own.grid[1] // 2)
        inside = top >= 0 and left >= 0 and bottom < smaller[1] and right < smaller[2]
        if own == field and inside:
            return Window(smaller, (top, left, bottom + 1, right + 1), norm)
    return whole


def _maximised(config: DictConfig, subject: Subject, layer: str, units: list[int], window: Window) -> list[Maximised]:
    top, left, bottom, right = window.part
    found: list[Maximised] = []
    for start in range(0, len(units), AT_ONCE):
        some = units[start : start + AT_ONCE]
        words = f"images that maximise units {some[0]} to {some[-1]}"
        found += maximise_activations(
            subject.network, layer, some, window.shape, norm=window.norm, steps=config.steps,
            watch=lambda steps, words=words: track(steps, description=words, transient=True),
        )  # fmt: skip
    return [replace(one, image_CHW=one.image_CHW[:, top:bottom, left:right]) for one in found]


def seen_by(field: ReceptiveField, image_size: tuple[int, int]) -> str:
    """In words, what a patch or an image shows of the input."""
    if field.unbounded is not None:
        return f"each sees all of the {_by(image_size)} pixels"
    return f"each sees {_by(field.size)} of {_by(image_size)} pixels"


def _by(pair: tuple[int, int]) -> str:
    return f"{pair[0]} x {pair[1]}"


def _box_of(field: ReceptiveField, image_size: tuple[int, int]) -> Callable[[tuple[int, int]], Box]:
    """Unit (i, j) -> the pixels that it sees, the last ones excluded; of an axis that it sees more than all of, all."""

    def box(place: tuple[int, int]) -> Box:
        if field.unbounded is not None:
            return (0, 0, *image_size)
        seen = field.box(*place)
        (top, bottom), (left, right) = (
            (0, side) if size >= side else (first, last + 1)
            for size, side, first, last in zip(
                field.size, image_size, (seen.top, seen.left), (seen.bottom, seen.right), strict=True
            )
        )
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
