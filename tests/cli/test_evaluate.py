"""A checkpoint tested again gives what the training gave; anything else is told of."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image


def test_it_repeats_the_test_of_the_training(here: Callable, finished: Path) -> None:
    outcome = here(f"run={finished}", program="evaluate")
    assert (outcome.status, outcome.err) == (0, "")
    trained = json.loads((finished / "summary.json").read_text())["metrics"]
    summary = json.loads((outcome.folder / "summary.json").read_text())
    tested = summary["metrics"]
    assert {name: trained[name] for name in tested} == pytest.approx(tested, rel=1e-6)
    assert set(tested) == {"test/accuracy", "test/loss", "test/calibration"}
    assert summary["status"] == "completed"
    confusion = torch.tensor(summary["confusion"])
    assert confusion.trace() / confusion.sum() == pytest.approx(tested["test/accuracy"])
    rows = list(csv.DictReader((outcome.folder / "classes.csv").read_text().splitlines()))
    assert [row["class"] for row in rows] == summary["data"]["class_names"]
    assert [int(row["images"]) for row in rows] == confusion.sum(1).tolist()
    for index, row in enumerate(rows):
        assert float(row["recall"]) == pytest.approx(confusion[index, index] / confusion[index].sum())
        assert float(row["precision"] or 0) == pytest.approx(
            confusion[index, index] / confusion[:, index].sum().clamp_min(1)
        )
    with Image.open(outcome.folder / "figures" / "confusion.png") as picture:
        assert min(picture.size) > 300
    assert {path.name for path in outcome.folder.iterdir()} == {
        ".hydra", "config.yaml", "summary.json", "classes.csv", "figures",
    }  # fmt: skip


def test_other_checkpoints_and_other_data_of_the_same_shape(here: Callable, finished: Path) -> None:
    last = here(f"run={finished}", "checkpoint=last", program="evaluate")
    by_path = here(f"run={finished}", f"checkpoint={finished}/checkpoints/last.ckpt", program="evaluate")
    digits = here(f"run={finished}", "data=digits", "data.eval_batch_size=7", program="evaluate")
    assert [one.status for one in (last, by_path, digits)] == [0, 0, 0]
    results = [json.loads((one.folder / "summary.json").read_text())["metrics"] for one in (last, by_path, digits)]
    assert results[0] == results[1]
    trained = json.loads((finished / "summary.json").read_text())["metrics"]
    assert results[2]["test/accuracy"] == pytest.approx(trained["test/accuracy"])


def images(root: str, classes: int, mode: str) -> None:
    for split in ("train", "test"):
        for label in range(classes):
            Path(root, split, str(label)).mkdir(parents=True)
            for number in range(3):
                Image.new(mode, (8, 8)).save(Path(root, split, str(label), f"{number}.png"))


@pytest.mark.parametrize(("classes", "mode", "words"), [(2, "L", "2 classes"), (10, "RGB", "3 channels")])
def test_data_of_another_shape(here: Callable, finished: Path, classes: int, mode: str, words: str) -> None:
    images("root", classes, mode)
    outcome = here(f"run={finished}", "data=image_folder", "data.root=root", program="evaluate")
    assert outcome.status == 2
    assert "takes 1 channels and has 10 classes" in outcome.err
    assert words in outcome.err
    assert not Path("outputs").exists()


def test_data_without_a_test_split(here: Callable, finished: Path) -> None:
    images("root", 10, "L")
    for path in sorted(Path("root/test").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    Path("root/test").rmdir()
    outcome = here(f"run={finished}", "data=image_folder", "data.root=root", program="evaluate")
    assert outcome.status == 2
    assert "no test split" in outcome.err


NO_RUN = [
    ([], ["missing: run", "run=VALUE"]),
    (["run=nowhere"], ["no folder nowhere"]),
    (["run=."], ["not the folder of a run"]),
    (["rum=."], ["'rum'", "did you mean 'run'", "checkpoint"]),
    (["run=.", "dta=mnist"], ["'dta'", "did you mean 'data'"]),
    (["run=.", "data=mnits"], ["'mnits'", "did you mean 'mnist'"]),
]


@pytest.mark.parametrize(("arguments", "words"), NO_RUN)
def test_mistakes(here: Callable, arguments: list[str], words: list[str]) -> None:
    outcome = here(*arguments, program="evaluate")
    assert outcome.status == 2
    assert all(word in outcome.err for word in words), outcome.err
    assert list(Path.cwd().iterdir()) == []


def test_a_checkpoint_that_is_not_there(here: Callable, finished: Path) -> None:
    outcome = here(f"run={finished}", "checkpoint=bets", program="evaluate")
    assert outcome.status == 2
    assert "'bets'" in outcome.err
    assert "best, last" in outcome.err
    Path("run").mkdir()
    Path("run/config.yaml").write_bytes((finished / "config.yaml").read_bytes())
    outcome = here("run=run", program="evaluate")
    assert outcome.status == 2
    assert "there are: none" in outcome.err


def write_empty(path: Path) -> None:
    path.touch()


def write_text(path: Path) -> None:
    path.write_text("not a checkpoint\n")


def write_tensors(path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, path)


def write_hollow(path: Path) -> None:
    torch.save({"network": {}, "state_dict": {}}, path)


def write_code(path: Path) -> None:
    torch.save({"network": Path("x"), "state_dict": {}}, path)  # needs a pickle of a class: not plain


@pytest.mark.parametrize("write", [write_empty, write_text, write_tensors, write_hollow, write_code])
def test_a_checkpoint_of_something_else(here: Callable, finished: Path, write: Callable[[Path], None]) -> None:
    write(Path("odd.ckpt"))
    outcome = here(f"run={finished}", "checkpoint=odd.ckpt", program="evaluate")
    assert outcome.status == 2
    assert outcome.err.startswith("cnnlab: odd.ckpt ")
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err
    assert [path.name for path in Path.cwd().iterdir()] == ["odd.ckpt"]


def test_the_folder_of_an_evaluation_is_no_training(here: Callable, finished: Path) -> None:
    assert here(f"run={finished}", "hydra.run.dir=tested", program="evaluate").status == 0
    outcome = here("resume=tested")
    assert outcome.status == 2
    assert "no configuration of a training: it lacks data, model" in outcome.err
