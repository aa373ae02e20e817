"""The edge network from the command line: trained, scored by the benchmark, resumed, tested again, shown."""

import csv
import json
import shutil
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import torch
from PIL import Image

from cnnlab.cli import entry as programs
from cnnlab.nn.rebuilding import export, load
from cnnlab.report.reported import LARGEST, collect
from cnnlab.runs.metrics import read_metrics
from cnnlab.runs.run import Run

SMALL = (
    "model=edge_net", "data=bsds500", "model.widths=[4,6]", "model.dilations=[[1],[1]]", "model.up_width=4",
    "data.crop=32", "data.passes=2", "data.batch_size=2", "trainer.max_epochs=2", "trainer.accelerator=cpu",
)  # fmt: skip


@pytest.fixture(scope="module")
def root(berkeley: Callable[..., Path]) -> Path:
    return berkeley(train=4, val=2)


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def state(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def drawn(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a completed run. Tests read it and change nothing."""
    home = tmp_path_factory.mktemp("drawn")
    with pytest.MonkeyPatch.context() as monkeypatch, redirect_stdout(StringIO()), warnings.catch_warnings():
        monkeypatch.chdir(home)
        monkeypatch.setattr(sys, "argv", ["train.py", *SMALL, f"data.root={root}", "hydra.run.dir=run"])
        with pytest.raises(SystemExit) as ended:
            programs.train()
    assert ended.value.code == 0
    return home / "run"


def test_a_run_leaves_scores_pictures_and_a_page(drawn: Path) -> None:
    content = summary(drawn)
    assert content["status"] == "completed"
    assert content["data"]["images"] == {"train": 4, "val": 2}
    metrics = content["metrics"]
    assert {"benchmark/ods", "benchmark/ois", "benchmark/ap", "benchmark/r50", "train/loss"} <= set(metrics)
    assert all(0 < metrics[f"benchmark/{name}"] <= 1 for name in ("ods", "ois"))
    assert "val/accuracy" not in metrics
    files = {str(path.relative_to(drawn)) for path in drawn.rglob("*") if path.is_file()}
    assert {
        "checkpoints/best.ckpt", "checkpoints/last.ckpt", "kernels/epoch_0002.pt", "photographs.csv", "report.html",
        "figures/kernels.png", "figures/curves.png", "figures/boundaries.png",
    } <= files  # fmt: skip
    with Image.open(drawn / "figures/boundaries.png") as picture:
        assert min(picture.size) > 300
    rows = list(csv.DictReader((drawn / "photographs.csv").read_text().splitlines()))
    assert [row["photograph"] for row in rows] == ["000", "001"]
    assert sum("benchmark/ods" in row for row in read_metrics(drawn / "metrics.csv")) == 1


def test_the_page_shows_photographs_where_classifiers_have_their_mistakes(drawn: Path) -> None:
    page = collect([Run.open(drawn).reported()], LARGEST)
    assert page["predictions"] == [None]
    assert [row["stem"] for row in page["boundaries"][0]["rows"]] == ["000", "001"]
    text = (drawn / "report.html").read_text()
    assert 'class="absent"' not in text
    assert "that people drew" in text
    assert f"{summary(drawn)['metrics']['benchmark/ods']:.3f}" in text


def test_the_evaluation_repeats_the_benchmark_of_the_training(here: Callable, drawn: Path) -> None:
    tested = here(f"run={drawn}", program="evaluate")
    assert (tested.status, tested.err) == (0, "")
    expected = {name: value for name, value in summary(drawn)["metrics"].items() if name.startswith("benchmark/")}
    assert summary(tested.folder)["metrics"] == pytest.approx(expected)
    assert f"{expected['benchmark/ods']:.4f}" in tested.out
    assert (tested.folder / "figures/boundaries.png").is_file()


def test_the_weights_of_a_run_are_exported_without_the_optimizer(drawn: Path, tmp_path: Path) -> None:
    size = export(drawn / "checkpoints/best.ckpt", tmp_path / "weights.pt")
    assert size == (tmp_path / "weights.pt").stat().st_size < (drawn / "checkpoints/best.ckpt").stat().st_size
    network = load(tmp_path / "weights.pt")
    assert all(torch.equal(value, state(drawn)[name]) for name, value in network.state_dict().items())


def test_a_run_killed_before_its_scores_were_kept_is_scored_once_more_and_no_more_often(
    here: Callable, root: Path, drawn: Path
) -> None:
    folder = here(*SMALL, f"data.root={root}", "report=false", "hydra.run.dir=run").folder
    whole = summary(folder)["metrics"]
    (folder / "summary.json").write_text(json.dumps({**summary(folder), "status": "running", "metrics": {}}))
    outcome = here(f"resume={folder}")
    assert (outcome.status, outcome.err) == (0, "")
    assert summary(folder)["metrics"] == pytest.approx(whole)
    assert sum("benchmark/ods" in row for row in read_metrics(folder / "metrics.csv")) == 1
    assert all(torch.equal(value, state(folder)[name]) for name, value in state(drawn).items())  # one seed, one result


def test_the_controls_see_the_same_windows_and_start_alike_behind_the_first_layer(here: Callable, root: Path) -> None:
    """Without learning, what is left of a run is its start: only the first layer differs."""
    still = ("optimizer.lr=1e-30", "optimizer.adamw_lr=1e-30", "report=false", "figures=false", "test=false")
    runs = [
        here(*SMALL[1:], f"model={model}", f"data.root={root}", *still, f"hydra.run.dir={model}").folder
        for model in ("edge_net", "edge_net_random", "edge_net_frozen")
    ]
    derivatives, random, frozen = map(state, runs)
    later = [name for name in derivatives if "front_end" not in name and "running" not in name]
    for name in later:
        torch.testing.assert_close(derivatives[name], random[name])
        torch.testing.assert_close(derivatives[name], frozen[name])
    assert not torch.allclose(derivatives["front_end.weight"], random["front_end.weight"])
    torch.testing.assert_close(derivatives["front_end.weight"], frozen["front_end.weight"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ("model=edge_net", "data=digits"),
            "EdgeNet predicts a boundary map, and digits has classes; take data=bsds500",
        ),
        (
            ("model=edge_init", "data=bsds500"),
            "SmallCNN is a classifier, and bsds500 has boundaries; take model=edge",
        ),
        (("model=edge_net", "data=bsds500", "task=classification_task"), "EdgeNet is trained by task=boundary_task"),
        (("model=edge_init", "data=digits", "task=boundary_task"), "SmallCNN is trained by task=classification_task"),
        (("model=edge_net", "data=bsds500", "data.scored=test"), "test"),
        (("model=edge_net", "data=bsds500", "data.scales=[1]"), "data.scales"),
        (("model=edge_net", "data=bsds500", "model.border=reflect"), "replicate or zeros"),
    ],
)
def test_what_does_not_go_together_is_told_of(here: Callable, root: Path, options: tuple[str, ...], words: str) -> None:
    where = (f"data.root={root}",) if "data=bsds500" in options else ()
    outcome = here(*options, *where)
    assert outcome.status == 2
    assert words in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_folder_that_is_no_berkeley_folder_is_told_of(here: Callable, tmp_path: Path) -> None:
    outcome = here("model=edge_net", "data=bsds500", f"data.root={tmp_path / 'nowhere'}")
    assert outcome.status == 2
    assert "nowhere" in outcome.err


def test_photographs_held_out_are_what_a_choice_is_made_by(here: Callable, root: Path) -> None:
    outcome = here(*SMALL, f"data.root={root}", "data.held_out=1", "data.scored=held_out", "figures=false")
    assert (outcome.status, outcome.err) == (0, "")
    content = summary(outcome.folder)
    assert content["data"]["images"] == {"train": 3, "held out": 1}
    assert {"val/loss", "benchmark/ods"} <= set(content["metrics"])


def test_real_photographs_train_and_are_scored_end_to_end(here: Callable, data_root: Path, tmp_path: Path) -> None:
    for split, count in (("train", 4), ("val", 2)):
        for kind in ("images", "groundTruth"):
            (tmp_path / "few" / kind / split).mkdir(parents=True)
        for image in sorted((data_root / "BSDS500/images" / split).glob("*.jpg"))[:count]:
            shutil.copy(image, tmp_path / "few/images" / split)
            shutil.copy(
                data_root / f"BSDS500/groundTruth/{split}/{image.stem}.mat", tmp_path / "few/groundTruth" / split
            )
    outcome = here(*SMALL, "trainer.max_epochs=4", "data.crop=96", f"data.root={tmp_path / 'few'}", "report=false")
    assert (outcome.status, outcome.err) == (0, "")
    assert 0.2 < summary(outcome.folder)["metrics"]["benchmark/ods"] < 0.9
