"""The task in Lightning's loop, on a small part of the digits."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnlab.data.images.module import ImageData
from cnnlab.nn.contract import LabNetwork
from cnnlab.runs.metrics import MetricsCsv, read_metrics
from cnnlab.runs.snapshots import read_snapshots
from cnnlab.training.callbacks import KernelSnapshots, RunCheckpoints
from cnnlab.training.fit import fit, score
from cnnlab.training.schedules import Constant, OneCycle
from cnnlab.training.tasks.classification import ClassificationTask, DivergenceError


class Probe(LabNetwork):
    """A small network with dropout (it draws random numbers) that notes the epochs it is told of."""

    def __init__(self, pull: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(4 * 36, 10)
        self.pull = pull
        self.told: list[int] = []

    def forward(self, image_BCHW: Tensor) -> Tensor:
        return self.head(self.drop(self.norm(self.conv(image_BCHW)).relu().flatten(1)))

    def at_epoch(self, epoch: int) -> None:
        self.told.append(epoch)

    def penalty(self) -> Tensor:
        return self.pull * self.conv.weight.square().sum()

    def first_layer_kernels(self) -> Tensor:
        return self.conv.weight.detach()


def digits(**values: Any) -> ImageData:
    given = {"batch_size": 32, "eval_batch_size": 256, "validation": 0.2, "train_size": 128, "shift": 1, "rotation": 5}
    return ImageData("digits", **{**given, **values})


def sgd(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=0.05, momentum=0.9, weight_decay=1e-3)


def task(network: nn.Module | None = None, **values: Any) -> ClassificationTask:
    torch.manual_seed(0)
    schedule = OneCycle(warmup=0.25, start_divisor=10, end_divisor=100, cycle_momentum=False)
    defaults: dict[str, Any] = {
        "network": network or Probe(), "class_names": list("0123456789"), "optimizer": sgd,
        "schedule": schedule, "seed": 0, "record": {"network": {"made": "by hand"}},
    }  # fmt: skip
    return ClassificationTask(**{**defaults, **values})


def trainer(folder: Path, epochs: int, keep_until: int | None = None, **values: Any) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs, accelerator="cpu", num_sanity_val_steps=0, log_every_n_steps=3, default_root_dir=folder,
        logger=MetricsCsv(folder / "metrics.csv", keep_until), enable_progress_bar=False, enable_model_summary=False,
        callbacks=[KernelSnapshots(folder / "kernels"), RunCheckpoints(folder / "checkpoints", "val/accuracy")],
        **values,
    )  # fmt: skip


class StopAt(pl.Callback):
    """The power goes off after so many steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step == self.step:
            raise RuntimeError("power failure")


