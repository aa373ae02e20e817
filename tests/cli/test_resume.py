"""Interrupted in any way, gone on: the same weights, bit for bit, and one row an epoch."""

import json
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from cnnlab.runs.metrics import read_metrics

SMALL = ("trainer.max_epochs=4", "trainer.accelerator=cpu", "data.rotation=10", "data.shift=1", "model.widths=[8]")
TIMES = ("images_per_second",)


def weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def epoch_rows(folder: Path) -> list[dict[str, str]]:
    rows = [row for row in read_metrics(folder / "metrics.csv") if "train/loss" in row]
    return [{name: cell for name, cell in row.items() if name not in TIMES} for row in rows]


def assert_same_run(one: Path, other: Path) -> None:
    for name in ("last", "best"):
        mine, yours = weights(one, name), weights(other, name)
        assert mine.keys() == yours.keys()
        assert all(torch.equal(mine[key], yours[key]) for key in mine), name
    last = torch.load(one / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] == int(epoch_rows(one)[-1]["step"]) + 1
    assert epoch_rows(one) == epoch_rows(other)
    assert len(epoch_rows(one)) == len({row["epoch"] for row in epoch_rows(one)})
    results = [json.loads((folder / "summary.json").read_text())["metrics"] for folder in (one, other)]
    mine, yours = ({name: value for name, value in result.items() if name not in TIMES} for result in results)
    assert mine == yours
    snapshots = [sorted(path.name for path in (folder / "kernels").iterdir()) for folder in (one, other)]
    assert snapshots[0] == snapshots[1]


def status(folder: Path) -> Any:
    return json.loads((folder / "summary.json").read_text())["status"]


RUN = Path("run")
MOMENTS = {
    "before training": lambda: (RUN / "config.yaml").exists(),
    "in the first epoch": lambda: (RUN / "checkpoints" / "last.ckpt").exists(),
    "in a later epoch": lambda: len(epoch_rows(RUN)) >= 2,
    "at the end": lambda: len(epoch_rows(RUN)) >= 4,
    "in the figures": lambda: (RUN / "figures").exists(),
}


@pytest.mark.cli
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_is_killed_resumes_to_the_same_weights(
    background: Callable, here: Callable, finished: Path, moment: str
) -> None:
    run = background(*SMALL, f"hydra.run.dir={RUN}").when(MOMENTS[moment])
    if "epoch" in moment:
        time.sleep(random.uniform(0, 0.15))
    assert run.send(signal.SIGKILL).status == -signal.SIGKILL
    assert status(RUN) == "running" if (RUN / "summary.json").exists() else moment == "before training"
    outcome = here(f"resume={RUN}")
    assert outcome.status == 0, outcome.err
    assert outcome.folder == RUN
    assert status(RUN) == "completed"
    assert_same_run(RUN, finished)


@pytest.mark.cli
def test_killed_again_and_again(background: Callable, here: Callable, finished: Path) -> None:
    run = background(*SMALL, f"hydra.run.dir={RUN}").when(lambda: len(epoch_rows(RUN)) >= 1)
    run.send(signal.SIGKILL)
    for rows in (2, 3):
        background(f"resume={RUN}").when(lambda: len(epoch_rows(RUN)) >= rows).send(signal.SIGKILL)  # noqa: B023
    assert here(f"resume={RUN}").status == 0
    assert_same_run(RUN, finished)
    assert json.loads((RUN / "summary.json").read_text())["resumed"] == 3


@pytest.mark.cli
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_run_says_so_and_resumes_to_the_same_weights(
    background: Callable, here: Callable, finished: Path, number: int, code: int
) -> None:
    run = background(*SMALL, f"hydra.run.dir={RUN}").when(lambda: len(epoch_rows(RUN)) >= 1)
    outcome = run.send(number)
    assert outcome.status == code
    assert status(RUN) == "interrupted"
    assert "Traceback" not in outcome.err
    assert f"resume={RUN}" in outcome.out
    last = torch.load(RUN / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["global_step"] >= 20 * (len(epoch_rows(RUN)) - 1)  # of the newest epoch, or of the one before
    assert all(value.isfinite().all() for value in last["state_dict"].values())
    assert here(f"resume={RUN}").status == 0
    assert_same_run(RUN, finished)


@pytest.mark.cli
def test_an_interruption_before_training_says_so(background: Callable, here: Callable, finished: Path) -> None:
    run = background(*SMALL, f"hydra.run.dir={RUN}").when(lambda: (RUN / "config.yaml").exists())
    assert run.send(signal.SIGTERM).status == 143
    assert status(RUN) == "interrupted"
    assert here(f"resume={RUN}").status == 0
    assert_same_run(RUN, finished)


@pytest.mark.cli
@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_that_streams_from_disk_resumes_to_the_same_weights(
    background: Callable, here: Callable, workers: int
) -> None:
    noise = random.Random(0)
    for split, count in (("train", 60), ("test", 6)):
        for name in ("cat", "dog"):
            for number in range(count):
                path = Path(f"root/{split}/{name}/{number}.png")
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.frombytes("L", (8, 8), noise.randbytes(64)).save(path)
    folder = ("data=image_folder", "data.root=root", "data.in_memory=false", f"data.workers={workers}")
    small = (*SMALL[:2], *folder, "data.batch_size=16", "model.widths=[8]")
    assert here(*small, "hydra.run.dir=whole").status == 0
    background(*small, f"hydra.run.dir={RUN}").when(lambda: len(epoch_rows(RUN)) >= 2).send(signal.SIGKILL)
    assert here(f"resume={RUN}").status == 0
    assert_same_run(RUN, Path("whole"))


def test_a_completed_run_says_that_nothing_is_left(here: Callable, finished: Path) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    outcome = here(f"resume={finished}")
    assert outcome.status == 0
    assert "completed" in outcome.out
    assert outcome.folder == finished
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before


@pytest.mark.cli
def test_a_run_that_is_still_running_is_left_alone(background: Callable, here: Callable) -> None:
    run = background(*SMALL, "trainer.max_epochs=200", f"hydra.run.dir={RUN}").when(lambda: epoch_rows(RUN))
    outcome = here(f"resume={RUN}")
    assert outcome.status == 2
    assert "still running" in outcome.err
    assert run.process.is_alive()
    assert status(RUN) == "running"


def test_half_a_checkpoint_is_told_of(here: Callable, finished: Path) -> None:
    RUN.mkdir()
    (RUN / "config.yaml").write_bytes((finished / "config.yaml").read_bytes())
    (RUN / "checkpoints").mkdir()
    whole = (finished / "checkpoints" / "last.ckpt").read_bytes()
    (RUN / "checkpoints" / "last.ckpt").write_bytes(whole[: len(whole) // 2])
    outcome = here(f"resume={RUN}")
    assert outcome.status == 2
    assert "last.ckpt is cut off or damaged" in outcome.err
