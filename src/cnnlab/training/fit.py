"""Fit and test: the two calls that take long."""

import logging
import warnings
from pathlib import Path

import torch
from lightning.pytorch import LightningDataModule, Trainer

from cnnlab._choices import UsageError
from cnnlab.data.contract import Data
from cnnlab.training.tasks.classification import ClassificationTask
from cnnlab.training.tasks.network import NetworkTask

# What Lightning advises about its own DataLoaders and defaults does not concern tensors in memory.
ADVICE = [
    "does not have many workers",
    "Total length of `WholeLoader` across ranks is zero",
    "Consider setting `persistent_workers",
    "The number of training batches",
    "GPU available but not used",
    "Found .* module.* in eval mode",
    "`isinstance.treespec, LeafSpec.` is deprecated",
    "You are trying to `self.log..` but the logger",
    "Checkpoint directory .* exists and is not empty",
    "You're resuming from a checkpoint that ended before the epoch ended",
    "It is recommended to use `self.log",
    "torch.distributed.nn.functional.all_gather is deprecated",
    "Be aware that when using `ckpt_path`, callbacks used to create the checkpoint",
    "Detected call of `lr_scheduler.step..` before `optimizer.step..`",
]


def quiet_advice() -> None:
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in ADVICE:
        warnings.filterwarnings("ignore", message=f".*{message}")


def fit(
    task: NetworkTask,
    data: Data,
    trainer: Trainer,
    checkpoint: Path | None = None,
    compile_network: bool = False,
    channels_last: bool = False,
) -> None:
    """Train to the end, from `checkpoint` where there is one. Raises DivergenceError, KeyboardInterrupt."""
    quiet_advice()
    if channels_last:
        task.network.to(memory_format=torch.channels_last)
    if compile_network:
        task.network.compile()
    trainer.fit(task, datamodule=_module(data), ckpt_path=checkpoint, weights_only=True)


def score(task: ClassificationTask, data: Data, trainer: Trainer, checkpoint: Path) -> dict[str, float]:
    """Scores on the test split with the weights of `checkpoint`: `test/accuracy`, `test/loss`, `test/calibration`."""
    quiet_advice()
    (scores,) = trainer.test(task, datamodule=_module(data), ckpt_path=checkpoint, weights_only=True, verbose=False)
    return dict(scores)


def _module(data: object) -> LightningDataModule:
    if not isinstance(data, LightningDataModule):
        raise UsageError(f"data: {type(data).__name__} is not a LightningDataModule, as ImageData and BoundaryData are")
    return data
