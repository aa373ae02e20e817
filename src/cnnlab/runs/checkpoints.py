"""The checkpoints of a run: found, read, and checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict, cast

from torch import Tensor, nn
from typing_extensions import NotRequired

from cnnlab._choices import UsageError
from cnnlab._torch_files import read_torch_file
from cnnlab.nn.rebuilding import NetworkRecord

CHECKPOINTS = "checkpoints"
NEEDED = {"target", "arguments", "bank", "mean", "std"}  # of a checkpoint's "network"


class Checkpoint(TypedDict):
    """What cnnlab reads of one; Lightning's own entries stand beside these."""

    network: NetworkRecord
    data: NotRequired[Mapping[str, object] | None]  # `Data.recipe()`; runs before 0.2 have none
    state_dict: dict[str, Tensor]
    epoch: int
    global_step: int


def find_checkpoint(folder: Path, name: str) -> Path:
    """`best`, `last`, or a path. Raises UsageError with those that are there."""
    for path in (folder / CHECKPOINTS / f"{name}.ckpt", Path(name)):
        if path.is_file():
            return path
    there = sorted(path.stem for path in (folder / CHECKPOINTS).glob("*.ckpt") if path.is_file())
    raise UsageError(f"there is no checkpoint {name!r} in {folder}; there are: {', '.join(there) or 'none'}")


def open_checkpoint(folder: Path, name: str) -> Checkpoint:
    """`find_checkpoint`, read."""
    path = find_checkpoint(folder, name)
    return read_checkpoint(path)


def best_or_last(folder: Path) -> Path | None:
    """A run that stops within its first epoch has validated nothing, so that nothing is best."""
    files = (folder / CHECKPOINTS / f"{name}.ckpt" for name in ("best", "last"))
    return next((path for path in files if path.is_file()), None)


def read_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint of cnnlab, plain types only. Raises UsageError if the file is something else, or damaged."""
    checkpoint = read_torch_file(path)
    if not isinstance(checkpoint, dict) or not {"network", "state_dict"} <= set(checkpoint):
        raise UsageError(f"{path} is no checkpoint of cnnlab: it has no 'network' and 'state_dict'")
    if not isinstance(checkpoint["network"], dict) or not set(checkpoint["network"]) >= NEEDED:
        raise UsageError(f"{path} is no checkpoint of cnnlab: its 'network' lacks some of {', '.join(sorted(NEEDED))}")
    return cast(Checkpoint, checkpoint)


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], folder: Path) -> None:
    """Put the weights of a checkpoint in `folder` into `network`. Raises UsageError if they don't fit."""
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UsageError(f"the checkpoint in {folder} does not fit the network that it names: {reason}") from error
