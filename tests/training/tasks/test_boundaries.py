"""Training on boundaries: the loss by hand, what has no gradient, resuming bit for bit."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor, nn

from cnnlab.data.boundaries.module import BoundaryData
from cnnlab.nn.contract import LabNetwork
from cnnlab.runs.metrics import MetricsCsv, read_metrics
from cnnlab.runs.snapshots import read_snapshots
from cnnlab.training.callbacks import KernelSnapshots, RunCheckpoints
from cnnlab.training.fit import fit
from cnnlab.training.schedules import OneCycle
from cnnlab.training.tasks.boundaries import BoundaryTask, boundary_loss, shrunk


class Probe(LabNetwork):
    """Two side outputs at half the size, with dropout: it draws random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout2d(0.2)
        self.head = nn.Conv2d(4, 2, 1)

    def side_logits(self, image_BCHW: Tensor) -> Tensor:
        return self.head(self.drop(self.norm(self.conv(image_BCHW)).relu()))

    def first_layer_kernels(self) -> Tensor:
        return self.conv.weight.detach()


@pytest.fixture(scope="module")
def root(berkeley: Callable[..., Path]) -> Path:
    return berkeley(train=5)


def photographs(root: Path, **values: Any) -> BoundaryData:
    defaults: dict[str, Any] = {
        "name": "bsds500", "root": str(root), "seed": 0, "batch_size": 2, "crop": 32, "passes": 2, "slack": 1,
        "held_out": 1, "scored": None, "scales": [0.8, 1.2], "flip": True, "turn": True, "light": 0.1,
    }  # fmt: skip
    return BoundaryData(**{**defaults, **values})


def task(**values: Any) -> BoundaryTask:
    torch.manual_seed(0)
    defaults: dict[str, Any] = {
        "network": Probe(), "optimizer": lambda groups: torch.optim.AdamW(groups, lr=0.01),
        "schedule": OneCycle(warmup=0.25, start_divisor=10, end_divisor=100, cycle_momentum=False),
        "seed": 0, "record": {"network": {"made": "by hand"}},
    }  # fmt: skip
    return BoundaryTask(**{**defaults, **values})


def trainer(folder: Path, epochs: int, keep_until: int | None = None) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs, accelerator="cpu", num_sanity_val_steps=0, log_every_n_steps=3, default_root_dir=folder,
        logger=MetricsCsv(folder / "metrics.csv", keep_until), enable_progress_bar=False, enable_model_summary=False,
        callbacks=[KernelSnapshots(folder / "kernels"), RunCheckpoints(folder / "checkpoints", None)],
    )  # fmt: skip


class StopAt(pl.Callback):
    """The power goes off after so many steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step == self.step:
            raise RuntimeError("power failure")


@pytest.mark.parametrize("step", [1, 4, 6, 11])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(root: Path, tmp_path: Path, step: int) -> None:
    whole = task()
    fit(whole, photographs(root), trainer(tmp_path / "whole", 3))
    stopped = trainer(tmp_path / "stopped", 3)
    stopped.callbacks.append(StopAt(step))
    with pytest.raises(RuntimeError, match="power failure"):
        fit(task(), photographs(root), stopped)
    torch.manual_seed(12345)  # nothing may hang on the state that the new process starts with
    last = tmp_path / "stopped" / "checkpoints" / "last.ckpt"
    done = torch.load(last, weights_only=True)["global_step"]
    resumed = task()
    fit(resumed, photographs(root), trainer(tmp_path / "stopped", 3, keep_until=done), checkpoint=last)
    for name, expected in whole.network.state_dict().items():
        assert torch.equal(expected, resumed.network.state_dict()[name]), name
    assert sorted(read_snapshots(tmp_path / "stopped" / "kernels")) == [0, 1, 2, 3]
    rows, again = (read_metrics(tmp_path / kind / "metrics.csv") for kind in ("whole", "stopped"))
    for row in rows + again:
        row.pop("images_per_second", None)
    assert rows == again
    assert all("val/loss" in row for row in rows if "train/loss" in row)


def test_the_checkpoint_is_that_of_the_last_epoch_whatever_the_loss_held_out_says(root: Path, tmp_path: Path) -> None:
    made = task()
    fit(made, photographs(root), trainer(tmp_path, 3))
    best, last = (torch.load(tmp_path / f"checkpoints/{name}.ckpt", weights_only=True) for name in ("best", "last"))
    assert best["epoch"] == last["epoch"] == 2
    assert best["network"] == {"made": "by hand"}
    for name, value in made.network.state_dict().items():
        assert torch.equal(best["state_dict"][name], value)


def test_the_loss_is_the_balanced_cross_entropy_of_every_annotator_by_hand() -> None:
    """Three annotators, two side outputs, one pixel after the other, each annotator's drawing taken alone."""
    drawings_A1HW = (torch.rand(3, 1, 4, 5, generator=torch.Generator().manual_seed(0)) < 0.3).float()
    logits_1SHW = torch.randn(1, 2, 4, 5, generator=torch.Generator().manual_seed(1))
    rare = float(drawings_A1HW.mean())
    for balance in (0.0, 0.5, 1.0):
        heavy, light = (1 - rare) ** balance, (1.1 * rare) ** balance
        total = weights = 0.0
        for drawing in drawings_A1HW:
            for at in range(20):
                drawn = float(drawing.flatten()[at])
                weights += heavy if drawn else light
                for side in range(2):
                    p = float(logits_1SHW[0, side].flatten()[at].sigmoid())
                    total -= heavy * math.log(p) if drawn else light * math.log(1 - p)
        found = boundary_loss(logits_1SHW, drawings_A1HW.mean(0, keepdim=True), balance)
        assert float(found) == pytest.approx(total / weights, rel=1e-5)


def test_without_balance_the_best_logit_says_the_share_of_the_annotators() -> None:
    share = torch.tensor([0.1, 0.2, 0.3]).reshape(1, 1, 1, 3)
    logits = torch.logit(share).requires_grad_()
    (slope,) = torch.autograd.grad(boundary_loss(logits, share, balance=0.0), logits)
    torch.testing.assert_close(slope, torch.zeros_like(slope))
    (up,) = torch.autograd.grad(boundary_loss(logits, share, balance=1.0), logits)
    assert (up < 0).all()  # balanced: rare boundaries are pushed up


@pytest.mark.parametrize("fill", [0.0, 1.0])
@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_windows_without_or_full_of_boundaries_have_a_finite_loss_and_slope(fill: float, balance: float) -> None:
    logits = torch.zeros(2, 3, 4, 4, requires_grad=True)
    loss = boundary_loss(logits, torch.full((2, 1, 8, 8), fill), balance)
    assert loss.isfinite()
    assert torch.autograd.grad(loss, logits)[0].isfinite().all()


@pytest.mark.parametrize("balance", [-0.1, 1.1])
def test_a_balance_out_of_range_is_refused(balance: float) -> None:
    with pytest.raises(ValueError, match=r"task\.balance"):
        task(balance=balance)


def test_smaller_side_outputs_are_compared_with_the_strongest_pixel_of_their_block() -> None:
    share = torch.zeros(1, 1, 5, 7)
    share[0, 0, 1, 2], share[0, 0, 4, 6] = 0.5, 1.0
    small = shrunk(share, (3, 4))
    assert small.shape == (1, 1, 3, 4)
    assert small.nonzero().tolist() == [[0, 0, 0, 1], [0, 0, 2, 3]]
    assert shrunk(share, (5, 7)) is share
