"""A network in training, whatever it is trained to do. B batch, C channel, H height, W width."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerConfig, OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from cnnlab.nn.contract import Hooks, hooks_of

ParameterGroup = dict[str, Any]  # as torch.optim has them
MakeOptimizer = Callable[[list[ParameterGroup]], Optimizer]
MakeSchedule = Callable[[Optimizer, int], LRScheduler]  # of the optimizer and the number of steps


class DivergenceError(RuntimeError):
    """The loss is not a finite number any more."""


class NetworkTask(LightningModule):
    """What every task shares: the optimizer, the measuring of the training, the checkpoints.

    A task says in MEASURED what it measures beside the loss, and in `measure` how a batch is answered for.

    `network` maps (B, C, H, W) float to logits; see `nn.contract` for its hooks around the steps.

    `optimizer` is called with parameter groups, `schedule` with the optimizer and the number of steps. Weight decay
    is left out for parameters of one axis (norms and biases).

    Losses and hits are summed on the device and read every `log_every_n_steps` of the trainer: `self.log` in each
    step would take longer than the step of a small network. Every epoch starts from the seed and its own number, so
    that a resumed run repeats what an uninterrupted one does.

    `record` (plain types and tensors only: "network", "data") goes into every checkpoint, beside "state_dict", which
    holds the network's own names.
    """

    hooks: Hooks
    _recent: Tensor
    _epoch: Tensor
    MEASURED: tuple[str, ...] = ("loss",)  # the means that are logged, the loss first

    def __init__(
        self,
        network: nn.Module,
        optimizer: MakeOptimizer,
        schedule: MakeSchedule,
        seed: int,
        record: Mapping[str, object],
    ) -> None:
        super().__init__()
        self.network = network
        self.__dict__["hooks"] = hooks_of(network)  # past torch, which would take the network for a second child
        self.seed = seed
        self.record = record
        self._make_optimizer = optimizer
        self._make_schedule = schedule
        # the sum over images of each quantity, then the images: of the last few steps, and of the epoch up to them
        self.register_buffer("_recent", torch.zeros(len(self.MEASURED) + 1), persistent=False)
        self.register_buffer("_epoch", torch.zeros(len(self.MEASURED) + 1), persistent=False)

    def measure(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The loss to descend, and of the others in MEASURED the sum over the images of the batch."""
        raise AssertionError("each task has its own loss")

    def forward(self, image_BCHW: Tensor) -> Tensor:
        return self.network(image_BCHW)

    def configure_optimizers(self) -> OptimizerConfig | OptimizerLRSchedulerConfig:
        parameters = list(self.network.parameters())
        decayed = [p for p in parameters if p.ndim > 1]
        groups: list[ParameterGroup] = [
            {"params": decayed},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = self._make_optimizer([group for group in groups if group["params"]])
        schedule = self._make_schedule(optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(self.seed * 1_000_003 + self.current_epoch)
        self.hooks.at_epoch(self.current_epoch)
        self._recent.zero_()
        self._epoch.zero_()
        self._started = time.perf_counter()
        self._trained = 0.0

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        loss, others = self.measure(batch)
        images = len(batch[0])
        sums = [loss.detach().float() * images, *(other.float() for other in others)]
        self._recent += torch.stack([*sums, sums[0].new_full((), images)])
        penalty = self.hooks.penalty()
        return loss if penalty is None else loss + penalty

    def on_train_batch_end(self, outputs: object, batch: object, batch_index: int) -> None:
        if (batch_index + 1) % vars(self.trainer)["log_every_n_steps"] == 0:  # set unseen
            row = {f"step/{name}": value for name, value in self._read_recent().items()}
            row |= {"step/lr": self._learning_rate(), "epoch": self.current_epoch}
            for logger in self.loggers:
                logger.log_metrics(row, step=self.global_step)
        if self.trainer.is_last_batch:
            self._trained = time.perf_counter() - self._started

    def _read_recent(self) -> dict[str, float]:
        """The means over the steps since the last reading. Raises DivergenceError."""
        *sums, images = self._recent.tolist()
        self._epoch += self._recent
        self._recent.zero_()
        if not torch.isfinite(torch.tensor(sums[0])):
            raise DivergenceError(
                f"the loss is no longer a finite number after step {self.global_step} (epoch {self.current_epoch}); "
                f"the learning rate was {self._learning_rate():.3g}: try a smaller optimizer.lr, or set "
                "trainer.gradient_clip_val=1. The last checkpoint is from before."
            )
        return self._means(sums, images)

    def _means(self, sums: list[float], images: float) -> dict[str, float]:
        return {name: value / max(images, 1) for name, value in zip(self.MEASURED, sums, strict=True)}

    def _learning_rate(self) -> float:
        return float(self.trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_epoch_end(self) -> None:
        self._read_recent()
        gathered = self.all_gather(self._epoch)
        assert isinstance(gathered, Tensor)
        *sums, images = gathered.reshape(-1, len(self._epoch)).sum(0).tolist()
        seconds = self._trained or time.perf_counter() - self._started
        row = {f"train/{name}": value for name, value in self._means(sums, images).items()}
        self.log_dict(row | {"images_per_second": images / seconds}, rank_zero_only=True)

    # Checkpoints: the network under its own names, and what it takes to build it again

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        prefix = "network."
        state = checkpoint["state_dict"]
        assert all(name.startswith(prefix) for name in state), "only the network has persistent state"
        checkpoint["state_dict"] = {name[len(prefix) :]: value for name, value in state.items()}
        checkpoint.update(self.record)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["state_dict"] = {f"network.{name}": v for name, v in checkpoint["state_dict"].items()}
