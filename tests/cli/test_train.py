"""What a run leaves behind and what it prints."""

import json
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import torch
from PIL import Image

from cnnlab.runs.metrics import read_metrics

QUICK = ("trainer.max_epochs=1", "trainer.accelerator=cpu", "model.widths=[8]")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def state(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def test_a_run_leaves_the_documented_files_and_no_others(finished: Path) -> None:
    assert files(finished) == {
        ".lock", "config.yaml", "summary.json", "metrics.csv", "checkpoints/best.ckpt", "checkpoints/last.ckpt",
        "report.html", "figures/kernels.png", "figures/curves.png",
        *(f"kernels/epoch_{epoch:04}.pt" for epoch in range(5)),
        *(f".hydra/{name}.yaml" for name in ("config", "hydra", "overrides")),
    }  # fmt: skip
    for name in ("kernels", "curves"):
        with Image.open(finished / "figures" / f"{name}.png") as picture:
            assert min(picture.size) > 100


def test_the_summary_is_complete(finished: Path) -> None:
    content = summary(finished)
    assert content["status"] == "completed"
    assert content["seed"] == 0
    assert content["epochs"] == 4
    assert content["steps"] == 80
    assert 0 < content["seconds"] < 600
    assert datetime.fromisoformat(content["started"]).tzinfo is not None
    assert "max_epochs=4" in content["command"]
    assert content["device"].startswith("cpu")
    assert {"python", "torch", "lightning", "cnnlab"} <= set(content["versions"])
    assert content["data"]["images"] == {"train": 1294, "validation": 144, "test": 359}
    assert content["model"]["target"] == "cnnlab.nn.small_cnn.SmallCNN"
    assert 0 < content["trainable_parameters"] <= content["parameters"]
    assert content["images_per_second"] == content["metrics"]["images_per_second"] > 0
    for name in ("train/loss", "train/accuracy", "val/accuracy", "val/loss", "test/accuracy", "test/calibration"):
        assert content["metrics"][name] >= 0
    assert content["metrics"]["test/accuracy"] <= 1


def test_the_metrics_have_one_row_an_epoch_and_one_for_the_test(finished: Path) -> None:
    rows = read_metrics(finished / "metrics.csv")
    assert [row["epoch"] for row in rows if "train/loss" in row] == ["0", "1", "2", "3"]
    assert [row["step"] for row in rows if "train/loss" in row] == ["19", "39", "59", "79"]
    assert all("val/accuracy" in row for row in rows if "train/loss" in row)
    assert sum("test/accuracy" in row for row in rows) == 1


def test_the_best_checkpoint_is_that_of_the_best_epoch(finished: Path) -> None:
    rows = [row for row in read_metrics(finished / "metrics.csv") if "train/loss" in row]
    best = max(rows, key=lambda row: (float(row["val/accuracy"]), int(row["epoch"])))
    checkpoint = torch.load(finished / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint["epoch"] == int(best["epoch"])
    assert torch.load(finished / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 3


def test_a_checkpoint_loads_in_plain_torch(finished: Path) -> None:
    from cnnlab.nn import rebuild

    checkpoint = torch.load(finished / "checkpoints" / "best.ckpt", weights_only=True)
    network = rebuild(checkpoint["network"])
    network.load_state_dict(checkpoint["state_dict"])
    assert network.eval()(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_the_snapshots_go_from_the_start_to_the_last_weights(finished: Path) -> None:
    first, last = (
        torch.load(finished / "kernels" / f"epoch_{epoch}.pt", weights_only=True) for epoch in ("0000", "0004")
    )
    torch.testing.assert_close(last, state(finished)["front_end.weight"].reshape(last.shape))
    assert not torch.equal(first, last)


def test_a_run_prints_its_results_and_its_folder_last(here: Callable) -> None:
    outcome = here(*QUICK, "seed=3")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.folder.is_dir()
    assert outcome.folder.parent == Path("outputs/train")
    assert outcome.folder.name.endswith("_edge_init_digits_seed3")
    assert "test accuracy" in outcome.out
    assert "epoch 1/1" in outcome.out
    assert f"{summary(outcome.folder)['metrics']['test/accuracy']:.4f}" in outcome.out


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(here: Callable) -> None:
    folders = [here(*QUICK, f"seed={seed}").folder for seed in (0, 0, 1)]
    one, same, other = (state(folder) for folder in folders)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_a_sweep_ends_with_a_table_and_one_folder_a_job(here: Callable) -> None:
    outcome = here("-m", *QUICK, "model=edge_fixed,edge_init", "seed=0,1")
    assert (outcome.status, outcome.err) == (0, "")
    jobs = sorted(path.name for path in outcome.folder.iterdir() if path.is_dir())
    models = ("edge_fixed", "edge_fixed", "edge_init", "edge_init")
    assert jobs == [f"{number}_{model}_digits_seed{number % 2}" for number, model in enumerate(models)]
    for job in jobs:
        (line,) = (line for line in outcome.out.splitlines() if job in line and "completed" in line)
        assert f"{summary(outcome.folder / job)['metrics']['test/accuracy']:.4f}" in line
        assert {"metrics.csv", "checkpoints/best.ckpt", "figures/curves.png"} <= files(outcome.folder / job)
    assert len(list(Path("outputs").rglob("summary.json"))) == 4


def test_a_job_that_fails_does_not_stop_the_others_of_a_sweep(here: Callable) -> None:
    outcome = here("-m", *QUICK, 'model.bank="sobel(size=99)",scharr,"gaussian(size=99)"')
    assert outcome.status == 1
    assert "job 0 failed: sobel: size=99" in outcome.err
    assert "job 2 failed: model.bank: kernels of 99x99 are larger than the images of 8x8" in outcome.err
    assert "Traceback" not in outcome.err
    lines = [line for line in outcome.out.splitlines() if "_edge_init_digits_seed0" in line and "figures" not in line]
    assert ["failed" in line for line in lines[-3:]] == [True, False, True]
    assert "completed" in lines[-2]


def test_a_sweep_whose_jobs_are_all_refused_lists_them(here: Callable) -> None:
    outcome = here("-m", "seed=-1,-2")
    assert outcome.status == 1
    assert [summary(path)["status"] for path in sorted(outcome.folder.glob("*_seed*"))] == ["failed", "failed"]
    assert outcome.out.count("failed") == 2


def test_a_run_whose_loss_explodes_stops_with_words_and_keeps_a_finite_checkpoint(here: Callable) -> None:
    outcome = here("trainer.max_epochs=3", "optimizer.lr=1e30")
    assert outcome.status == 1
    assert outcome.err.startswith("cnnlab: the loss is no longer a finite number")
    assert "optimizer.lr" in outcome.err
    assert outcome.err.count("\n") == 1
    assert summary(outcome.folder)["status"] == "failed"
    assert "finite" in summary(outcome.folder)["error"]
    assert all(value.isfinite().all() for value in state(outcome.folder).values())


def test_a_fast_run_tries_everything_and_leaves_no_checkpoints(here: Callable) -> None:
    outcome = here("trainer.fast_dev_run=true")
    assert (outcome.status, outcome.err) == (0, "")
    assert summary(outcome.folder)["status"] == "completed"
    assert {name for name in files(outcome.folder) if not name.startswith(".")} == {"config.yaml", "summary.json"}


def test_early_stopping_stops(here: Callable) -> None:
    outcome = here("trainer.max_epochs=9", "early_stopping=2", "optimizer.lr=1e-12", "figures=false", "test=false")
    assert outcome.status == 0
    assert summary(outcome.folder)["epochs"] < 9
    assert not (outcome.folder / "figures").exists()
    assert "test/accuracy" not in summary(outcome.folder)["metrics"]


def test_a_run_that_stops_within_its_first_epoch_is_tested_with_what_it_has(here: Callable) -> None:
    outcome = here(*QUICK, "trainer.max_steps=3")
    assert (outcome.status, outcome.err) == (0, "")
    assert summary(outcome.folder)["steps"] == 3
    assert "test/accuracy" in summary(outcome.folder)["metrics"]
    assert not (outcome.folder / "checkpoints" / "best.ckpt").exists()


CHOICES = {
    "adamw": ("optimizer=adamw", "schedule=cosine"),
    "muon": ("optimizer=muon", "schedule=constant"),
    "clipped": ("trainer.gradient_clip_val=1", "task.label_smoothing=0.1", "channels_last=false"),
    "patches": ('model.bank="pca(size=3)"',),
    "validation": ("data.validation=0.3", "data.train_size=200"),
}


@pytest.mark.parametrize("name", CHOICES)
def test_choices_of_a_recipe_train(here: Callable, name: str) -> None:
    outcome = here(*QUICK, *CHOICES[name])
    assert (outcome.status, outcome.err) == (0, "")
    assert summary(outcome.folder)["metrics"]["train/loss"] > 0


def test_a_torchvision_network_trains(here: Callable) -> None:
    outcome = here(
        "model=torchvision", "model.name=shufflenet_v2_x0_5", "model.bank=sobel", *QUICK[:2], "data.train_size=100"
    )
    assert (outcome.status, outcome.err) == (0, "")
    assert summary(outcome.folder)["model"]["target"] == "cnnlab.nn.torchvision_net.TorchvisionNet"
    assert here(f"run={outcome.folder}", program="evaluate").status == 0


def test_tensorboard_gets_its_events(here: Callable) -> None:
    pytest.importorskip("tensorboard")
    outcome = here(*QUICK, "logger=tensorboard")
    assert (outcome.status, outcome.err) == (0, "")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for path in outcome.folder.glob("events.*"):
        events = EventAccumulator(str(path)).Reload()
        found |= {tag: [event.value for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert found["train/loss"] == pytest.approx([summary(outcome.folder)["metrics"]["train/loss"]])
    assert {"val/accuracy", "test/accuracy"} <= set(found)


@pytest.mark.filterwarnings("ignore")  # MLflow's own, about SQLAlchemy
def test_mlflow_gets_its_run(here: Callable) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("alembic")
    outcome = here(*QUICK, "logger=mlflow")
    assert outcome.status == 0, outcome.err
    assert Path("outputs/mlflow.db").stat().st_size > 0


def test_configurations_of_ones_own(here: Callable) -> None:
    for group, name, text in (
        ("data", "few", "defaults: [digits, _self_]\ntrain_size: 100\nbatch_size: 20\n"),
        ("model", "thin", "defaults: [small_cnn, _self_]\nwidths: [4, 4]\nbank: scharr\n"),
    ):
        Path("mine", group).mkdir(parents=True)
        Path("mine", group, f"{name}.yaml").write_text(text)
    outcome = here("--config-dir", "mine", "data=few", "model=thin", *QUICK[:2])
    assert (outcome.status, outcome.err) == (0, "")
    assert "_thin_few_" in outcome.folder.name
    assert summary(outcome.folder)["data"]["images"]["train"] == 100
    assert summary(outcome.folder)["steps"] == 5


def test_images_left_out_are_named_in_the_summary(here: Callable) -> None:
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            Path("root", split, label).mkdir(parents=True)
            for number in range(12):
                Image.new("L", (8, 8), number).save(Path("root", split, label, f"{number}.png"))
    Path("root/train/cat/3.png").write_bytes(b"broken")
    outcome = here("data=image_folder", "data.root=root", "data.on_broken=skip", "data.batch_size=4", *QUICK)
    assert outcome.status == 0, outcome.err
    assert summary(outcome.folder)["data"]["skipped"] == ["root/train/cat/3.png"]


@pytest.mark.filterwarnings("ignore:::torch")
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler on CPU")
def test_a_compiled_network_trains(here: Callable) -> None:
    outcome = here(*QUICK, "compile=true", "trainer.max_steps=1", "data.batch_size=64", "test=false", "figures=false")
    assert outcome.status == 0, outcome.err
    assert "front_end.weight" in state(outcome.folder)
