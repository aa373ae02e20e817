"""Studies as a user runs them: paired seeds, killed and resumed."""

import csv
import json
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from matplotlib.colors import to_hex
from omegaconf import OmegaConf

from cnnlab._colour import LINES as FIGURE_COLOURS
from cnnlab.cli.folders import Folders, config_folder, register_resolvers
from cnnlab.filters import bank
from cnnlab.studies.arms import read_arm
from cnnlab.studies.bench import Bench, curve_steps, placeholder, spelt_out
from cnnlab.studies.html import COLOURS
from cnnlab.studies.plan import Condition, Part, Run
from cnnlab.studies.rows import rows_of
from cnnlab.studies.spec import StudyDesign

SCRIPTS = Path(__file__).parents[2] / "scripts"
QUICK = (
    'arms=[kaiming,jet,"jet/permuted",jet@frozen]', "seeds=2", "train_sizes=[40,80]", "epochs=2", "hypotheses=[]",
    "learning_rates=[0.1,0.3]", "search_seeds=1", "corruptions=[contrast]", "severities=[3]", "model.widths=[4]",
    "trainer.accelerator=cpu", "replicas=3", "corruption_images=50", "data.batch_size=20",
)  # fmt: skip


def composed(*overrides: str) -> StudyDesign:
    register_resolvers(Folders())
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return StudyDesign.from_json(OmegaConf.to_container(compose("study", list(overrides)), resolve=True))


def quick(*overrides: str) -> StudyDesign:
    return composed(*QUICK, *overrides)


def table(folder: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader((folder / "study.csv").read_text().splitlines()))
    return [{name: cell for name, cell in row.items() if name != "seconds"} for row in rows]


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


@pytest.mark.cli
def test_a_study_and_the_same_one_killed_and_resumed(here: Callable, background: Callable) -> None:
    whole = here(*QUICK, "workers=2", "hydra.run.dir=whole", program="study")
    assert (whole.status, whole.err) == (0, "")
    rows = table(Path("whole"))
    assert len(rows) == 4 * 2 * 2
    assert {row["lr"] for row in rows} <= {"0.1", "0.3"}
    assert summary(Path("whole"))["status"] == "completed"
    text = Path("whole/study.html").read_text()
    assert "jet/permuted" in text
    assert "after an interruption" in text
    for name in (
        "accuracy",
        "area",
        "steps",
        "corrupted",
        "curves",
        "drift_profile_to_whitening",
        "sizes",
        "kernels_0",
    ):
        assert Path(f"whole/figures/{name}.png").stat().st_size > 5000

    parts = Path("killed/parts")
    process = background(*QUICK, "workers=2", "hydra.run.dir=killed", program="study")
    process.when(lambda: len(list(parts.glob("runs_*.json"))) >= 2).send(signal.SIGKILL)
    done = sorted(path.name for path in parts.glob("runs_*.json"))
    assert done, "it should have been killed in the middle"
    before = {name: (parts / name).stat().st_mtime_ns for name in done}
    resumed = here("resume=killed", program="study")
    assert (resumed.status, resumed.err) == (0, "")
    assert {name: (parts / name).stat().st_mtime_ns for name in done} == before
    assert table(Path("killed")) == rows
    again = here("resume=killed", program="study")
    assert again.status == 0
    assert table(Path("killed")) == rows


@pytest.mark.cli
def test_a_study_that_is_interrupted_shows_what_is_there(here: Callable, background: Callable) -> None:
    quick = (*QUICK, "search_seeds=0", "learning_rates=[0.1]", "workers=1", "hydra.run.dir=half")
    parts = Path("half/parts")
    ended = background(*quick, program="study").when(lambda: list(parts.glob("runs_*.json"))).send(signal.SIGTERM)
    assert ended.status == 128 + signal.SIGTERM
    assert "resume=half" in ended.out
    assert summary(Path("half"))["status"] == "interrupted"
    assert 0 < len(table(Path("half"))) < 16
    assert "not run" in Path("half/study.html").read_text()
    assert here("resume=half", program="study").status == 0
    assert len(table(Path("half"))) == 16
    assert summary(Path("half"))["status"] == "completed"


