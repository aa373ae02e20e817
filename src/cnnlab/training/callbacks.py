"""Around the steps: checkpoints, snapshots of the first layer. K kernels, C channels, h height, w width."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from cnnlab.runs.snapshots import write_snapshot
from cnnlab.training.tasks.network import NetworkTask


def is_trial(trainer: Trainer) -> bool:
    """Whether only a batch of everything runs (`fast_dev_run`), which leaves nothing. Lightning sets it unseen."""
    return bool(vars(trainer).get("fast_dev_run"))


class RunCheckpoints(ModelCheckpoint):
    """`best.ckpt` by validation accuracy (the newest epoch where nothing is validated) and `last.ckpt`.

    Saved when an epoch has ended, so that a resumed run starts with a whole epoch; the first `last.ckpt` is there
    before the first step, so that there is always something to resume from. Lightning's own `save_last` writes only
    when there is a new best. `checkpoint_io` keeps the files whole.
    """

    def __init__(self, folder: Path, monitor: str | None) -> None:
        super().__init__(
            dirpath=folder,
            filename="best",
            monitor=monitor,
            mode="max",
            save_last=False,
            save_on_train_epoch_end=True,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )

    def state_dict(self) -> dict[str, Any]:
        """The best score alone: where the run lies is no part of it, and it may be moved."""
        return {"best_model_score": self.best_model_score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the score and no path from a checkpoint: Lightning deletes what it holds for an older best file."""
        score = state_dict.get("best_model_score")
        best = Path(str(self.dirpath)) / "best.ckpt"
        if isinstance(score, torch.Tensor) and best.is_file():
            self.best_model_score = self.kth_value = score
            self.best_model_path = self.kth_best_model_path = str(best)
            self.best_k_models = {str(best): score}

    def check_monitor_top_k(self, trainer: Trainer, current: torch.Tensor | None = None) -> bool:
        """Of equally good epochs the later one is kept: its learning rate was lower."""
        if current is not None and self.best_model_score is not None:
            return bool(current >= self.best_model_score)
        return super().check_monitor_top_k(trainer, current)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        # One process decides for all: saving waits for every process, and the first has soon made the file.
        if not trainer.strategy.broadcast(self._last.exists()):
            self._save_last(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.monitor is None or self.monitor in trainer.callback_metrics:  # an epoch cut short isn't validated
            super().on_train_epoch_end(trainer, pl_module)
        self._save_last(trainer)

    @property
    def _last(self) -> Path:
        return Path(str(self.dirpath)) / "last.ckpt"

    def _save_last(self, trainer: Trainer) -> None:
        if not is_trial(trainer):
            trainer.save_checkpoint(self._last)


class KernelSnapshots(Callback):
    """The first layer's kernels at initialisation and after every epoch: `epoch_0000.pt`, each (K, C, h, w) float32.

    Networks that tell none leave no snapshots.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 0:
            self._save(trainer, pl_module, 0)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer, pl_module, trainer.current_epoch + 1)

    def _save(self, trainer: Trainer, pl_module: LightningModule, epoch: int) -> None:
        assert isinstance(pl_module, NetworkTask)
        if trainer.is_global_zero and not is_trial(trainer):
            kernels = pl_module.hooks.first_layer_kernels()
            if kernels is not None:
                write_snapshot(self.folder, epoch, kernels)
