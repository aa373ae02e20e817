"""The report of a run says what the run's own files and networks say; what is missing is named."""

import base64
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from cnnlab.cli.programs.report import given_runs
from cnnlab.data.images.module import ImageData
from cnnlab.nn.rebuilding import rebuild
from cnnlab.receptive import receptive_fields
from cnnlab.receptive.effective import effective_field
from cnnlab.receptive.layer_maps import unit_energy
from cnnlab.report.reported import LARGEST, collect
from cnnlab.report.sections.fields import chosen_layers, spans
from cnnlab.report.sections.kernels import frames_and_table
from cnnlab.runs.checkpoints import read_checkpoint
from cnnlab.runs.run import Run
from cnnlab.runs.snapshots import read_snapshots


@pytest.fixture(scope="module")
def page(finished: Path) -> dict[str, Any]:
    return shown_of(finished)


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A run that a test may spoil, without the report that its training made."""
    return Path(shutil.copytree(finished, tmp_path / "copy", ignore=shutil.ignore_patterns("report.html")))


def shown_of(folder: Path) -> dict[str, Any]:
    """Section -> what it shows of the run."""
    return {key: shown for key, (shown,) in collect([Run.open(folder).reported()], LARGEST).items()}


def change_summary(folder: Path, **facts: object) -> None:
    path = folder / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def numbers(text: str, kind: type) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def test_the_page_of_one_run_lies_in_its_folder_and_nothing_else_is_left(here: Callable, copy: Path) -> None:
    files = {path for path in copy.rglob("*") if path.is_file()}
    outcome = here(f"run={copy}", program="report")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.folder == copy / "report.html"
    assert {path for path in copy.rglob("*") if path.is_file()} == files | {copy / "report.html"}
    assert not Path("outputs/report").exists()
    text = (copy / "report.html").read_text()
    assert len(text) < 8_000_000
    assert "Not a completed run" not in text
    assert 'class="absent"' not in text


def test_several_runs_have_a_page_in_a_folder_of_its_own(here: Callable, finished: Path, copy: Path) -> None:
    outcome = here(f"run=[{finished},{copy}]", program="report")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.folder.name == "report.html"
    assert outcome.folder.parents[1] == Path("outputs/report")
    text = outcome.folder.read_text()
    assert "2 runs side by side" in text
    assert text.count('<div class="kernels"') == text.count('<div class="fields"') == 2
    assert not (copy / "report.html").exists()


def test_the_predictions_are_those_that_the_training_scored(page: dict[str, Any], finished: Path) -> None:
    told, summary = page["predictions"], json.loads((finished / "summary.json").read_text())
    assert told["split"] == "test"
    assert told["accuracy"] == pytest.approx(summary["metrics"]["test/accuracy"])
    assert sum(count for *_, count in told["confusion"]) == summary["data"]["images"]["test"] == told["images"]
    wrong = sum(count for true, answer, count in told["confusion"] if true != answer)
    assert len(told["errors"]) == min(24, wrong)
    sure = [one["confidence"] for one in told["errors"]]
    assert sure == sorted(sure, reverse=True)
    images = [sum(count for true, _, count in told["confusion"] if true == k) for k in range(10)]
    assert max(images) - min(images) <= 5, "rows are the true classes, which are about equally frequent"
    pairs = {(true, answer) for true, answer, _ in told["confusion"]}
    for one in told["errors"]:
        assert one["true"] != one["predicted"]
        assert (told["names"].index(one["true"]), told["names"].index(one["predicted"])) in pairs
        assert one["probability"] <= one["confidence"] <= 1


def test_a_run_that_was_not_tested_never_reads_the_test_split(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change_summary(copy, metrics={"val/accuracy": 0.5})
    asked = []
    setup = ImageData.setup
    monkeypatch.setattr(ImageData, "setup", lambda self, stage=None: (asked.append(stage), setup(self, stage))[1])
    told = shown_of(copy)["predictions"]
    assert told["split"] == "validation"
    assert set(asked) == {"fit"}


def test_the_frames_are_the_snapshots_each_on_its_scale_and_the_cosines_start_at_one(
    page: dict[str, Any], finished: Path
) -> None:
    shown, snapshots = page["kernels"], read_snapshots(finished / "kernels")
    assert shown["epochs"] == sorted(snapshots)
    assert shown["common"], "the kernels of this run hardly grow"
    for epoch, frame, limit in zip(shown["epochs"], shown["frames"], shown["limits"], strict=True):
        drawn = numbers(frame, np.int8).astype(float) / 127 * limit
        expected = snapshots[epoch].mean(1).flatten().numpy()
        assert limit == pytest.approx(float(np.abs(expected).max()))
        np.testing.assert_allclose(drawn, expected, atol=limit / 127 / 2 + 1e-6)
    assert shown["cosines"][0] == [1.0] * len(shown["rows"])
    assert [row["name"] for row in shown["rows"][:2]] == ["sobel_dy", "sobel_dx"]
    assert [row["kept"] for row in shown["rows"]] == pytest.approx(shown["cosines"][-1], abs=1e-4)


def test_where_weights_explode_the_start_is_kept_as_finely_as_the_end_and_has_a_scale_of_its_own() -> None:
    start = torch.randn(8, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    shown = frames_and_table({0: start, 1: 1e4 * start}, None, 300_000)
    assert not shown["common"]
    assert shown["frames"][0] == shown["frames"][1]
    assert shown["limits"][1] == pytest.approx(1e4 * shown["limits"][0])


def test_many_large_kernels_of_many_epochs_keep_to_their_share_of_the_page() -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(96, 3, 5, 5, generator=generator)
    shown = frames_and_table({epoch: start * (1 + epoch / 100) for epoch in range(101)}, None, 300_000)
    assert sum(map(len, shown["frames"] + shown["colours"])) < 300_000
    assert (shown["total"], len(shown["rows"])) == (96, 64)
    assert (shown["epochs"][0], shown["epochs"][-1]) == (0, 100)
    assert len(shown["epochs"]) > 10
    zero_and_red = frames_and_table({0: torch.tensor([[[[0.0, 1.0]], [[0.0, 0.0]], [[0.0, 0.0]]]])}, None, 10**6)
    assert numbers(zero_and_red["colours"][0], np.uint8).tolist() == [128, 128, 128, 255, 128, 128]


def test_the_boxes_of_the_page_are_those_of_the_analysis(page: dict[str, Any], finished: Path) -> None:
    network = rebuild(read_checkpoint(finished / "checkpoints" / "best.ckpt")["network"]).eval()
    found = receptive_fields(network, (1, 8, 8))
    bounded = 0
    for layer in page["fields"]["layers"]:
        field = found.get(layer["name"])
        if field is None or field.unbounded or field.grid is None:
            assert layer["rows"] is None
            continue
        assert (layer["rows"], layer["columns"]) == spans(field)
        for i in range(field.grid[0]):
            for j in range(field.grid[1]):
                box = field.box(i, j)
                assert [*layer["rows"][i], *layer["columns"][j]] == [box.top, box.bottom, box.left, box.right]
        bounded += 1
    assert bounded >= 2
    assert page["fields"]["layers"][-1]["unbounded"]


def test_the_glow_is_the_energy_of_the_effective_field_for_every_unit(finished: Path) -> None:
    saved = read_checkpoint(finished / "checkpoints" / "best.ckpt")
    network = rebuild(saved["network"]).eval()
    network.load_state_dict(saved["state_dict"])
    image_NCHW = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    field = receptive_fields(network, (1, 8, 8))["trunk.0.0"]
    units = [(0, 0), (3, 5), (7, 7)]
    together = unit_energy(network, "trunk.0.0", field, image_NCHW, units)
    for unit, energy_HW in zip(units, together, strict=True):
        alone = effective_field(network, "trunk.0.0", image_NCHW, unit).heat_HW
        torch.testing.assert_close(energy_HW, alone, rtol=1e-4, atol=1e-9)


def test_each_different_field_is_shown_once_by_its_convolution(finished: Path) -> None:
    network = rebuild(read_checkpoint(finished / "checkpoints" / "best.ckpt")["network"]).eval()
    names = chosen_layers(network, receptive_fields(network, (1, 8, 8)))
    assert "trunk.0.0" in names
    assert not {"trunk.0.1", "trunk.0.2"} & set(names)


def test_a_run_that_has_only_begun_makes_a_page_that_says_so(here: Callable, copy: Path) -> None:
    for name in ("checkpoints", "kernels", "figures"):
        shutil.rmtree(copy / name)
    (copy / "metrics.csv").unlink()
    change_summary(copy, status="running", metrics={})
    outcome = here(f"run={copy}", program="report")
    assert (outcome.status, outcome.err) == (0, "")
    text = (copy / "report.html").read_text()
    for sentence in ("Not a completed run", "no checkpoint yet", "no snapshots", "no metrics.csv"):
        assert sentence in text


def test_data_that_are_gone_cost_their_part_of_the_page_alone(here: Callable, copy: Path) -> None:
    best = copy / "checkpoints" / "best.ckpt"
    saved = torch.load(best, weights_only=True)
    saved["data"]["arguments"] |= {"name": "mnist", "root": "/nowhere"}
    torch.save(saved, best)
    outcome = here(f"run={copy}", program="report")
    assert (outcome.status, outcome.err) == (0, "")
    text = (copy / "report.html").read_text()
    assert text.count("can&#39;t be read any more") == 2
    assert '<div class="kernels"' in text


def test_a_broken_snapshot_costs_the_kernels_alone(copy: Path) -> None:
    (copy / "kernels" / "epoch_0002.pt").write_bytes(b"half")
    page = shown_of(copy)
    assert "can't be read" in page["kernels"]
    assert page["fields"]["layers"]


def test_kernels_that_diverged_cost_the_kernels_alone(copy: Path) -> None:
    kernels_KChw = torch.load(copy / "kernels" / "epoch_0001.pt", weights_only=True)
    torch.save(kernels_KChw * torch.nan, copy / "kernels" / "epoch_0001.pt")
    assert "finite" in shown_of(copy)["kernels"]


def spoil(folder: Path, how: str) -> None:
    best = folder / "checkpoints" / "best.ckpt"
    if how == "something else":
        torch.save({"weights": torch.zeros(2)}, best)
    elif how == "half":
        best.write_bytes(best.read_bytes()[:1000])
    elif how == "another network":
        saved = torch.load(best, weights_only=True)
        saved["state_dict"].popitem()
        torch.save(saved, best)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("something else", "no checkpoint of cnnlab"),
        ("half", "is cut off or damaged"),
        ("another network", "does not fit"),
    ],
)
def test_a_checkpoint_of_something_else_is_a_mistake(here: Callable, copy: Path, how: str, words: str) -> None:
    spoil(copy, how)
    outcome = here(f"run={copy}", program="report")
    assert outcome.status == 2
    assert words in outcome.err
    assert "Traceback" not in outcome.err
    assert not (copy / "report.html").exists()


def test_a_folder_that_is_no_run_is_a_mistake(here: Callable, finished: Path) -> None:
    Path("empty").mkdir()
    for given, words in (
        ("empty", "is not the folder of a run"),
        (finished.parent / "rum", "did you mean 'run'?"),
        (f"[{finished},{finished}]", "given twice"),
        ("[]", "the folder of a run"),
        ("''", "the folder of a run"),
    ):
        outcome = here(f"run={given}", program="report")
        assert outcome.status == 2, given
        assert words in outcome.err
    assert not Path("outputs").exists()


def test_a_misspelt_checkpoint_lists_those_that_are_there(here: Callable, finished: Path) -> None:
    outcome = here(f"run={finished}", "checkpoint=bets", program="report")
    assert outcome.status == 2
    assert "best, last" in outcome.err


def test_the_page_is_whole_at_any_moment(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Run.open(copy).report()
    before = (copy / "report.html").read_text()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        Run.open(copy).report()
    assert (copy / "report.html").read_text() == before
    assert not list(copy.glob("*.part"))


def test_the_numbers_of_the_record_are_on_the_page(copy: Path) -> None:
    change_summary(copy, command="python train.py 'data.root=<b>'", git_commit="abc123", seed=17)
    text = Run.open(copy).report().read_text()
    assert re.search(r'<th scope="row">seed</th><td>17</td>', text)
    assert "abc123" in text
    assert "data.root=&lt;b&gt;" in text


@pytest.mark.parametrize(("given", "runs"), [("a", ["a"]), (["a", "b"], ["a", "b"])])
def test_one_run_or_a_list_of_runs(given: object, runs: list[str]) -> None:
    assert given_runs(OmegaConf.create({"run": given}).run) == runs