@pytest.mark.cli
def test_a_study_that_is_ended_takes_its_processes_along() -> None:
    """Lightning takes SIGTERM for itself in a process that trains, which then goes on with the next group."""
    options = (
        "arms=[kaiming]", "seeds=4", "train_sizes=[40]", "~epochs", "+epochs=[1,40000]", "search_seeds=0",
        "learning_rates=[0.1]", "replicas=1", "workers=2", "hydra.run.dir=long",
    )  # fmt: skip
    asked = [option for option in QUICK if not option.startswith("epochs")]
    command = [sys.executable, str(SCRIPTS / "study.py"), *asked, *options]
    with Path("out.txt").open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + 90
        while len(list(Path("long/parts").glob("runs_0*.json"))) < 4:
            assert process.poll() is None, Path("out.txt").read_text()
            assert time.monotonic() < end, Path("out.txt").read_text()
            time.sleep(0.05)
        time.sleep(6)  # until the long trainings have begun, which nothing outside tells
        process.terminate()
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.wait()
    assert len(table(Path("long"))) == 4


def test_every_command_of_the_readme_and_of_the_help_is_a_study() -> None:
    root = Path(__file__).parents[2]
    text = (root / "README.md").read_text() + (root / "configs/hydra/help/study.yaml").read_text()
    commands = re.findall(r"^ *python scripts/study\.py((?: (?:'[^']*'|[\w.]+=\S+))*)", text, re.M)
    commands = [shlex.split(options) for options in commands if "resume=" not in options]
    assert len(commands) > 6
    for options in commands:
        assert composed(*options).parsed_arms, options


