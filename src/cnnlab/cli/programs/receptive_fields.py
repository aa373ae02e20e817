"""The receptive-field job: every layer of a network, as table, JSON, CSV and pictures."""

import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.progress import track

from cnnlab._files import write_text
from cnnlab._tables import print_runs, write_csv
from cnnlab.draw.saving import save_figure
from cnnlab.kernels.subject import Subject, subject_of
from cnnlab.receptive import EffectiveField, ReceptiveField, check_layer, effective_field, receptive_fields
from cnnlab.receptive import figures as pictures
from cnnlab.runs.record import RunRecord

DRAWN = 6  # layers in the pictures, spread over the depth, unless some were asked for
BATCH = 8  # images at once behind an effective field


def run(config: DictConfig, folder: Path) -> int:
    """Leave receptive_fields.json, receptive_fields.csv and figures/ in `folder`."""
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    subject = subject_of(config)
    shape = tuple(subject.images_NCHW.shape[1:])
    fields = receptive_fields(subject.network, shape)
    for name in config.layers or []:
        check_layer(fields, name)
    record = RunRecord(folder, network=subject.name, input_shape=list(shape), seed=config.seed)
    chosen = list(config.layers) if config.layers else spread(fields)
    measured = measure(subject, chosen, config.inputs)
    rows = [{"layer": name or "(the network)", **row_of(field)} for name, field in fields.items()]
    write_csv(rows, folder / "receptive_fields.csv")
    write_text(folder / "receptive_fields.json", json.dumps(_json(subject, shape, fields, measured), indent=2) + "\n")
    named = {name or "(network)": field for name, field in fields.items()}
    save_figure(pictures.growth(named, shape[1:]), folder / "figures" / "growth.png")
    save_figure(pictures.boxes(subject.images_NCHW[0], _middle_boxes(fields, chosen)), folder / "figures" / "boxes.png")
    if measured:
        save_figure(pictures.effective(measured), folder / "figures" / "effective.png")
    print_runs(
        f"receptive fields of {subject.name}, input {' x '.join(map(str, shape))}", [_shown(row) for row in rows]
    )
    record.finish("completed", layers=len(fields))
    print(folder)
    return 0


def spread(fields: dict[str, ReceptiveField]) -> list[str]:
    """Up to DRAWN layers from first to last, one for each size, those that have a map of units before others."""
    mapped = [name for name, field in fields.items() if name and field.grid is not None]
    by_size = {(fields[name].size, fields[name].unbounded): name for name in mapped}
    names = list(by_size.values())
    if len(names) <= DRAWN:
        return names
    return [names[round(place * (len(names) - 1) / (DRAWN - 1))] for place in range(DRAWN)]


def measure(subject: Subject, layers: list[str], count: int) -> list[EffectiveField]:
    """The effective fields of the middle units, over the subject's images; [] where none were asked for."""
    if count < 1:
        return []
    inputs = subject.inputs()[:count]
    found = []
    for name in track(layers, description="effective fields", transient=True):
        try:
            found.append(effective_field(subject.network, name, inputs.split(BATCH)))
        except ValueError as error:
            print(f"no effective field: {error}")
    return found


def _middle_boxes(fields: dict[str, ReceptiveField], chosen: list[str]) -> list[tuple[str, Any]]:
    bounded = [name for name in chosen if fields[name].unbounded is None and fields[name].grid is not None]
    return [(name, fields[name].box(*(side // 2 for side in fields[name].grid))) for name in bounded]


def row_of(field: ReceptiveField) -> dict[str, Any]:
    """Plain numbers, h and w apart; fractions of a pixel as decimals, None where there is none."""
    row: dict[str, Any] = {}
    for name in ("size", "stride", "padding", "centre"):
        row |= {f"{name}_{axis}": _plain(value) for axis, value in zip("hw", getattr(field, name), strict=True)}
    return {**row, "unbounded": field.unbounded or "", "notes": "; ".join(field.notes)}


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Fraction) else value


def _shown(row: dict[str, Any]) -> dict[str, str]:
    """A line for the screen: h x w, one number where they agree."""
    shown = {"layer": row["layer"]}
    for name in ("size", "stride", "padding", "centre"):
        pair = [row[f"{name}_{axis}"] for axis in "hw"]
        words = ["-" if value is None else f"{value:g}" for value in pair]
        shown[name] = words[0] if words[0] == words[1] else " x ".join(words)
    shown["remarks"] = "; ".join(filter(None, (row["unbounded"] and f"unbounded: {row['unbounded']}", row["notes"])))
    return shown


def _json(subject: Subject, shape: tuple, fields: dict[str, ReceptiveField], measured: list[EffectiveField]) -> dict:
    effective = {
        field.layer: {
            "unit": field.unit,
            "inputs": field.count,
            "centroid": field.centroid,
            "std": field.std,
            "radius": field.radius,
            "share": field.share,
        }
        for field in measured
    }
    layers = {name: {**row_of(field), "grid": field.grid} for name, field in fields.items()}
    return {
        "network": subject.name,
        "trained": subject.trained,
        "input_shape": list(shape),
        "layers": layers,
        "effective": effective,
    }
