"""A classifier in training. B batch, C channel, H height, W width, K class."""

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from cnnlab.training.scores import ClassificationScores


class DivergenceError(RuntimeError):
    """The loss is not a finite number any more."""


class ClassificationTask(LightningModule):
    """Cross entropy with label smoothing, measured once an epoch and every `log_every_n_steps` of the trainer.

    `network` maps (B, C, H, W) float to logits (B, K). Where it has them, `at_epoch(epoch)` is called before every
    epoch, and what `penalty()` returns is added to the loss.

    `optimizer` is called with parameter groups, `schedule` with the optimizer and the number of steps. Weight decay
    is left out for parameters of one axis (norms and biases).

    Losses and hits are summed on the device and read every few steps: `self.log` in each step would take longer than
    the step of a small network. Every epoch starts from the seed and its own number, so that a resumed run repeats
    what an uninterrupted one does.

    `about` (plain types and tensors only) goes into every checkpoint under "network", beside "state_dict", which
    holds the network's own names.
    """

    def __init__(
        self,
        network: nn.Module,
        class_names: list[str],
        optimizer: Callable[[list[dict[str, Any]]], Optimizer],
        schedule: Callable[[Optimizer, int], LRScheduler],
        seed: int,
        about: dict[str, Any],
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"task.label_smoothing is from 0 to below 1, not {label_smoothing}")
        self.network = network
        self.class_names = class_names
        self.seed = seed
        self.about = about
        self.label_smoothing = label_smoothing
        self._make_optimizer = optimizer
        self._make_schedule = schedule
        self.val_scores = ClassificationScores(len(class_names))
        self.test_scores = ClassificationScores(len(class_names))
        # loss sum, hits, images: of the last few steps, and of the epoch up to them
        self.register_buffer("_recent", torch.zeros(3), persistent=False)
        self.register_buffer("_epoch", torch.zeros(3), persistent=False)
        self.test_confusion: Tensor | None = None

    def forward(self, image_BCHW: Tensor) -> Tensor:
        return self.network(image_BCHW)

    def configure_optimizers(self) -> dict[str, Any]:
        parameters = list(self.network.parameters())
        decayed = [p for p in parameters if p.ndim > 1]
        groups = [
            {"params": decayed},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = self._make_optimizer([group for group in groups if group["params"]])
        schedule = self._make_schedule(optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    # Training

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(self.seed * 1_000_003 + self.current_epoch)
        if hasattr(self.network, "at_epoch"):
            self.network.at_epoch(self.current_epoch)
        self._recent.zero_()
        self._epoch.zero_()
        self._started = time.perf_counter()
        self._trained = 0.0

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        image_BCHW, label_B = batch
        logits_BK = self.network(image_BCHW)
        loss = F.cross_entropy(logits_BK, label_B, label_smoothing=self.label_smoothing)
        self._recent += self._tally(loss.detach(), logits_BK.detach(), label_B)
        return loss + self.network.penalty() if hasattr(self.network, "penalty") else loss

    def _tally(self, loss: Tensor, logits_BK: Tensor, label_B: Tensor) -> Tensor:
        hits = (logits_BK.argmax(dim=1) == label_B).sum()
        return torch.stack([loss.float() * len(label_B), hits.float(), hits.new_full((), len(label_B)).float()])

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_index: int) -> None:
        if (batch_index + 1) % self.trainer.log_every_n_steps == 0:
            loss, accuracy = self._read_recent()
            row = {"step/loss": loss, "step/accuracy": accuracy, "step/lr": self._learning_rate()}
            for logger in self.loggers:
                logger.log_metrics({**row, "epoch": self.current_epoch}, step=self.global_step)
        if self.trainer.is_last_batch:
            self._trained = time.perf_counter() - self._started

    def _read_recent(self) -> tuple[float, float]:
        """Mean loss and accuracy of the steps since the last reading. Raises DivergenceError."""
        loss, hits, images = self._recent.tolist()
        self._epoch += self._recent
        self._recent.zero_()
        if not torch.isfinite(torch.tensor(loss)):
            raise DivergenceError(
                f"the loss is no longer a finite number after step {self.global_step} (epoch {self.current_epoch}); "
                f"the learning rate was {self._learning_rate():.3g}: try a smaller optimizer.lr, or set "
                "trainer.gradient_clip_val=1. The last checkpoint is from before."
            )
        return loss / max(images, 1), hits / max(images, 1)

    def _learning_rate(self) -> float:
        return float(self.trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_epoch_end(self) -> None:
        self._read_recent()
        loss, hits, images = self.all_gather(self._epoch).reshape(-1, 3).sum(0).tolist()
        seconds = self._trained or time.perf_counter() - self._started
        row = {
            "train/loss": loss / max(images, 1),
            "train/accuracy": hits / max(images, 1),
            "images_per_second": images / seconds,
        }
        self.log_dict(row, rank_zero_only=True)

    # Validation and test

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        self.val_scores.add(self.network(batch[0]), batch[1])

    def on_validation_epoch_end(self) -> None:
        scores = self.val_scores.compute()
        scores.pop("confusion")
        self.log_dict({f"val/{name}": value for name, value in scores.items()}, prog_bar=True)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        self.test_scores.add(self.network(batch[0]), batch[1])

    def on_test_epoch_end(self) -> None:
        scores = self.test_scores.compute()
        self.test_confusion = scores.pop("confusion")
        self.log_dict({f"test/{name}": value for name, value in scores.items()})

    # Checkpoints: the network under its own names, and what it takes to build it again

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        prefix = "network."
        state = checkpoint["state_dict"]
        assert all(name.startswith(prefix) for name in state), "only the network has persistent state"
        checkpoint["state_dict"] = {name[len(prefix) :]: value for name, value in state.items()}
        checkpoint["network"] = self.about

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"] = {f"network.{name}": v for name, v in checkpoint["state_dict"].items()}
