"""Receptive fields: which pixels a unit can see, and to which of them it responds.

U units, N images, B = U * N, C channel, H, W image, i, j unit, h, w map.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cnnlab.data.contract import class_data
from cnnlab.draw.animation import evenly
from cnnlab.nn.torchvision_net import TorchvisionNet
from cnnlab.receptive import ReceptiveField, receptive_fields
from cnnlab.receptive.layer_maps import layer_map, unit_energy
from cnnlab.report.pictures import Chosen, as_bytes, chosen_images, chosen_windows
from cnnlab.report.section import ReportedRun, Shown, report_section

LAYERS = 14  # shown
LARGEST_MAP = 64  # units along a side; of a larger map every second, third ... unit is there
LARGEST_HEAT = 64  # pixels along a side of a heat map
PLAIN = ("Conv", "Pool", "Linear", "Attention")  # kinds of layers that give a field its name


@report_section("Receptive fields", 60, drawn=("size", "images", "layers"))
def fields(run: ReportedRun, largest: int) -> Shown | str:
    """The fields of a run, on images of its data."""
    if run.network is None or run.data is None:
        return run.reason("data", "network")
    on_windows = run.data.kind == "boundaries"
    chosen = chosen_windows(run.data) if on_windows else chosen_images(class_data(run.data), run)
    return fields_on(run.network, chosen, largest)


def fields_on(network: nn.Module, chosen: Chosen, largest: int) -> Shown:
    """size (H, W), images {picture, words}, inputs (N of the heat maps), total (layers analysed) and layers:

    name, kind, notes, unbounded (the reason, or None); size, stride, padding in words; grid (h, w) of units or None;
    rows, columns: [first, last] pixel that the units of a row, of a column see, or None;
    step: only every such unit is on the map. maps: per image base64 of uint8, the mean |response|;
    heat: units [(i, j)] that were measured, frames per unit (base64 of uint8, amplitude, or None), its size (h, w).

    Takes fewer images and units where they would fill more than `largest` characters.
    """
    channels, height, width = chosen.image_MCHW.shape[1:]
    found = receptive_fields(network, (channels, height, width))
    names = chosen_layers(network, found)
    layers = [_layer(network, name, found[name], chosen.image_MCHW, largest // len(names)) for name in names]
    images = [
        {"picture": picture, "words": words} for picture, words in zip(chosen.pictures, chosen.words, strict=True)
    ]
    inputs = _inputs(network, len(chosen.image_MCHW), 1, height * width)
    return {"size": [height, width], "images": images, "inputs": inputs, "total": len(found), "layers": layers}


def chosen_layers(network: nn.Module, found: dict[str, ReceptiveField]) -> list[str]:
    """One name for each field that differs from the one before it, in order, at most LAYERS of them.

    Of layers with the same field (a convolution, its normalisation and activation) the convolution speaks for all.
    """
    groups: list[list[str]] = []
    before = None
    for name, field in found.items():
        looks = (field.size, field.stride, field.padding, field.unbounded, field.grid)
        if looks == before:
            groups[-1].append(name)
        else:
            groups.append([name])
        before = looks
    names = [_speaker(network, group) for group in groups]
    bounded = [name for name in names if found[name].unbounded is None]
    if len(names) > LAYERS:
        rest = [name for name in names if found[name].unbounded is not None][: 2 if bounded else LAYERS]
        room = LAYERS - len(rest)
        kept = {*evenly(bounded, room), *rest}
        names = [name for name in names if name in kept]
    return names


def _speaker(network: nn.Module, group: list[str]) -> str:
    for name in group:
        if any(kind in _kind(network, name) for kind in PLAIN):
            return name
    return min(group, key=lambda name: (name == "", len(name), name))


def _kind(network: nn.Module, name: str) -> str:
    return type(network.get_submodule(name.partition("#")[0].partition("[")[0])).__name__


def _layer(network: nn.Module, name: str, field: ReceptiveField, image_MCHW: Tensor, largest: int) -> Shown:
    shown: dict[str, object] = {
        "name": name or "the whole network",
        "kind": _kind(network, name),
        "notes": list(field.notes),
        "unbounded": field.unbounded,
        "size": _pair(field.size),
        "stride": _pair(field.stride),
        "padding": _pair(field.padding),
        "grid": None if field.grid is None else list(field.grid),
        "rows": None,
        "columns": None,
        "step": 1,
        "maps": None,
        "heat": None,
    }
    if field.grid is not None and field.unbounded is None:
        shown["rows"], shown["columns"] = spans(field)
    if field.grid is not None and field.map_dims is not None:
        shown["step"], shown["maps"] = _responses(network, name, field, image_MCHW, largest // 2)
        shown["heat"] = _heat(network, name, field, image_MCHW, largest // 2)
    return shown


def spans(field: ReceptiveField) -> tuple[list[list[int] | None], list[list[int] | None]]:
    """First and last pixel seen by the units of each row and of each column; None for a unit that sees nothing."""
    assert field.grid is not None
    found: list[list[list[int] | None]] = []
    for axis, count in zip(field.axes, field.grid, strict=True):
        assert axis is not None
        ends = [axis(unit) for unit in range(count)]
        found.append([None if end is None else [int(place) for place in end] for end in ends])
    return found[0], found[1]


def _pair(values: Sequence[object]) -> str:
    return " \N{MULTIPLICATION SIGN} ".join("\N{EN DASH}" if value is None else str(value) for value in values)


@torch.no_grad()
def _responses(
    network: nn.Module, name: str, field: ReceptiveField, image_MCHW: Tensor, largest: int
) -> tuple[int, list[str] | None]:
    """`step` and `maps` of a layer."""
    response_MijK = layer_map(network, name, field, image_MCHW)
    if response_MijK is None:
        return 1, None
    response_Mij = response_MijK.abs().mean(3)
    step = max(1, -(-max(response_Mij.shape[1:]) // LARGEST_MAP))
    response_Mij = response_Mij[:, ::step, ::step]
    response_Mij = response_Mij[: max(1, int(largest / (1.34 * response_Mij[0].numel())))]
    peak_M11 = response_Mij.amax((1, 2), keepdim=True).clamp_min(1e-12)
    return step, [as_bytes(response_ij) for response_ij in response_Mij / peak_M11]


def _heat(network: nn.Module, name: str, field: ReceptiveField, image_MCHW: Tensor, largest: int) -> Shown | None:
    """Amplitude (root of the mean squared gradient, the energy of `receptive.effective_field`) of some units."""
    assert field.grid is not None
    height, width = image_MCHW.shape[-2:]
    area = _area(network, height * width)
    side = 8 if area <= 1024 else 5 if area <= 4096 else 3 if area <= 20_000 else 2
    shrink = max(1, -(-max(height, width) // LARGEST_HEAT))
    size = (-(-height // shrink), -(-width // shrink))
    side = max(1, min(side, int((largest / (1.34 * size[0] * size[1])) ** 0.5)))
    if max(field.grid) > side > 5 and field.grid[0] * field.grid[1] > side**2:
        side = 5
    rows, columns = (_spread_units(count, side) for count in field.grid)
    units = [(i, j) for i in rows for j in columns]
    inputs = _inputs(network, len(image_MCHW), len(units), height * width)
    energy_UHW = unit_energy(network, name, field, image_MCHW[:inputs], units)
    if energy_UHW is None:
        return None
    frames: list[str | None] = []
    for energy_HW in energy_UHW:
        peak = float(energy_HW.max())
        if shrink > 1:
            energy_HW = torch.nn.functional.avg_pool2d(energy_HW[None], shrink, ceil_mode=True)[0]
        frames.append(as_bytes((energy_HW / energy_HW.max()).sqrt()) if peak > 0 else None)
    return {"units": units, "frames": frames, "size": list(size), "inputs": inputs}


def _area(network: nn.Module, pixels: int) -> int:
    """Pixels of the image that the network works on."""
    resize = network.resize if isinstance(network, TorchvisionNet) else None
    return max(pixels, (resize or 0) ** 2)


def _inputs(network: nn.Module, images: int, units: int, pixels: int) -> int:
    return max(1, min(images, 400_000 // (units * _area(network, pixels))))


def _spread_units(count: int, most: int) -> list[int]:
    """At most `most` of 0 ... count - 1, each in the middle of its part."""
    if count <= most:
        return list(range(count))
    return [int((part + 0.5) * count / most) for part in range(most)]
