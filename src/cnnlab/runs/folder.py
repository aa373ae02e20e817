"""Run folders that are there already: found, checked, read, and held by one process at a time."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from cnnlab._choices import UsageError, nearest
from cnnlab._files import write_text
from cnnlab.runs.record import RunRecord, read_summary

CONFIG = "config.yaml"
NEEDED = {"target", "arguments", "bank", "mean", "std"}  # of a checkpoint's "network"


def is_first_process() -> bool:
    """False in the second and further processes of one distributed run, which write no files."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def save_config(config: DictConfig, folder: Path) -> None:
    """The configuration as asked, every interpolation resolved."""
    write_text(folder / CONFIG, OmegaConf.to_yaml(config, resolve=True))


def find_run(given: Any) -> Path:
    """The folder of a run. Raises ValueError, naming runs that are near, if it is none."""
    folder = Path(str(given)).expanduser()
    if (folder / CONFIG).is_file():
        return folder
    if not folder.exists():
        parent = folder.parent
        runs = sorted(path.parent.name for path in parent.glob(f"*/{CONFIG}")) if parent.is_dir() else []
        there = f"; runs in {parent}: {', '.join(runs[-5:])}" if runs else ""
        raise UsageError(f"there is no folder {folder}{nearest(folder.name, runs)}{there}")
    inside = sorted(str(path.parent) for path in folder.glob(f"*/{CONFIG}"))
    there = f"; it holds runs, such as {inside[-1]}" if inside else ""
    if not inside:
        usual = sorted(Path("outputs/train").glob(f"*/{CONFIG}"))
        there = f"; there are {', '.join(str(path.parent) for path in usual[-3:])}" if usual else ""
    raise UsageError(f"{folder} is not the folder of a run: it has no {CONFIG}{there}")


def read_config(folder: Path) -> DictConfig:
    """The configuration of a run. Raises ValueError if it is no configuration of a run any more."""
    try:
        config = OmegaConf.load(folder / CONFIG)
    except Exception as error:
        raise UsageError(f"{folder / CONFIG} can't be read: {' '.join(str(error).split())}") from error
    lacking = sorted({"model", "data", "seed"} - set(config if isinstance(config, DictConfig) else ()))
    if lacking:
        raise UsageError(f"{folder / CONFIG} is no configuration of a training: it lacks {', '.join(lacking)}")
    return config


def find_checkpoint(folder: Path, name: str) -> Path:
    """`best`, `last`, or a path. Raises ValueError with those that are there."""
    for path in (folder / "checkpoints" / f"{name}.ckpt", Path(name)):
        if path.is_file():
            return path
    there = sorted(path.stem for path in (folder / "checkpoints").glob("*.ckpt") if path.is_file())
    raise UsageError(f"there is no checkpoint {name!r} in {folder}; there are: {', '.join(there) or 'none'}")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of cnnlab, plain types only. Raises ValueError if the file is something else."""
    import torch

    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].partition(". ")[0]
        raise UsageError(f"{path} is no readable checkpoint: {reason}") from error
    if not isinstance(checkpoint, dict) or not {"network", "state_dict"} <= set(checkpoint):
        raise UsageError(f"{path} is no checkpoint of cnnlab: it has no 'network' and 'state_dict'")
    if not isinstance(checkpoint["network"], dict) or not set(checkpoint["network"]) >= NEEDED:
        raise UsageError(f"{path} is no checkpoint of cnnlab: its 'network' lacks some of {', '.join(sorted(NEEDED))}")
    return checkpoint


def load_weights(network: Any, weights: dict[str, Any], folder: Path) -> None:
    """Put the weights of a checkpoint in `folder` into `network`. Raises ValueError if they don't fit."""
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UsageError(f"the checkpoint in {folder} does not fit the network that it names: {reason}") from error


@contextmanager
def recorded(record: Any, folder: Path) -> Iterator[None]:
    """The record says how it ended, whatever happens inside. What happens goes on its way.

    Lightning ends an interrupted run with SystemExit; it leaves here as the KeyboardInterrupt that it was.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as end:
        interrupt = end.__context__ if isinstance(end.__context__, KeyboardInterrupt) else end
        record.finish("interrupted")
        raise interrupt from None
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(folder)  # a failed write to an open file doesn't say where
        with suppress(OSError):  # on a full disk the record can't be kept either
            record.finish("failed", error=f"{type(error).__name__}: {error}")
        raise


def record_killed(folder: Path, status: str, error: str) -> None:
    """Correct the summary of a job whose process is gone without having said how it ended."""
    content = read_summary(folder)
    if not content:
        return record_end(folder, status, error)
    write_text(folder / "summary.json", json.dumps(content | {"status": status, "error": error}, indent=2) + "\n")


def record_end(folder: Path, status: str, error: str) -> None:
    """The summary of a job that ended before it kept a record itself."""
    if is_first_process() and not read_summary(folder):
        with suppress(OSError):
            RunRecord(folder).finish(status, error=error)
