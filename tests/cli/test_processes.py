"""Programs in processes of their own: what only shows there."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

QUICK = ("trainer.max_epochs=1", "trainer.accelerator=cpu", "model.widths=[8]")
pytestmark = pytest.mark.cli

# Prints at the end which heavy packages a program has imported.
REPORTER = """
import atexit, sys
def report():
    heavy = ("torch", "lightning", "torchvision", "matplotlib", "torchmetrics", "numpy")
    sys.stderr.write("imported:" + ",".join(name for name in heavy if name in sys.modules) + "\\n")
atexit.register(report)
"""


def test_a_run_says_nothing_on_standard_error(outside: Callable, background: Callable) -> None:
    outcome = outside(*QUICK)
    assert (outcome.status, outcome.err) == (0, "")
    assert json.loads((outcome.folder / "summary.json").read_text())["status"] == "completed"
    tested = background(f"run={outcome.folder}", program="evaluate").wait()
    assert (tested.status, tested.err) == (0, "")


LIGHT = {
    "--help": (["--help"], 0),
    "--cfg job": (["--cfg", "job"], 0),
    "a misspelt option": (["modle=edge_init"], 2),
    "a misspelt choice": (["model=edge_inti"], 2),
    "a misspelt bank": (["model.bank=sobl"], 2),
    "a misspelt parameter": (['model.bank="sobel(sise=5)"'], 2),
    "a wrong seed": (["seed=-1"], 2),
    "tab completion": (["-sc", "query=bash"], 0),
}


@pytest.mark.parametrize("name", LIGHT)
def test_an_answer_that_needs_no_torch_imports_none(outside: Callable, name: str) -> None:
    arguments, status = LIGHT[name]
    Path("lib").mkdir()
    Path("lib/sitecustomize.py").write_text(REPORTER)
    completion = {"COMP_LINE": "train.py model=edge_", "COMP_POINT": "20", "COMP_CWORD": "1"}
    path = os.pathsep.join([str(Path("lib").absolute()), os.environ.get("PYTHONPATH", "")])
    outcome = outside(*arguments, environment={"PYTHONPATH": path, **completion})
    assert outcome.status == status
    assert outcome.err.splitlines()[-1] == "imported:"
    if name == "tab completion":
        assert {"model=edge_init", "model=edge_fixed"} <= set(outcome.out.split())


def test_runs_that_start_in_the_same_instant_have_folders_of_their_own(background: Callable) -> None:
    started = [background("trainer.fast_dev_run=true", "trainer.accelerator=cpu") for _ in range(4)]
    ended = [run.wait() for run in started]
    assert [outcome.status for outcome in ended] == [0] * 4
    assert len({outcome.folder for outcome in ended}) == 4
    assert {path.name for path in Path("outputs/train").iterdir()} == {outcome.folder.name for outcome in ended}


def test_a_full_disk_is_told_of_with_the_file(background: Callable) -> None:
    run = background(*QUICK, "hydra.run.dir=run", "model.widths=[64,128]", largest_file=50_000)
    outcome = run.wait()
    assert outcome.status == 2
    assert outcome.err.startswith("cnnlab: ")
    assert "last.ckpt: File too large" in outcome.err
    assert "Traceback" not in outcome.err
    assert json.loads(Path("run/summary.json").read_text())["status"] == "failed"
    assert not list(Path("run").rglob("*.part"))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_must_not_be_written_to(outside: Callable) -> None:
    Path("closed").mkdir(mode=0o500)
    outcome = outside(*QUICK, "hydra.run.dir=closed/run")
    assert outcome.status == 2
    assert "closed/run: Permission denied" in outcome.err


def test_a_file_in_the_way(outside: Callable) -> None:
    Path("outputs").write_text("mine")
    outcome = outside(*QUICK)
    assert outcome.status == 2
    assert outcome.err.startswith("cnnlab: outputs")
    assert "Traceback" not in outcome.err
    assert Path("outputs").read_text() == "mine"


def test_two_processes_train_together(outside: Callable) -> None:
    outcome = outside("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", *QUICK[:1], "data.train_size=200")
    assert (outcome.status, outcome.err) == (0, "")
    (folder,) = Path("outputs/train").iterdir()
    assert outcome.folder == folder
    content = json.loads((folder / "summary.json").read_text())
    assert content["status"] == "completed"
    assert 0 <= content["metrics"]["test/accuracy"] <= 1
    assert (folder / "checkpoints" / "last.ckpt").is_file()
