"""Folders that an earlier version left (tests/fixtures/before): each is opened, gone on with and reported on.

They were made by version 0.1.0 with the commands in their own summary.json; `interrupted` and the second job of
`sweep` were stopped by SIGTERM.
"""

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

BEFORE = Path(__file__).parents[1] / "fixtures" / "before"


@pytest.fixture(autouse=True)
def _as_they_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where data lie is a part of what was asked, and they were made without this variable."""
    monkeypatch.delenv("CNNLAB_DATA", raising=False)


@pytest.fixture
def before(tmp_path: Path) -> Callable[[str], Path]:
    """A copy of one of the folders, to work in."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(BEFORE / name, tmp_path / name)).relative_to(tmp_path)

    return copy


def epochs(folder: Path) -> list[int]:
    with (folder / "metrics.csv").open() as file:
        return [int(row["epoch"]) for row in csv.DictReader(file) if row.get("train/loss")]


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


@pytest.mark.parametrize(
    ("program", "options", "left"),
    [
        ("report", ["run=run"], "run/report.html"),
        ("evaluate", ["run=run", "hydra.run.dir=out"], "out/classes.csv"),
        ("kernels", ["run=run", "inputs=4", "hydra.run.dir=out"], "out/kernels.csv"),
        ("receptive_fields", ["run=run", "inputs=0", "hydra.run.dir=out"], "out/receptive_fields.csv"),
    ],
)
def test_a_completed_run_is_read(here, before, program: str, options: list[str], left: str) -> None:
    before("run")
    outcome = here(*options, program=program)
    assert outcome.status == 0, outcome.err
    assert Path(left).is_file(), sorted(Path(left).parent.iterdir())


def test_the_test_accuracy_of_a_completed_run_is_found_again(here, before) -> None:
    run = before("run")
    assert here("run=run", "hydra.run.dir=out", program="evaluate").status == 0
    # one image in 359 may fall on the other side on another processor
    assert summary(Path("out"))["metrics"]["test/accuracy"] == pytest.approx(
        summary(run)["metrics"]["test/accuracy"], abs=1.5 / 359
    )


def test_an_interrupted_run_goes_on(here, before) -> None:
    run = before("interrupted")
    done = epochs(run)
    assert summary(run)["status"] == "interrupted"
    assert 0 < len(done) < 40
    outcome = here(f"resume={run}")
    assert outcome.status == 0, outcome.err
    assert epochs(run) == list(range(40))
    assert summary(run)["status"] == "completed"


def test_a_sweep_goes_on_with_the_job_that_was_stopped(here, before) -> None:
    sweep = before("sweep")
    first, second = sorted(path.parent for path in sweep.glob("*/summary.json"))
    assert [summary(job)["status"] for job in (first, second)] == ["completed", "interrupted"]
    untouched = (first / "summary.json").read_bytes()
    outcome = here(f"resume={sweep}")
    assert outcome.status == 0, outcome.err
    assert epochs(second) == list(range(12))
    assert (first / "summary.json").read_bytes() == untouched
    assert here(f"run=[{first},{second}]", "hydra.run.dir=out", program="report").status == 0


def test_a_study_goes_on_with_the_part_that_is_missing(here, before) -> None:
    study = before("study")
    kept, missing = sorted((study / "parts").iterdir())
    untouched = kept.read_bytes()
    missing.unlink()
    outcome = here(f"resume={study}", program="study")
    assert outcome.status == 0, outcome.err
    assert missing.is_file()
    assert kept.read_bytes() == untouched
    assert (study / "study.html").is_file()


def test_a_search_is_known_as_ended(here, before) -> None:
    search = before("search")
    trials = (search / "trials.csv").read_bytes()
    outcome = here(f"resume={search}", program="search")
    assert outcome.status == 0, outcome.err
    assert (search / "trials.csv").read_bytes() == trials


def test_a_folder_of_edges_is_known_as_done(here, before) -> None:
    edges, photographs = before("edges"), before("photographs")
    for photograph in photographs.iterdir():  # a checkout gives files a time of its own
        with Image.open(edges / f"{photograph.stem}.png") as made:
            modified = json.loads(made.text["cnnlab"])["modified"]
        os.utime(photograph, ns=(modified, modified))
    maps = {path: path.read_bytes() for path in edges.glob("*.png")}
    assert len(maps) == 2
    outcome = here(f"input={photographs}", f"output={edges}", program="detect_edges")
    assert outcome.status == 0, outcome.err
    assert {path: path.read_bytes() for path in edges.glob("*.png")} == maps
    next(iter(maps)).unlink()
    assert here(f"input={photographs}", f"output={edges}", program="detect_edges").status == 0
    assert set(edges.glob("*.png")) == set(maps)