@pytest.mark.parametrize("path", sorted((config_folder() / "study").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_arms_of_every_study_can_be_told_apart(path: Path) -> None:
    """By colour and line, on the page and in the figures."""
    arms = [read_arm(text) for text in yaml.safe_load(path.read_text())["arms"]]
    assert len({arm.family for arm in arms}) <= min(COLOURS, len(FIGURE_COLOURS))
    assert len({(arm.family, arm.control) for arm in arms}) == len(arms)


def test_the_colours_are_there_and_differ() -> None:
    assert len({to_hex(colour) for colour in FIGURE_COLOURS}) == len(FIGURE_COLOURS)
    css = files("cnnlab.studies").joinpath("study.css").read_text()
    assert f".s{COLOURS - 1} {{" in css
    assert f".s{COLOURS} {{" not in css


def test_all_arms_of_a_seed_share_data_order_and_later_layers() -> None:
    bench = Bench(quick("data.rotation=10"), [])
    condition = Condition(40, 2)
    arms = ["kaiming", "jet/permuted", "jet@frozen", "pca@unfrozen:1", "orthonormal"]
    networks = [bench.network(Run(read_arm(arm), condition, 3, None)) for arm in arms]
    states = [{k: v for k, v in net.state_dict().items() if not k.startswith("front_end")} for net in networks]
    for state in states[1:]:
        assert list(state) == list(states[0])
        assert all(torch.equal(state[name], states[0][name]) for name in state)
    first = [net.front_end.weight.flatten() for net in networks]
    assert len({tuple(weight.tolist()) for weight in first}) == len(arms)
    # One module for all arms of a seed, and its batches are a function of seed, epoch and number alone.
    data = bench.data(3, 40)
    assert bench.data(3, 40) is data
    for image, again in zip(data.train_dataloader(), bench.data(3, 40).train_dataloader(), strict=True):
        assert torch.equal(image[0], again[0])
    other = bench.data(4, 40)
    assert not torch.equal(next(iter(data.train_dataloader()))[0], next(iter(other.train_dataloader()))[0])


def test_the_first_layer_of_a_network_is_that_of_its_arm() -> None:
    bench = Bench(quick(), [])
    network = bench.network(Run(read_arm("jet"), Condition(40, 2), 0, None))
    kernel = network.front_end.kernel().flatten(1).double()
    torch.testing.assert_close(kernel @ kernel.T, 2 * torch.eye(9).double(), atol=1e-6, rtol=0)
    assert not bench.network(Run(read_arm("jet@frozen"), Condition(40, 2), 0, None)).front_end.weight.requires_grad


def test_shared_images_give_what_a_module_of_its_own_reads() -> None:
    bench = Bench(quick(), [("contrast", 3)])
    shared = bench.data(5, 80)
    own = bench._made_data(5, 80)
    own.setup("fit")
    own.setup("test")
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        for ours, theirs in zip(getattr(shared, name)(), getattr(own, name)(), strict=True):
            assert torch.equal(ours[0], theirs[0])
            assert torch.equal(ours[1], theirs[1])
    images = torch.cat([image for image, _ in bench._corrupt("contrast", 3, shared)])
    assert len(images) == 50
    assert images.std() < 0.7  # of an image with a third of its contrast; 1 is normal


def test_rows_count_steps_up_to_a_share_of_the_reference() -> None:
    study = quick("train_sizes=[40]", "arms=[kaiming,jet]")
    flat = [[epoch, [1 / 9] * 9] for epoch in (0, 2)]

    def part(arm: str, seed: int, curve: list) -> tuple[Run, Part]:
        run = Run(read_arm(arm), study.conditions[0], seed, None)
        profile = [{"epoch": e, "cosine": 1.0, "distance": 0.0, "profile": [0.2, *[0.1] * 8]} for e, _ in flat]
        plain = dict.fromkeys(("accuracy", "loss", "val_accuracy", "train_loss", "diverged", "seconds", "lr"), 0.5)
        plain |= {"arm": arm, "seed": seed, "corrupted": {"a/1": 0.2, "a/3": 0.4, "b/1": 0.9}}
        return run, {**plain, "curve": curve, "drift": profile, "kernels": []}

    curves = {"kaiming": [[0, 0.1], [4, 0.5], [8, 1.0]], "jet": [[0, 0.1], [4, 0.95], [8, 0.8]]}
    parts = [part(arm, seed, curve) for arm, curve in curves.items() for seed in (0, 1)]
    parts.append(part("jet", 2, [[0, 0.1], [4, 0.2], [8, 0.3]]))
    rows = rows_of(parts, study.conditions, "kaiming", 0.9, [1.0] * 9)
    assert [row["threshold"] for row in rows] == [0.9] * 5
    assert [(row["steps"], row["reached"]) for row in rows] == [(8, True), (8, True), (4, True), (4, True), (8, False)]
    assert rows[0]["corruptions"]["corrupted/a"] == pytest.approx(0.3)
    assert rows[0]["corruptions"]["corrupted"] == pytest.approx(0.6)
    assert rows[0]["approach"] == pytest.approx(0)


def test_the_small_parts() -> None:
    assert curve_steps(100, 5) == [0, 1, 3, 10, 32, 100]
    for filters, size in ((9, 3), (4, 3), (20, 3), (27, 5)):
        assert bank(placeholder(filters, size)).kernels.shape == (filters, 1, size, size)
    grey = spelt_out([("all", 1), ("contrast", 1)], 1)
    assert len(grey) == len(set(grey))
    assert ("saturate", 1) not in grey
    assert ("saturate", 1) in spelt_out([("all", 1)], 3)


@pytest.mark.cli
def test_a_folder_of_another_study_is_refused_and_left_alone(here: Callable) -> None:
    small = (*QUICK, "train_sizes=[40]", "seeds=1", "search_seeds=0", "learning_rates=[0.1]", "workers=1")
    assert here(*small, "hydra.run.dir=one", program="study").status == 0
    before = Path("one/study.csv").read_bytes()
    taken = here(*small, "seeds=3", "hydra.run.dir=one", program="study")
    assert taken.status == 2
    assert "holds a run already" in taken.err
    plan = json.loads(Path("one/plan.json").read_text())
    plan["asked"]["seeds"] = 7
    Path("one/plan.json").write_text(json.dumps(plan))
    other = here("resume=one", program="study")
    assert other.status == 2
    assert "another study: it differs in seeds" in other.err
    assert Path("one/study.csv").read_bytes() == before
    assert re.search("no folder|not the folder", here("resume=two", program="study").err)


def test_the_reference_is_compared_with_its_other_seeds_and_not_with_itself() -> None:
    study = quick("train_sizes=[40]", "arms=[kaiming,jet]")
    rising, falling = [[weight / 45 for weight in order] for order in (range(1, 10), range(9, 0, -1))]

    def part(arm: str, seed: int, profile: list[float]) -> tuple[Run, Part]:
        plain = dict.fromkeys(("accuracy", "loss", "val_accuracy", "train_loss", "diverged", "seconds", "lr"), 0.5)
        drift = [{"epoch": epoch, "cosine": 1.0, "distance": 0.0, "profile": profile} for epoch in (0, 2)]
        run = Run(read_arm(arm), study.conditions[0], seed, None)
        return run, {
            **plain,
            "arm": arm,
            "seed": seed,
            "curve": [[0, 0.1], [1, 0.2]],
            "corrupted": {},
            "drift": drift,
            "kernels": [],
        }

    parts = [part("kaiming", 0, rising), part("kaiming", 1, falling), part("jet", 0, falling)]
    rows = rows_of(parts, study.conditions, "kaiming", 0.9, [float(v) for v in range(9, 0, -1)])
    assert [row["likeness"] for row in rows] == pytest.approx([-1, -1, 1])
