"""Searches: on validation images only, every trial a run, and the same result however often it was interrupted."""

import csv
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

from cnnlab.cli.folders import Folders, config_folder, register_resolvers
from cnnlab.runs.metrics import read_metrics

pytest.importorskip("optuna")

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from cnnlab.cli.search.space import as_option, read_space, tried

QUICK = ("trainer.max_epochs=1", "trainer.accelerator=cpu", "model.widths=[8]")
SPACE = 'space={optimizer.lr: {low: 0.01, high: 1, log: true}, model.bank: [sobel, "gabor(size=5)"]}'
SEARCH = (*QUICK, SPACE, "trials=3", "hydra.run.dir=search")


def trials(folder: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader((folder / "trials.csv").read_text().splitlines()))
    return [{name: cell for name, cell in row.items() if name != "seconds"} for row in rows]


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


@pytest.mark.cli
def test_a_search_and_the_same_one_killed_and_resumed(here: Callable, background: Callable) -> None:
    outcome = here(*SEARCH, program="search")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.folder == Path("search")
    rows = trials(outcome.folder)
    assert [row["run"] for row in rows] == [f"trial_{number:04}" for number in range(3)]
    assert {row["model.bank"] for row in rows} == {"sobel", "gabor(size=5)"}
    for row in rows:
        folder = outcome.folder / row["run"]
        scores = [float(one["val/accuracy"]) for one in read_metrics(folder / "metrics.csv") if one.get("val/accuracy")]
        assert float(row["score"]) == max(scores)
        config = yaml.safe_load((folder / "config.yaml").read_text())
        assert config["optimizer"]["lr"] == float(row["optimizer.lr"])
        assert config["model"]["bank"] == row["model.bank"]
        assert not any(name.startswith("test/") for name in summary(folder)["metrics"])
    assert here("resume=search/trial_0000").status == 0  # an ordinary run
    best = max(rows, key=lambda row: float(row["score"]))
    assert yaml.safe_load(Path("search/best.yaml").read_text()) == summary(Path("search"))["best"]
    assert summary(Path("search"))["best"]["optimizer.lr"] == float(best["optimizer.lr"])
    assert f"its run: search/{best['run']}" in outcome.out
    with Image.open("search/search.png") as picture:
        assert picture.width > picture.height > 100

    Path("search").rename("whole")
    second = Path("search/trial_0001/checkpoints/last.ckpt")
    assert background(*SEARCH, program="search").when(second.exists).send(signal.SIGKILL).status == -signal.SIGKILL
    again = here(f"resume={Path('search')}", program="search")
    assert (again.status, again.err) == (0, "")
    assert trials(Path("search")) == trials(Path("whole"))
    assert summary(Path("search"))["resumed"] == 1
    assert not Path("search/trial_0003").exists()


WRONG = {
    "no space": ([], "space: give what to vary, such as +search=learning_rate"),
    "an unknown search": (["+search=learning_rat"], "did you mean 'learning_rate'?"),
    "an unknown option": (["space={optimizer.lrr: [1, 2]}"], "there is no option 'optimizer.lrr'"),
    "an unknown choice": (["space={model: [edge_init, edge_fixd]}"], "did you mean 'edge_fixed'?"),
    "an unknown bank": (["space={model.bank: [sobel, sobl]}"], "did you mean 'sobel'?"),
    "an unknown key": (["space={optimizer.lr: {low: 1, hihg: 2}}"], "did you mean 'high'?"),
    "one choice": (["space={model: [edge_init]}"], "at least two choices"),
    "no range": (["space={optimizer.lr: {low: 2, high: 1}}"], "low must be below high"),
    "a logarithm of zero": (["space={optimizer.lr: {low: 0, high: 1, log: true}}"], "above 0, for log"),
    "words": (["space={optimizer.lr: {low: a, high: 1}}"], "space.optimizer.lr.low: a number, not 'a'"),
    "a value": (["space={optimizer.lr: 3}"], "a list of choices, or {low: ..., high: ...}, not 3"),
    "a step too far": (["space={data.batch_size: {low: 1, high: 4, step: 9}}"], "step=9"),
    "no trials": (["+search=learning_rate", "trials=0"], "trials=0: at least 1"),
    "the test split": (["+search=learning_rate", "test=true"], "a search looks at validation images only"),
    "wrong data": (["+search=learning_rate", "data=mnits"], "did you mean 'mnist'?"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_ends_with_one_message_and_leaves_nothing(here: Callable, name: str) -> None:
    arguments, words = WRONG[name]
    outcome = here(*arguments, program="search")
    assert outcome.status == 2
    assert words in outcome.err
    assert outcome.err.count("\n") == 1
    assert not Path("outputs").exists()


def test_a_search_without_optuna_is_answered_with_the_line_that_installs_it(
    here: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = ("cnnlab.cli.search", "cnnlab.cli.programs.search")
    for name in [name for name in sys.modules if name.startswith(("optuna", *ours))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    outcome = here("+search=learning_rate", program="search")
    assert outcome.status == 2
    assert "pip install 'cnnlab[search]'" in outcome.err
    assert outcome.err.count("\n") == 1
    assert not Path("outputs").exists()


@pytest.mark.parametrize("name", sorted(path.stem for path in (config_folder() / "search").glob("*.yaml")))
def test_every_named_search_has_a_header_and_a_space_that_composes(name: str) -> None:
    register_resolvers(Folders())
    text = (config_folder() / "search" / f"{name}.yaml").read_text()
    for word in ("Question", "Command", "Hardware", "Time", "Expected"):
        assert f"\n# {word}:" in text
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        space = OmegaConf.to_container(compose("search", [f"+search={name}"]).space)
        for option in tried(read_space(space)):
            compose("search", [f"+search={name}", option])


def test_a_space_is_read() -> None:
    space = read_space(
        {
            "optimizer": {"lr": {"low": 0.1, "high": 1, "log": True}},
            "data.batch_size": {"low": 16, "high": 64, "step": 16},
            "model.widths": [[8], [8, 16]],
            "channels_last": [True, False],
        }
    )
    assert space == {
        "optimizer.lr": FloatDistribution(0.1, 1.0, log=True),
        "data.batch_size": IntDistribution(16, 64, step=16),
        "model.widths": CategoricalDistribution(["[8]", "[8, 16]"]),
        "channels_last": CategoricalDistribution(["true", "false"]),
    }
    assert tried(space)[2:4] == ["model.widths=[8]", "model.widths=[8, 16]"]


def test_text_with_brackets_is_quoted() -> None:
    assert as_option("model.bank", "sobel") == "model.bank=sobel"
    assert as_option("model.bank", "gabor(size=5) + box") == "model.bank='gabor(size=5) + box'"
    assert as_option("optimizer.lr", 0.5) == "optimizer.lr=0.5"
