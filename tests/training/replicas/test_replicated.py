"""Replicas trained together equal their separate runs, by the real data, task and Lightning's loop."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from cnnlab.data.images.module import ImageData
from cnnlab.nn.small_cnn import SmallCNN
from cnnlab.training.fit import fit
from cnnlab.training.muon import Muon
from cnnlab.training.replicas.replicated import QUIET, ReplicaResult, train_together
from cnnlab.training.schedules import Constant, Cosine, OneCycle
from cnnlab.training.tasks.classification import ClassificationTask

EPOCHS, STEPS = 5, 50
DEVICES = ["cpu", pytest.param("gpu", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"))]
SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
ADAMW = partial(torch.optim.AdamW, lr=0.005, betas=(0.9, 0.99), weight_decay=0.05)
ONE_CYCLE = OneCycle(warmup=0.25, start_divisor=10, end_divisor=1000, cycle_momentum=False)
# What a replica may differ in from the next: its mode, its bank, its data, its seed, its learning rate.
MODES = ({"mode": "trainable"}, {"mode": "frozen"}, {"mode": "unfrozen", "unfreeze_epoch": 2})


@pytest.fixture(autouse=True)
def all_digits_of_float32() -> Iterator[None]:
    """On a GPU convolutions of float32 round their factors to ten bits otherwise, everybody's."""
    before = torch.backends.cudnn.conv.fp32_precision
    torch.backends.cudnn.conv.fp32_precision = "ieee"
    yield
    torch.backends.cudnn.conv.fp32_precision = before


def digits(seed: int, **values: Any) -> ImageData:
    given = {"batch_size": 32, "eval_batch_size": 100, "train_size": 330, "shift": 1, "rotation": 10}
    data = ImageData("digits", seed=seed, **{**given, **values})
    data.setup()
    return data


def network(seed: int, expression: str = "sobel + laplacian", **values: Any) -> SmallCNN:
    torch.manual_seed(seed)
    given = {"in_channels": 1, "num_classes": 10, "widths": [8, 12], "image_size": (8, 8)}
    return SmallCNN(expression, **{**given, **values})


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
    return max(float((result.state_dict[name] - state[name].cpu()).abs().max()) for name in state)


