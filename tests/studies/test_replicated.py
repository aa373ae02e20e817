"""Replicas trained together equal their separate runs, by the real data, task and Lightning's loop."""

from functools import partial
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from cnnlab.data.module import ImageData
from cnnlab.filters import bank
from cnnlab.nn.small_cnn import SmallCNN
from cnnlab.studies.memory import replica_bytes, replicas_that_fit
from cnnlab.studies.replicated import QUIET, ReplicaResult, train_together
from cnnlab.studies.stacked import StackedNetwork
from cnnlab.training.fit import fit, quiet_advice
from cnnlab.training.muon import Muon
from cnnlab.training.schedules import Constant, Cosine, OneCycle
from cnnlab.training.task import ClassificationTask

EPOCHS, STEPS = 5, 50
SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
ADAMW = partial(torch.optim.AdamW, lr=0.005, betas=(0.9, 0.99), weight_decay=0.05)
ONE_CYCLE = OneCycle(warmup=0.25, start_divisor=10, end_divisor=1000, cycle_momentum=False)
# What a replica may differ in from the next: its mode, its bank, its data, its seed, its learning rate.
MODES = ({"mode": "trainable"}, {"mode": "frozen"}, {"mode": "released", "release_epoch": 2})


def digits(seed: int, **values: Any) -> ImageData:
    defaults: dict[str, Any] = {
        "name": "digits", "root": None, "seed": seed, "batch_size": 32, "eval_batch_size": 100, "validation": 0.1,
        "train_size": 330, "image_size": None, "in_memory": "auto", "workers": 0, "download": False,
        "on_broken": "error", "flip": False, "shift": 1, "rotation": 10, "cutout": 0,
    }  # fmt: skip
    data = ImageData(**{**defaults, **values})
    data.setup()
    return data


def network(seed: int, expression: str = "sobel + laplacian", **values: Any) -> SmallCNN:
    torch.manual_seed(seed)
    defaults: dict[str, Any] = {
        "mode": "trainable", "channels": "luminance", "start": "bank", "gain": "kaiming", "rectify": "full",
        "border": "reflect", "release_epoch": 1, "anchor": 0.01, "stem_stride": None, "stem_pool": 1,
        "stem_norm": True, "widths": [8, 12], "norm": "batch", "activation": "relu", "pool": "max", "dropout": 0.0,
        "image_size": (8, 8),
    }  # fmt: skip
    return SmallCNN(bank(expression), 1, 10, **{**defaults, **values})


def alone(seed: int, lr: float, model: dict[str, Any], optimizer: Any, schedule: Any, **trainer: Any) -> Any:
    """A separate run: its task after the fit, with what Lightning logged of the last epoch."""
    task = ClassificationTask(
        network(seed, **model), [str(k) for k in range(10)], partial(optimizer, lr=lr), schedule, seed, {}
    )
    lightning = pl.Trainer(max_epochs=EPOCHS, **{**QUIET, "accelerator": "cpu", **trainer})
    fit(task, digits(seed), lightning)
    return task.network.state_dict(), dict(lightning.callback_metrics)


def together(
    seeds: list[int], lr: list[float], models: list[dict], optimizer: Any, schedule: Any, epochs: int = EPOCHS,
    values: dict | None = None, **trainer: Any,
) -> list[ReplicaResult]:  # fmt: skip
    data = {seed: digits(seed) for seed in set(seeds)}
    return train_together(
        [network(seed, **model) for seed, model in zip(seeds, models, strict=True)], [data[seed] for seed in seeds],
        epochs=epochs, optimizer=optimizer, schedule=schedule, seeds=seeds, lr=lr,
        trainer={"accelerator": "cpu", **trainer}, **(values or {}),
    )  # fmt: skip


def worst(result: ReplicaResult, state: dict[str, torch.Tensor]) -> float:
    assert list(result.state_dict) == list(state)
    return max(float((result.state_dict[name] - state[name]).abs().max()) for name in state)


@pytest.mark.parametrize(
    ("optimizer", "schedule", "precision"),
    [
        (SGD, ONE_CYCLE, "32-true"),
        (SGD, ONE_CYCLE, "64-true"),
        (ADAMW, ONE_CYCLE, "32-true"),
        (ADAMW, Cosine(warmup=0.1, floor=0.1), "64-true"),
    ],
)
def test_after_50_steps_each_replica_is_its_separate_run(optimizer: Any, schedule: Any, precision: str) -> None:
    """Batch norm with its running statistics, three modes of the first layer, seeds and learning rates of their own."""
    seeds, models = [0, 0, 1], list(MODES)
    lr = [optimizer.keywords["lr"] * factor for factor in (1.0, 0.3, 0.5)]
    results = together(seeds, lr, models, optimizer, schedule, precision=precision)
    for r, result in enumerate(results):
        state, logged = alone(seeds[r], lr[r], models[r], optimizer, schedule, precision=precision)
        assert result.history[-1]["step"] == STEPS
        error = worst(result, state)
        print(f"{optimizer.func.__name__} {precision} {models[r]['mode']}: {error:.1e}")
        assert error < (1e-4 if precision == "32-true" else 1e-10)
        for name in ("train/loss", "train/accuracy", "val/loss", "val/accuracy"):
            assert result.history[-1][name] == pytest.approx(float(logged[name]), abs=2e-5)
