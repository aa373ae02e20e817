"""Parts of a study: runs of another arm, seed or learning rate are refused before anything is trained."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cnnlab.studies.arms import read_arm
from cnnlab.studies.plan import Condition, Group, Run, missing, read_parts, write_part

ARM, HERE = read_arm("kaiming"), Condition(40, 2)


def group(*runs: tuple[int, float | None]) -> Group:
    return Group("runs_0_000", tuple(Run(ARM, HERE, seed, lr) for seed, lr in runs))


def row(seed: int, lr: float) -> dict:
    return {"arm": "kaiming", "seed": seed, "lr": lr, "accuracy": 0.5}


def test_a_part_is_read_as_it_was_written(tmp_path: Path) -> None:
    asked = group((0, 0.1), (1, None))
    assert missing([asked], tmp_path) == [asked]
    assert read_parts([asked], tmp_path) == []
    write_part(tmp_path / "runs_0_000.json", [row(0, 0.1), row(1, 0.3)])
    assert missing([asked], tmp_path) == []
    assert read_parts([asked], tmp_path) == [
        (asked.runs[0], row(0, 0.1)),
        (asked.runs[1], row(1, 0.3)),
    ]


@pytest.mark.parametrize("there", [[row(0, 0.3)], [row(1, 0.1)], [row(0, 0.1)] * 2, [], [{"seed": 0}], "broken", None])
def test_a_part_of_other_runs_is_refused(tmp_path: Path, there: list | str | None) -> None:
    write_part(tmp_path / "runs_0_000.json", there)
    with pytest.raises(ValueError, match="holds other runs"):
        read_parts([group((0, 0.1))], tmp_path)


@pytest.mark.cli
def test_a_study_with_parts_of_other_rates_is_refused_before_it_goes_on(here: Callable) -> None:
    small = ["arms=[kaiming,jet]", "seeds=2", "train_sizes=[40]", "epochs=1", "hypotheses=[]", "learning_rates=[0.1]",
             "search_seeds=0", "corruptions=[]", "model.widths=[4]", "trainer.accelerator=cpu", "replicas=2",
             "workers=1", "hydra.run.dir=one"]  # fmt: skip
    assert here(*small, program="study").status == 0
    parts = Path("one/parts")
    changed = json.loads((parts / "runs_0_000.json").read_text())
    changed[0]["lr"] = 0.3
    write_part(parts / "runs_0_000.json", changed)
    (parts / "runs_0_001.json").unlink()
    table = Path("one/study.csv").read_bytes()
    outcome = here("resume=one", program="study")
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1
    assert "runs_0_000.json holds other runs" in outcome.err
    assert not (parts / "runs_0_001.json").exists()
    assert json.loads((parts / "runs_0_000.json").read_text()) == changed
    assert Path("one/study.csv").read_bytes() == table
