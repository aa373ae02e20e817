"""What the report needs of one run, from its folder and its data."""

import os
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from cnnlab.cli.assemble import build_data
from cnnlab.cli.check import check
from cnnlab.cli.programs.evaluate import network_for
from cnnlab.nn.rebuilding import rebuild
from cnnlab.report.reported import ReportedRun
from cnnlab.runs.folder import find_checkpoint, load_weights, read_checkpoint, read_config
from cnnlab.runs.metrics import read_metrics
from cnnlab.runs.record import read_summary
from cnnlab.training.callbacks import read_snapshots


def reported(folder: Path, checkpoint: str) -> ReportedRun:
    """Everything that is there; the rest is named in `missing`.

    Raises ValueError if the folder is no run of a training, or its checkpoint something else.
    """
    config = read_config(folder)
    check(config, "cnnlab.cli.programs.train")
    missing: dict[str, str] = {}
    saved = _saved(folder, checkpoint)
    network = about = data = None
    if saved is None:
        missing["network"] = "There is no checkpoint yet: a run writes its first when an epoch has ended."
    else:
        about = saved["network"]
        network = rebuild(about).eval()
        load_weights(network, saved["state_dict"], folder)
        data = _data(config, about, missing)
    return ReportedRun(
        name=folder.resolve().name,
        folder=os.path.relpath(folder) if folder.absolute().is_relative_to(Path.cwd()) else str(folder),
        summary=read_summary(folder),
        rows=read_metrics(folder / "metrics.csv"),
        snapshots=_snapshots(folder, missing),
        network=network,
        about=about,
        data=data,
        missing=missing,
    )


def _saved(folder: Path, name: str) -> dict[str, Any] | None:
    """The checkpoint, its best or else its last one; None where there is none at all."""
    for wanted in dict.fromkeys((name, "last")) if name == "best" else (name,):
        if name != "best" or (folder / "checkpoints" / f"{wanted}.ckpt").is_file():
            return read_checkpoint(find_checkpoint(folder, wanted))
    return None


def _snapshots(folder: Path, missing: dict[str, str]) -> dict[int, torch.Tensor]:
    try:
        snapshots = read_snapshots(folder / "kernels")
    except Exception as error:
        missing["snapshots"] = f"The snapshots in kernels/ can't be read: {_first_line(error)}"
        return {}
    if not snapshots:
        missing["snapshots"] = "There are no snapshots: the folder kernels/ is missing or empty."
    return snapshots


def _data(config: DictConfig, about: dict[str, Any], missing: dict[str, str]) -> Any:
    """The data of the run, normalised as in training; None where they are gone."""
    try:
        data = build_data(config.data)
        network_for(data, about)
    except (ValueError, OSError) as error:
        missing["data"] = (
            f"The images of this run can't be read any more, and this part needs them: {_first_line(error)}"
        )
        return None
    data.normalise_like(about["mean"], about["std"])
    data.to_device("cuda" if torch.cuda.is_available() else "cpu")
    return data


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
