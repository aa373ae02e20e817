"""R replicas trained together through Lightning, each measured on its own.

R replica, B batch, C channel, H, W image, K class or kernel, h, w kernel.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer
from lightning.pytorch.utilities.types import OptimizerConfig
from torch import Tensor, nn
from torch.optim import Optimizer

from cnnlab._choices import UsageError
from cnnlab.data.contract import Batches, ClassData
from cnnlab.training.fit import quiet_advice
from cnnlab.training.replicas.memory import replicas_that_fit
from cnnlab.training.replicas.optimisers import ReplicaOptimizer
from cnnlab.training.replicas.replica_data import ReplicaLoader, streams
from cnnlab.training.replicas.stacked import StackedNetwork
from cnnlab.training.tasks.network import MakeSchedule, NetworkTask
from cnnlab.training.trainer import lightning_trainer

Own = TypeVar("Own", bound=ClassData)
QUIET: dict[str, object] = {
    "accelerator": "auto", "devices": 1, "logger": False, "enable_checkpointing": False, "num_sanity_val_steps": 0,
    "enable_progress_bar": False, "enable_model_summary": False, "use_distributed_sampler": False,
}  # fmt: skip
# Images of all replicas in one forward of an evaluation: activations that stay in the cache of a CPU.
EVALUATED_AT_ONCE = {"cpu": 2048, "cuda": 8192}


@dataclass
class ReplicaResult:
    """What is left of one replica. The replicas of one call come in the order of its networks.

    history: a row an epoch: `epoch` (from 0), `step` (taken so far), `train/loss`, `train/accuracy` (means while
        training), `val/loss`, `val/accuracy` (after the epoch), as in metrics.csv.
    curve: a row for each of `curve_steps`: `step`, `val/loss`, `val/accuracy` after so many steps.
    scores: name of an evaluation -> {"loss", "accuracy"} of the last weights.
    kernels: epochs trained -> the first layer (K, C, h, w) float32; 0 is the start. {} for networks that don't tell.
    diverged: the first epoch in which the loss was no finite number, or None. The others go on.
    seconds: this replica's share of the time of its group, of `replicas` replicas.
    """

    state_dict: dict[str, Tensor]
    history: list[dict[str, float]] = field(default_factory=list)
    curve: list[dict[str, float]] = field(default_factory=list)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    kernels: dict[int, Tensor] = field(default_factory=dict)
    diverged: int | None = None
    seconds: float = 0.0
    replicas: int = 1


class ReplicatedTask(NetworkTask):
    """`ClassificationTask` for the replicas of a StackedNetwork. The losses are added up: no gradient crosses."""

    network: StackedNetwork
    _sums_2R: Tensor

    def __init__(
        self, network: StackedNetwork, optimizer: Callable[..., Optimizer], schedule: MakeSchedule,
        seeds: Sequence[int], lr: Sequence[float] | None, label_smoothing: float, curve_steps: Iterable[int],
        validation: ReplicaLoader, evaluations: Mapping[str, ReplicaLoader], validate_every: int = 1,
    ) -> None:  # fmt: skip
        super().__init__(network, optimizer, schedule, seeds[0], {})
        self.seeds, self.lr, self.label_smoothing = list(seeds), lr, label_smoothing
        self.curve_steps = frozenset(curve_steps)
        self.validation, self.evaluations, self.validate_every = validation, evaluations, validate_every
        self.results = [ReplicaResult({}, replicas=network.replicas) for _ in seeds]
        self.register_buffer("_sums_2R", torch.zeros(2, network.replicas), persistent=False)

    def configure_optimizers(self) -> OptimizerConfig:
        steps = int(self.trainer.estimated_stepping_batches)
        return {"optimizer": ReplicaOptimizer(self.network, self._make_optimizer, self._make_schedule, self.lr, steps)}

    def on_train_start(self) -> None:
        self._images = 0
        self._note_kernels(0)
        self._note_curve()

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        # as NetworkTask does for one seed
        self.network.seed_dropout([seed * 1_000_003 + self.current_epoch for seed in self.seeds])
        self._sums_2R.zero_()
        self._images = 0

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        loss_R, hits_R = losses_and_hits(self.network(batch[0]), batch[1], self.label_smoothing)
        images = batch[1].shape[1]
        self._sums_2R += torch.stack([loss_R.detach() * images, hits_R])
        self._images += images
        return loss_R.sum() + self.network.penalty()

    def on_train_batch_end(self, outputs: object, batch: object, batch_index: int) -> None:
        self._note_curve()

    def on_train_epoch_end(self) -> None:
        trained = {"train/loss": self._sums_2R[0] / self._images, "train/accuracy": self._sums_2R[1] / self._images}
        tested = {}
        if (self.current_epoch + 1) % self.validate_every == 0 or self.current_epoch + 1 == self.trainer.max_epochs:
            tested = {f"val/{name}": value for name, value in self._measured(self.validation).items()}
        columns = {name: value.tolist() for name, value in (trained | tested).items()}
        for r, result in enumerate(self.results):
            row = {"epoch": self.current_epoch, "step": self.global_step}
            result.history.append(row | {name: column[r] for name, column in columns.items()})
            if result.diverged is None and not abs(columns["train/loss"][r]) < float("inf"):
                result.diverged = self.current_epoch
        self._note_kernels(self.current_epoch + 1)

    def on_train_end(self) -> None:
        for name, loader in self.evaluations.items():
            columns = {key: value.tolist() for key, value in self._measured(loader).items()}
            for r, result in enumerate(self.results):
                result.scores[name] = {key: column[r] for key, column in columns.items()}
        for result, state in zip(self.results, self.network.unstack(), strict=True):
            result.state_dict = state

    def _note_curve(self) -> None:
        if self.global_step not in self.curve_steps:
            return
        columns = {name: value.tolist() for name, value in self._measured(self.validation).items()}
        for r, result in enumerate(self.results):
            result.curve.append({"step": self.global_step} | {f"val/{k}": c[r] for k, c in columns.items()})

    def _note_kernels(self, epoch: int) -> None:
        kernels_RKChw = self.network.first_layer_kernels()
        if kernels_RKChw is not None:
            for result, kernels in zip(self.results, kernels_RKChw.float().cpu(), strict=True):
                result.kernels[epoch] = kernels.contiguous().clone()

    @torch.no_grad()
    def _measured(self, loader: ReplicaLoader) -> dict[str, Tensor]:
        """Means over all images: `loss` and `accuracy`, (R,) each."""
        replicas, images = self.network.replicas, 0
        sums_2R = torch.zeros(2, replicas, dtype=torch.float64, device=self.device)
        size = max(1, EVALUATED_AT_ONCE.get(self.device.type, 2048) // replicas)
        self.network.eval()
        with self.trainer.precision_plugin.forward_context():
            for image_RBCHW, label_RB in loader:
                dtype = next(self.network.parameters()).dtype
                for image, label in zip(image_RBCHW.split(size, 1), label_RB.split(size, 1), strict=True):
                    loss_R, hits_R = losses_and_hits(self.network(image.to(dtype)), label)
                    sums_2R += torch.stack([loss_R * label.shape[1], hits_R])
                    images += label.shape[1]
        self.network.train()
        return {"loss": sums_2R[0] / images, "accuracy": sums_2R[1] / images}


def losses_and_hits(logits_RBK: Tensor, label_RB: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """(R,) the mean cross entropy of each replica, with its gradient, and (R,) how many predictions are right."""
    logits_NK, label_N = logits_RBK.flatten(0, 1), label_RB.flatten()
    loss_N = F.cross_entropy(logits_NK, label_N, reduction="none", label_smoothing=smoothing)
    loss_RB = loss_N.unflatten(0, label_RB.shape)
    return loss_RB.mean(1), (logits_RBK.detach().argmax(-1) == label_RB).sum(1).to(loss_RB.dtype)


def train_together(
    networks: Sequence[nn.Module], data: Sequence[Own], *,
    epochs: int, optimizer: Callable[..., Optimizer], schedule: MakeSchedule, seeds: Sequence[int],
    lr: Sequence[float] | None = None, label_smoothing: float = 0.0, curve_steps: Iterable[int] = (),
    evaluations: Mapping[str, Callable[[Own], Batches]] | None = None,
    at_once: int | None = None, trainer: Mapping[str, object] | None = None, validate_every: int = 1,
) -> list[ReplicaResult]:  # fmt: skip
    """Trains every network as `fit(ClassificationTask(...), data[r], trainer)` would, many in one computation.

    data: for each replica a data module that was set up; replicas given the same object share its batches.
    optimizer, schedule: as a task takes them. `lr`, one for each replica, is handed on as `optimizer(groups, lr=)`.
    seeds: of the tasks; they seed the draws of dropout.
    evaluations: name -> from a data module to a loader; they are scored once, after the last step.
    validate_every: epochs between validations; the last epoch always has one.
    at_once: replicas in one group; None takes as many as fit into memory (`replicas_that_fit`). A group that is
        stopped leaves nothing and is to be repeated: groups are short.
    trainer: arguments of Lightning's Trainer, such as accelerator or precision.
    Raises UsageError for lists of different lengths, what cannot be stacked, gradient clipping, several devices.
    """
    lists: dict[str, Sequence[object]] = {"networks": networks, "data": data, "seeds": seeds}
    lists |= {} if lr is None else {"lr": lr}
    if len({len(values) for values in lists.values()}) > 1 or not networks:
        given = ", ".join(f"{len(values)} {name}" for name, values in lists.items())
        raise UsageError(f"one of each for every replica, and at least one; got {given}")
    quiet_advice()
    if at_once is None:
        at_once = _that_fit(networks[0], data[0], {**QUIET, **(trainer or {})})
    if at_once < 1:
        raise UsageError(f"at_once={at_once}: at least 1 replica")
    results: list[ReplicaResult] = []
    groups = -(-len(networks) // at_once)
    for part in torch.arange(len(networks)).tensor_split(groups):
        chosen = slice(int(part[0]), int(part[-1]) + 1)
        results += _train_group(
            networks[chosen], data[chosen], lightning_trainer({**QUIET, **(trainer or {}), "max_epochs": epochs}),
            evaluations or {},
            partial(
                ReplicatedTask, optimizer=optimizer, schedule=schedule, seeds=seeds[chosen],
                lr=None if lr is None else lr[chosen], label_smoothing=label_smoothing, curve_steps=curve_steps,
                validate_every=validate_every,
            ),
        )  # fmt: skip
    return results


def _train_group(
    networks: Sequence[nn.Module], data: Sequence[Own], trainer: Trainer,
    evaluations: Mapping[str, Callable[[Own], Batches]], make_task: Callable[..., ReplicatedTask],
) -> list[ReplicaResult]:  # fmt: skip
    start = time.perf_counter()
    if trainer.gradient_clip_val or trainer.world_size > 1:
        raise UsageError("replicas train together on one device and without gradient_clip_val, which would mix them")
    distinct, stream_R = streams(data)
    for one in distinct:
        one.to_device(trainer.strategy.root_device)
    network = StackedNetwork(networks)
    shape = (len(networks), 2, data[0].in_channels, *data[0].image_size)
    dtype = next(network.parameters()).dtype
    network.check(networks, torch.rand(shape, dtype=dtype, generator=torch.Generator().manual_seed(0)))
    task = make_task(
        network=network, validation=ReplicaLoader([one.val_dataloader() for one in distinct], stream_R),
        evaluations={
            name: ReplicaLoader([loader(one) for one in distinct], stream_R) for name, loader in evaluations.items()
        },
    )  # fmt: skip
    trainer.fit(task, ReplicaLoader([one.train_dataloader() for one in distinct], stream_R))
    for result in task.results:
        result.seconds = (time.perf_counter() - start) / len(networks)
    return task.results


def _that_fit(network: nn.Module, data: ClassData, options: Mapping[str, object]) -> int:
    image, _ = next(iter(data.train_dataloader()))
    return replicas_that_fit(network, image.shape, lightning_trainer(options).strategy.root_device)
