"""What the report shows of one run, gathered from its folder and its data."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from cnnlab.cli.assemble import build_data
from cnnlab.cli.check import check
from cnnlab.cli.programs.evaluate import network_for
from cnnlab.nn.rebuilding import rebuild
from cnnlab.report.page import RunPage
from cnnlab.report.sections.boundaries import chosen_windows, drawings
from cnnlab.report.sections.fields import fields
from cnnlab.report.sections.kernels import kernel_names, kernels
from cnnlab.report.sections.predictions import answers, chosen_images
from cnnlab.runs.folder import find_checkpoint, load_weights, read_checkpoint, read_config
from cnnlab.runs.metrics import read_metrics
from cnnlab.runs.record import read_summary
from cnnlab.training.callbacks import read_snapshots

NO_CHECKPOINT = "There is no checkpoint yet: a run writes its first when an epoch has ended."


def gather(folder: Path, checkpoint: str, largest: int) -> RunPage:
    """Everything that is there; the rest is named in `missing`. Pictures take at most `largest` characters.

    Raises ValueError if the folder is no run of a training, or its checkpoint something else.
    """
    config, summary = read_config(folder), read_summary(folder)
    check(config, "cnnlab.cli.programs.train")
    missing: dict[str, str] = {}
    saved = _saved(folder, checkpoint)
    network = None
    if saved is not None:
        network = rebuild(saved["network"]).eval()
        load_weights(network, saved["state_dict"], folder)
    curves = _or_sentence(missing, "curves", lambda: _curves(folder)) or {}
    if not curves:
        missing.setdefault("curves", "There is no metrics.csv with an epoch in it yet.")
    shown = _kernels(folder, network, saved, largest // 2, missing)
    data = _data(config, saved, missing)
    told = seen = drawn = None
    if hasattr(data, "benchmark"):
        drawn = _or_sentence(missing, "answers", lambda: drawings(network, data))
        seen = _or_sentence(missing, "fields", lambda: fields(network, chosen_windows(data), largest // 2))
    elif data is not None:
        told = answers(network, data, "test/accuracy" in (summary.get("metrics") or {}))
        split = told["split"] if told else "validation"
        seen = _or_sentence(missing, "fields", lambda: fields(network, chosen_images(data, split), largest // 2))
        if told is None:
            missing["answers"] = (
                "The run has neither validation nor test images, so there is nothing to be wrong about."
            )
    name = folder.resolve().name
    return RunPage(name, _short(folder), summary, curves, told, shown, seen, missing, drawn)


def _saved(folder: Path, name: str) -> dict[str, Any] | None:
    """The checkpoint, its best or else its last one; None where there is none at all."""
    for wanted in dict.fromkeys((name, "last")) if name == "best" else (name,):
        if name != "best" or (folder / "checkpoints" / f"{wanted}.ckpt").is_file():
            return read_checkpoint(find_checkpoint(folder, wanted))
    return None


def _curves(folder: Path) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """quantity -> split -> (epoch counted from 1, value)."""
    rows = read_metrics(folder / "metrics.csv")
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for quantity in ("loss", "accuracy"):
        for split, name in (("train", "training"), ("val", "validation")):
            column = f"{split}/{quantity}"
            points = [(int(row["epoch"]) + 1, float(row[column])) for row in rows if column in row]
            if points:
                curves.setdefault(quantity, {})[name] = points
    return curves


def _kernels(folder: Path, network: Any, saved: Any, largest: int, missing: dict[str, str]) -> dict[str, Any] | None:
    try:
        snapshots = read_snapshots(folder / "kernels")
    except Exception as error:
        missing["kernels"] = f"The snapshots in kernels/ can't be read: {_first_line(error)}"
        return None
    if not snapshots:
        missing["kernels"] = "There are no snapshots: the folder kernels/ is missing or empty."
        return None
    count = len(next(iter(snapshots.values())))
    names = kernel_names(network, saved, count) if network is not None else None
    return _or_sentence(missing, "kernels", lambda: kernels(snapshots, names, largest))


def _data(config: DictConfig, saved: Any, missing: dict[str, str]) -> Any:
    """The data of the run, normalised as in training; None where there are none, or no network to ask about them."""
    if saved is None:
        missing["answers"] = missing["fields"] = NO_CHECKPOINT
        return None
    about = saved["network"]
    try:
        data = build_data(config.data)
        network_for(data, about)
    except (ValueError, OSError) as error:
        reason = f"The images of this run can't be read any more, and this part needs them: {_first_line(error)}"
        missing["answers"] = missing["fields"] = reason
        return None
    data.normalise_like(about["mean"], about["std"])
    data.to_device("cuda" if torch.cuda.is_available() else "cpu")
    return data


def _or_sentence(missing: dict[str, str], part: str, make: Callable[[], Any]) -> Any:
    """What `make` makes; None, and the reason in `missing`, if the run does not allow it."""
    try:
        return make()
    except ValueError as error:
        missing[part] = f"This part can't be shown: {_first_line(error)}"
        return None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _short(folder: Path) -> str:
    return os.path.relpath(folder) if folder.absolute().is_relative_to(Path.cwd()) else str(folder)
