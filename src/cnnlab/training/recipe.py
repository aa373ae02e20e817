"""How a network is trained: a value to pass around, the same for a notebook, a program and a study."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers.logger import Logger
from torch import nn

from cnnlab._choices import UsageError
from cnnlab.data.contract import Data
from cnnlab.nn.rebuilding import NetworkRecord
from cnnlab.training.muon import Muon
from cnnlab.training.schedules import OneCycle
from cnnlab.training.tasks.boundaries import BoundaryTask
from cnnlab.training.tasks.classification import ClassificationTask
from cnnlab.training.tasks.network import MakeOptimizer, MakeSchedule, NetworkTask

SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)


@dataclass(frozen=True)
class Recipe:
    """How long, how fast and with what a network is trained.

    epochs: passes over the training images, at least 1; -1 together with trainer={"max_steps": N}.
    optimizer: called with parameter groups; None: SGD with momentum for classes, Muon for boundaries.
    schedule: called with the optimizer and the number of steps; learning rate of each step.
    task: what is descended and measured, called as `ClassificationTask`; None: what fits the data.
    seed: of the order of images and of augmentation in each epoch. One seed makes one result.
    early_stopping: stop after so many epochs without a better validation accuracy; None goes on to the end.
    test: score the test split with the best checkpoint at the end.
    figures, report: draw them into the folder at the end.
    compile: torch.compile the network. channels_last: memory layout of images, faster on most machines.
    trainer: further arguments of lightning.pytorch.Trainer, such as {"accelerator": "cpu", "precision": "bf16-mixed"}.
    loggers: written to beside metrics.csv. callbacks: Lightning's, called before those of the run folder.

    >>> Recipe(epochs=5, optimizer=partial(torch.optim.AdamW, lr=1e-3)).epochs
    5
    """

    epochs: int | None = 10
    optimizer: MakeOptimizer | None = None
    schedule: MakeSchedule = field(default_factory=OneCycle)
    task: Callable[..., NetworkTask] | None = None
    seed: int = 0
    early_stopping: int | None = None
    test: bool = True
    figures: bool = True
    report: bool = True
    compile: bool = False
    channels_last: bool = True
    trainer: Mapping[str, object] = field(default_factory=dict)
    loggers: Sequence[Logger] = ()
    callbacks: Sequence[Callback] = ()

    def task_for(self, network: nn.Module, data: Data, about: NetworkRecord) -> NetworkTask:
        """The network in training. Raises UsageError for a task that the data are not made for, and for values that the
        optimizer or the schedule refuses: both are tried once."""
        classifies = "class_names" in about
        task = self.task or (ClassificationTask if classifies else BoundaryTask)
        made = getattr(task, "func", task)
        if isinstance(made, type) and issubclass(made, ClassificationTask) != classifies:
            fitting = "classification_task" if classifies else "boundary_task"
            raise UsageError(f"task: {type(network).__name__} is trained by task={fitting}")
        optimizer = self.optimizer or (SGD if classifies else Muon)
        try_out(optimizer, self.schedule, network)
        facts: dict[str, Any] = {"class_names": list(data.class_names)} if classifies else {}
        record = {"network": about, "data": data.recipe()}
        return task(
            network=network, optimizer=optimizer, schedule=self.schedule, seed=self.seed, record=record, **facts
        )


def try_out(optimizer: MakeOptimizer, schedule: MakeSchedule, network: nn.Module) -> None:
    """Raises UsageError for values that either of them refuses."""
    try:
        tried = optimizer([{"params": list(network.parameters())}])
    except (ValueError, TypeError) as error:
        raise UsageError(f"optimizer: {error}") from error
    try:
        schedule(tried, 100)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise UsageError(f"schedule: {error}") from error