@pytest.mark.parametrize("step", [1, 4, 6, 11])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, step: int) -> None:
    whole = task()
    fit(whole, digits(), trainer(tmp_path / "whole", 3))
    stopped = trainer(tmp_path / "stopped", 3)
    stopped.callbacks.append(StopAt(step))
    with pytest.raises(RuntimeError, match="power failure"):
        fit(task(), digits(), stopped)
    torch.manual_seed(12345)  # nothing may hang on the state that the new process starts with
    last = tmp_path / "stopped" / "checkpoints" / "last.ckpt"
    done = torch.load(last, weights_only=True)["global_step"]
    resumed = task(Probe())
    fit(resumed, digits(), trainer(tmp_path / "stopped", 3, keep_until=done), checkpoint=last)
    for name, expected in whole.network.state_dict().items():
        assert torch.equal(expected, resumed.network.state_dict()[name]), name
    for kind in ("whole", "stopped"):
        assert sorted(read_snapshots(tmp_path / kind / "kernels")) == [0, 1, 2, 3]
    rows, again = (read_metrics(tmp_path / kind / "metrics.csv") for kind in ("whole", "stopped"))
    for row in rows + again:
        row.pop("images_per_second", None)
    assert rows == again
    assert resumed.network.told == list(range(done // 4, 3))


def test_one_seed_makes_one_result_and_two_seeds_two(tmp_path: Path) -> None:
    weights = []
    for number, seed in enumerate([0, 0, 1]):
        made = task(seed=seed)
        fit(made, digits(seed=seed), trainer(tmp_path / str(number), 1))
        weights.append(made.network.head.weight.detach())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_checkpoint_is_plain_and_holds_the_network_under_its_own_names(tmp_path: Path) -> None:
    made = task()
    fit(made, digits(), trainer(tmp_path, 2))
    for name in ("best", "last"):
        checkpoint = torch.load(tmp_path / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert checkpoint["network"] == {"made": "by hand"}
        Probe().load_state_dict(checkpoint["state_dict"], strict=True)
    assert torch.equal(checkpoint["state_dict"]["head.weight"], made.network.head.weight)


def test_the_test_uses_the_checkpoint_and_not_the_weights_at_hand(tmp_path: Path) -> None:
    made, data = task(), digits()
    run = trainer(tmp_path, 2)
    fit(made, data, run)
    best = tmp_path / "checkpoints" / "best.ckpt"
    expected = score(made, data, run, best)
    with torch.no_grad():
        made.network.head.weight.zero_()
    found = score(made, data, run, best)
    assert found == expected
    assert expected["test/accuracy"] == pytest.approx(float(made.test_confusion.trace()) / 359)


def test_norms_and_biases_do_not_decay(tmp_path: Path) -> None:
    seen = []

    def optimizer(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        seen.append(torch.optim.SGD(groups, lr=0.0, weight_decay=0.5))
        return seen[-1]

    network = Probe()
    fit(task(network, optimizer=optimizer), digits(), trainer(tmp_path, 1))
    decay = {p: group["weight_decay"] for group in seen[0].param_groups for p in group["params"]}
    assert decay == {p: 0.5 if p.ndim > 1 else 0.0 for p in network.parameters()}


def test_a_penalty_pulls(tmp_path: Path) -> None:
    """Plain gradient descent on the penalty alone: each step leaves 1 - 2 lr pull of the weight."""

    class Flat(Probe):
        def forward(self, image_BCHW: Tensor) -> Tensor:
            return self.head(torch.zeros(len(image_BCHW), 4 * 36))

    network = Flat(pull=0.5)
    before = network.conv.weight.detach().clone()
    fit(
        task(network, optimizer=lambda groups: torch.optim.SGD(groups, lr=0.1), schedule=Constant()),
        digits(), trainer(tmp_path, 1),
    )  # fmt: skip
    torch.testing.assert_close(network.conv.weight.detach(), before * 0.9**4)


def test_label_smoothing_and_means_are_those_of_torch(tmp_path: Path) -> None:
    network, data = Probe().eval(), digits(shift=0, rotation=0)
    frozen = task(network, optimizer=lambda groups: torch.optim.SGD(groups, lr=0.0), label_smoothing=0.2)
    network.train = lambda mode=True: network  # no dropout, no batch statistics: a fixed function
    fit(frozen, data, trainer(tmp_path, 1))
    images, labels = (torch.cat(parts) for parts in zip(*data.train_dataloader(), strict=True))
    logits = network(images)
    row = read_metrics(tmp_path / "metrics.csv")[-1]
    loss = F.cross_entropy(logits, labels, label_smoothing=0.2)
    assert float(row["train/loss"]) == pytest.approx(loss.item(), rel=1e-5)
    assert float(row["train/accuracy"]) == pytest.approx((logits.argmax(1) == labels).float().mean().item())


def test_a_diverging_run_stops_with_words_and_keeps_a_finite_checkpoint(tmp_path: Path) -> None:
    def optimizer(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.SGD(groups, lr=1e30)

    with pytest.raises(DivergenceError, match=r"no longer a finite number after step \d+.*optimizer\.lr"):
        fit(task(optimizer=optimizer, schedule=Constant()), digits(), trainer(tmp_path, 2))
    checkpoint = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert all(value.isfinite().all() for value in checkpoint["state_dict"].values())


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_label_smoothing_out_of_range_is_refused(smoothing: float) -> None:
    with pytest.raises(ValueError, match=r"task\.label_smoothing"):
        task(label_smoothing=smoothing)