# Without kinks no rounding is amplified: in float32 a ReLU that flips at 0 changes any two runs that add up in
# another order, also a separate run against itself in another memory layout.
SMOOTH = {"activation": "gelu", "pool": "avg", "rectify": "none"}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("optimizer", "schedule", "precision"),
    [
        (SGD, ONE_CYCLE, "32-true"),
        (SGD, ONE_CYCLE, "64-true"),
        (ADAMW, ONE_CYCLE, "32-true"),
        (ADAMW, Cosine(warmup=0.1, floor=0.1), "64-true"),
    ],
)
def test_after_50_steps_each_replica_is_its_separate_run(
    optimizer: Any, schedule: Any, precision: str, device: str
) -> None:
    """Batch norm with its running statistics, three modes of the first layer, seeds and learning rates of their own."""
    seeds, single = [0, 0, 1], precision == "32-true"
    models = [mode | (SMOOTH if single else {}) for mode in MODES]
    lr = [optimizer.keywords["lr"] * factor for factor in (1.0, 0.3, 0.5)]
    trainer = {"precision": precision, "accelerator": device}
    results = together(seeds, lr, models, optimizer, schedule, **trainer)
    for r, result in enumerate(results):
        state, logged = alone(seeds[r], lr[r], models[r], optimizer, schedule, **trainer)
        assert result.history[-1]["step"] == STEPS
        assert worst(result, state) < (1e-4 if single else 1e-10)
        for name in ("train/loss", "train/accuracy", "val/loss", "val/accuracy"):
            assert result.history[-1][name] == pytest.approx(float(logged[name]), abs=2e-5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("optimizer", "schedule", "model"),
    [
        (partial(Muon, lr=0.02, momentum=0.95, weight_decay=0.01, adamw_lr=0.005), ONE_CYCLE, {}),
        (partial(torch.optim.SGD, lr=0.1, momentum=0.9, dampening=0.5), Constant(), {"mode": "unfrozen"}),
        (partial(torch.optim.SGD, lr=0.1, weight_decay=0.1), Constant(), {"mode": "anchored", "anchor": 0.3}),
        (partial(torch.optim.Adam, lr=0.01), OneCycle(0.3, 10, 100, cycle_momentum=True), {"mode": "fixed_basis"}),
        (partial(SGD.func, lr=0.1, momentum=0.9), OneCycle(0.3, 10, 100, cycle_momentum=True), {"dropout": 0.4}),
    ],
    ids=["muon", "dampened", "anchored", "adam fixed basis cyclic", "dropout and cyclic momentum"],
)
def test_other_optimizers_penalties_and_dropout_equal_separate_runs_too(
    optimizer: Any, schedule: Any, model: dict, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device == "gpu" and "dropout" in model:
        pytest.skip("on a GPU dropout draws other numbers than a separate run does")
    monkeypatch.setattr(f"{__name__}.EPOCHS", 2)
    lr = [optimizer.keywords["lr"], optimizer.keywords["lr"] / 2]
    trainer = {"precision": "64-true", "accelerator": device}
    results = together([0, 1], lr, [model] * 2, optimizer, schedule, epochs=2, **trainer)
    for r, result in enumerate(results):
        state, _ = alone(r, lr[r], model, optimizer, schedule, **trainer)
        assert worst(result, state) < 1e-10


@pytest.mark.parametrize("device", DEVICES)
def test_frozen_kernels_stay_to_the_last_bit_and_unfrozen_ones_until_their_epoch(device: str) -> None:
    """Under momentum and a weight decay that would halve them, beside a replica whose kernels move."""
    optimizer = partial(torch.optim.SGD, momentum=0.9, weight_decay=0.5)
    models = [{"mode": "frozen"}, {"mode": "unfrozen", "unfreeze_epoch": 2}, {"mode": "trainable"}]
    results = together([0] * 3, [0.05] * 3, models, optimizer, Constant(), epochs=3, accelerator=device)
    frozen, unfrozen, trainable = (result.kernels for result in results)
    assert [list(kernels) for kernels in (frozen, unfrozen, trainable)] == [[0, 1, 2, 3]] * 3
    assert all(torch.equal(frozen[epoch], frozen[0]) for epoch in frozen)
    assert [torch.equal(unfrozen[epoch], unfrozen[0]) for epoch in unfrozen] == [True, True, True, False]
    assert [torch.equal(trainable[epoch], trainable[0]) for epoch in trainable] == [True, False, False, False]


def test_groups_give_what_one_group_gives_and_one_that_diverges_takes_none_along() -> None:
    lr, values = [0.05, 1e30, 0.02], {"curve_steps": (0, 7, 20), "label_smoothing": 0.1}
    seeds, models = [0, 1, 1], [{}, {}, {"mode": "frozen"}]
    whole = together(seeds, lr, models, SGD, Constant(), epochs=2, values=values, precision="64-true")
    parts = together(seeds, lr, models, SGD, Constant(), epochs=2, values={**values, "at_once": 2}, precision="64-true")
    assert [result.diverged for result in whole] == [None, 0, None]
    assert [result.replicas for result in whole] == [3, 3, 3]
    assert [result.replicas for result in parts] == [2, 2, 1]
    for one, other in ((whole[0], parts[0]), (whole[2], parts[2])):
        assert worst(one, other.state_dict) < 1e-10
        assert [row["step"] for row in one.curve] == [0, 7, 20]
        assert one.curve[-1]["val/loss"] == one.history[-1]["val/loss"] == pytest.approx(other.history[-1]["val/loss"])
        assert one.curve[0]["val/loss"] != one.curve[1]["val/loss"]


def test_evaluations_are_those_of_the_network_on_its_own_data() -> None:
    def upside_down(data: ImageData) -> Any:
        return [(image.flip(2), label) for image, label in data.test_dataloader()]

    evaluations = {"test": ImageData.test_dataloader, "upside down": upside_down}
    results = together([0, 1], [0.1, 0.1], [{}, {}], SGD, ONE_CYCLE, values={"evaluations": evaluations})
    for seed, result in enumerate(results):
        net = network(99)
        net.load_state_dict(result.state_dict)
        for name, loader in evaluations.items():
            images, labels = (torch.cat(parts) for parts in zip(*loader(digits(seed)), strict=True))
            logits = net.eval()(images).detach()
            loss = nn.functional.cross_entropy(logits, labels)
            assert result.scores[name]["accuracy"] == pytest.approx((logits.argmax(1) == labels).double().mean().item())
            assert result.scores[name]["loss"] == pytest.approx(loss.item(), rel=1e-4)
        assert result.scores["test"]["accuracy"] > 0.1 + result.scores["upside down"]["accuracy"]
        assert result.seconds > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_half_precision_on_a_gpu_learns_what_single_precision_does() -> None:
    """The batched products of half precision, the front end's among them, against everything in float32."""
    seeds, models = [0, 0, 1], list(MODES)
    results = {
        precision: together(seeds, [0.1] * 3, models, SGD, ONE_CYCLE, accelerator="gpu", precision=precision)
        for precision in ("bf16-mixed", "32-true")
    }
    for half, single in zip(*results.values(), strict=True):
        for row, other in zip(half.history, single.history, strict=True):
            assert row["train/loss"] == pytest.approx(other["train/loss"], rel=0.1, abs=0.05)


def test_lists_and_options_that_do_not_fit_are_refused() -> None:
    def call(networks: int = 2, trainer: dict | None = None, sizes: tuple = (330, 330), **values: Any) -> None:
        data = [digits(0, train_size=size) for size in sizes]
        train_together(
            [network(seed) for seed in range(networks)], data, epochs=1, optimizer=SGD, schedule=Constant(),
            trainer={"accelerator": "cpu", **(trainer or {})}, **{"seeds": [0, 1], **values},
        )  # fmt: skip

    for said, values in (
        ("got 3 networks, 2 data, 2 seeds", {"networks": 3}),
        ("got 0 networks", {"networks": 0}),
        ("1 lr", {"lr": [0.1]}),
        ("at_once=0", {"at_once": 0}),
        ("gradient_clip_val", {"trainer": {"gradient_clip_val": 1.0}}),
        ("equally many batches an epoch; got 10 and 5", {"sizes": (330, 170)}),
        ("batches of one shape", {"sizes": (20, 25)}),
    ):
        with pytest.raises(ValueError, match=said):
            call(**values)
