"""Lightning's Trainer for a run folder: what is written where, what is shown, what is refused before the first step."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, RichProgressBar
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from rich.console import Console

from cnnlab._choices import UsageError
from cnnlab.runs.checkpoints import CHECKPOINTS
from cnnlab.runs.metrics import EpochLines, MetricsCsv
from cnnlab.runs.snapshots import KERNELS
from cnnlab.training.callbacks import KernelSnapshots, RunCheckpoints
from cnnlab.training.checkpoint_io import WholeFiles
from cnnlab.training.recipe import Recipe

AT_LEAST_ONE = ("log_every_n_steps", "accumulate_grad_batches", "check_val_every_n_epoch")
# The data split the batches themselves, a summary is in the record, and nothing is validated before the first step.
DEFAULTS = {"devices": 1, "num_sanity_val_steps": 0, "use_distributed_sampler": False, "enable_model_summary": False}


def make_trainer(recipe: Recipe, folder: Path, validated: bool, resumed_step: int | None) -> Trainer:
    """A Trainer that leaves its checkpoints, snapshots and metrics in `folder`.

    Raises UsageError for values that it, or this machine, refuses.
    """
    arguments = {**DEFAULTS, **recipe.trainer, "max_epochs": recipe.epochs}
    check_trainer(arguments, recipe.compile)
    console = Console()
    screen = console.is_terminal and not console.is_dumb_terminal
    loggers: list[Logger] = [MetricsCsv(folder / "metrics.csv", resumed_step)]
    callbacks: list[Callback] = [*recipe.callbacks, KernelSnapshots(folder / KERNELS)]
    if screen:
        callbacks.append(RichProgressBar(refresh_rate=10, leave=False))
    else:
        loggers.append(EpochLines(recipe.epochs))
    if recipe.early_stopping is not None and validated:
        callbacks.append(EarlyStopping("val/accuracy", mode="max", patience=recipe.early_stopping))
    if not arguments.get("fast_dev_run"):
        callbacks.append(RunCheckpoints(folder / CHECKPOINTS, "val/accuracy" if validated else None))
    return lightning_trainer(
        arguments,
        callbacks=callbacks,
        logger=[*loggers, *recipe.loggers],
        plugins=[WholeFiles()],
        default_root_dir=str(folder),
        enable_progress_bar=screen,
    )


def lightning_trainer(arguments: Mapping[str, object], **objects: object) -> Trainer:
    """Raises UsageError for arguments that are set here, and in Lightning's words for those that it doesn't take."""
    for name in arguments:
        if name in objects:
            raise UsageError(f"trainer.{name} is set by cnnlab, and not an option")
    try:
        return Trainer(**{**arguments, **objects})  # type: ignore[arg-type]  # Lightning checks them
    except (TypeError, ValueError, MisconfigurationException) as error:
        raise UsageError(f"trainer: {error}") from error


def check_trainer(arguments: Mapping[str, object], compiled: bool = False) -> None:
    """Raises UsageError for what Lightning would stumble over, or would say in words of its own."""
    for name in AT_LEAST_ONE:
        value = arguments.get(name)
        if isinstance(value, int) and value < 1:
            raise UsageError(f"trainer.{name}={value}: at least 1")
    epochs, steps = arguments.get("max_epochs"), arguments.get("max_steps", -1)
    if epochs == 0 or (epochs in (None, -1) and steps in (None, -1)):
        raise UsageError(
            f"trainer.max_epochs={epochs}: at least 1, or -1 together with trainer.max_steps: a schedule has an end"
        )
    gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    accelerator = arguments.get("accelerator")
    if accelerator in ("gpu", "cuda", "mps") and not gpu:
        raise UsageError(f"trainer.accelerator={accelerator}: torch finds no GPU here; take trainer=auto or cpu")
    compilers = (os.environ.get("CXX", "g++"), "g++", "clang++")
    if compiled and not gpu and not any(map(shutil.which, compilers)):
        raise UsageError(f"compile=true needs a C++ compiler, and none of {', '.join(compilers)} is here")
