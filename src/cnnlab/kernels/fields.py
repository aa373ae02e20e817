"""The receptive fields of a network's layers: a table, JSON and pictures in one folder."""

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from rich.progress import track

from cnnlab._files import write_text
from cnnlab._tables import print_runs, write_csv
from cnnlab.draw.saving import save_figure
from cnnlab.kernels.subject import Subject
from cnnlab.receptive import EffectiveField, ReceptiveField, check_layer, effective_field, receptive_fields
from cnnlab.receptive import figures as pictures
from cnnlab.runs.record import RunRecord, recorded

BATCH = 8  # images at once
Fields = dict[str, ReceptiveField]


def look_at_fields(
    subject: Subject, folder: Path, *, layers: Sequence[str] | None = None, inputs: int = 64, seed: int = 0
) -> Fields:
    """Leave receptive_fields.json, receptive_fields.csv, summary.json and figures/ in `folder`; print the table.

    `layers` are drawn, and measured over `inputs` images (0: not); None: a few over the depth. `seed`: that of
    the images, for summary.json. Returns the field of every layer. UsageError for a layer that isn't there.
    """
    channels, height, width = subject.images_NCHW.shape[1:]
    fields = receptive_fields(subject.network, (channels, height, width))
    for name in layers or []:
        check_layer(fields, name)
    folder.mkdir(parents=True, exist_ok=True)
    record = RunRecord(folder, network=subject.name, input_shape=[channels, height, width], seed=seed)
    with recorded(record, folder):
        chosen = list(layers) if layers else pictures.spread(fields)
        measured = measure(subject, chosen, inputs)
        rows = [{"layer": name or "(the network)", **row_of(field)} for name, field in fields.items()]
        write_csv(rows, folder / "receptive_fields.csv")
        _write_json(subject, fields, measured, folder / "receptive_fields.json")
        save_figure(pictures.growth(fields, (height, width)), folder / "figures" / "growth.png")
        save_figure(pictures.boxes(subject.images_NCHW[0], fields, chosen), folder / "figures" / "boxes.png")
        if measured:
            save_figure(pictures.effective(measured), folder / "figures" / "effective.png")
        title = f"receptive fields of {subject.name}, input {channels} x {height} x {width}"
        print_runs(title, [_shown(row) for row in rows])
        record.finish("completed", layers=len(fields))
    return fields


def measure(subject: Subject, layers: Sequence[str], count: int) -> list[EffectiveField]:
    """The effective fields of the middle units, over the subject's images; [] where none were asked for."""
    measured: list[EffectiveField] = []
    if count < 1:
        return measured
    batches = subject.inputs()[:count].split(BATCH)
    for name in track(layers, description="effective fields", transient=True):
        try:
            measured.append(effective_field(subject.network, name, batches))
        except ValueError as error:
            print(f"no effective field: {error}")
    return measured


def row_of(field: ReceptiveField) -> dict[str, object]:
    """Plain numbers, h and w apart; fractions of a pixel as decimals, None where there is none."""
    row: dict[str, object] = {}
    for name in ("size", "stride", "padding", "centre"):
        row |= {f"{name}_{axis}": _plain(value) for axis, value in zip("hw", getattr(field, name), strict=True)}
    return {**row, "unbounded": field.unbounded or "", "notes": "; ".join(field.notes)}


def _plain(value: float | Fraction | None) -> float | None:
    return float(value) if isinstance(value, Fraction) else value


def _shown(row: Mapping[str, object]) -> dict[str, str]:
    """A line for the screen: h x w, one number where they agree."""
    shown = {"layer": str(row["layer"])}
    for name in ("size", "stride", "padding", "centre"):
        pair = [row[f"{name}_{axis}"] for axis in "hw"]
        words = ["-" if value is None else format(value, "g") for value in pair]
        shown[name] = words[0] if words[0] == words[1] else " x ".join(words)
    remarks = (row["unbounded"] and f"unbounded: {row['unbounded']}", row["notes"])
    return {**shown, "remarks": "; ".join(str(remark) for remark in remarks if remark)}


def _write_json(subject: Subject, fields: Fields, measured: Sequence[EffectiveField], path: Path) -> None:
    effective = {
        field.layer: {
            "unit": field.unit,
            "inputs": field.count,
            "centroid": field.centroid,
            "std": field.std,
            "radius": field.radius,
            "share": field.fraction,
        }
        for field in measured
    }
    content = {
        "network": subject.name,
        "trained": subject.trained,
        "input_shape": list(subject.images_NCHW.shape[1:]),
        "layers": {name: {**row_of(field), "grid": field.grid} for name, field in fields.items()},
        "effective": effective,
    }
    write_text(path, json.dumps(content, indent=2) + "\n")
