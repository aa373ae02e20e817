"""What kernels.py shows beyond the table: several layers, deeper ones, attribution; and half-written runs."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

QUICK = ("inputs=8", "units=2", "steps=3")


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def test_what_a_kernel_started_as_stands_on_the_screen_where_it_is_known(here: Callable, finished: Path) -> None:
    known = here(f"run={finished}", "units=0", program="kernels")
    assert "started as" in known.out
    assert "sobel_t45" in known.out
    torch.save({"a.weight": torch.rand(2, 1, 3, 3)}, "w.pt")
    assert "started as" not in here("file=w.pt", "layer=a", program="kernels").out


def test_a_deeper_layer_has_responses_patches_and_images_too(here: Callable, finished: Path) -> None:
    outcome = here(f"run={finished}", "layer=trunk.0.0", *QUICK, program="kernels")
    assert (outcome.status, outcome.err) == (0, "")
    names = {path.stem for path in (outcome.folder / "figures").glob("*.png")}
    assert {"responses", "patches", "maximised", "kernels"} <= names
    assert not [name for name in names if name.startswith("responses_")]


@pytest.mark.parametrize("of", ["run", "model"])
def test_the_patches_come_from_a_folder_of_ones_own(here: Callable, finished: Path, tmp_path: Path, of: str) -> None:
    """All photographs are of one colour but for a white square in one, so every patch with an edge is from there."""
    folder = tmp_path / "photographs" / "some"
    folder.mkdir(parents=True)
    for number, shade in enumerate((40, 120, 200)):
        picture = Image.new("RGB", (30, 24), (shade, shade, shade))
        if number == 1:
            picture.paste((255, 255, 255), (9, 6, 21, 18))
        picture.save(folder / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    what = (f"run={finished}",) if of == "run" else ("model=edge_init", "size=16", "channels=1")
    outcome = here(*what, f"images={folder.parent}", "units=2", "steps=3", program="kernels")
    assert (outcome.status, outcome.err) == (0, "")
    assert "1 files of" in outcome.out
    assert "broken.jpg can't be read" in " ".join(outcome.out.split())
    assert (outcome.folder / "figures" / "patches.png").is_file()


def test_attribution_is_drawn_for_the_networks_own_predictions(here: Callable, finished: Path) -> None:
    pytest.importorskip("captum", reason="captum is not installed: pip install 'cnnlab[attribution]'")
    outcome = here(f"run={finished}", "units=0", "attribution=[saliency,grad_cam]", program="kernels")
    assert (outcome.status, outcome.err) == (0, "")
    with Image.open(outcome.folder / "figures" / "attribution.png") as picture:
        assert min(picture.size) > 800


@pytest.mark.parametrize("there", [True, False])
def test_attribution_that_cannot_be_is_one_message(
    here: Callable, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    torch.save({"a.weight": torch.rand(2, 1, 3, 3)}, "w.pt")
    if there:
        pytest.importorskip("captum", reason="captum is not installed: pip install 'cnnlab[attribution]'")
        asked = {
            "attribution=[salience]": "valid: saliency, integrated_gradients, grad_cam",
            "attribution=[saliency]": "a bare file of weights gives no predictions",
            "attribution=saliency": "attribution=saliency: expected",
        }
    else:
        monkeypatch.setitem(sys.modules, "captum", None)
        monkeypatch.setitem(sys.modules, "captum.attr", None)
        asked = {"attribution=[saliency]": "pip install 'cnnlab[attribution]'"}
    for option, words in asked.items():
        outcome = here("file=w.pt", "layer=a", option, program="kernels")
        assert outcome.status == 2, option
        assert words in outcome.err
        assert "Traceback" not in outcome.err
        assert not Path("outputs").exists()


def spoil(folder: Path, how: str) -> None:
    best = folder / "checkpoints" / "best.ckpt"
    if how == "weights of another network":
        saved = torch.load(best, weights_only=True)
        torch.save(saved | {"state_dict": {**saved["state_dict"], "extra": torch.zeros(1)}}, best)
    elif how == "half a checkpoint":
        best.write_bytes(best.read_bytes()[:1000])
    elif how == "no best checkpoint":
        best.unlink()
        best.mkdir()
    elif how == "half a configuration":
        (folder / "config.yaml").write_text((folder / "config.yaml").read_text()[:100])
    elif how == "half a snapshot":
        path = folder / "kernels" / "epoch_0002.pt"
        path.write_bytes(path.read_bytes()[:50])
    elif how == "only begun":
        (folder / "summary.json").write_text('{"status": "running", "metrics": null}')
        (folder / "metrics.csv").write_bytes(bytes(range(256)))


WRONG = {
    "weights of another network": 'does not fit the network that it names: Unexpected key(s) in state_dict: "extra"',
    "half a checkpoint": "best.ckpt is cut off or damaged",
    "no best checkpoint": "there is no checkpoint 'best' in",
    "half a configuration": "config.yaml is no configuration of a training: it lacks",
}


@pytest.mark.parametrize("program", ["kernels", "receptive_fields"])
@pytest.mark.parametrize("how", WRONG)
def test_a_half_written_run_is_one_message(here: Callable, copy: Path, how: str, program: str) -> None:
    spoil(copy, how)
    outcome = here(f"run={copy}", "inputs=2", program=program)
    assert outcome.status == 2
    assert WRONG[how] in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert not Path("outputs").exists()
    assert how != "no best checkpoint" or outcome.err.strip().endswith("there are: last")


def test_kernels_are_shown_without_snapshots_that_cannot_be_read(here: Callable, copy: Path) -> None:
    spoil(copy, "half a snapshot")
    outcome = here(f"run={copy}", "units=0", program="kernels")
    assert (outcome.status, outcome.err) == (0, "")
    assert "no change during training is shown:" in outcome.out
    assert not (outcome.folder / "figures" / "drift.png").exists()


def test_a_run_that_has_only_begun_has_a_page(here: Callable, copy: Path) -> None:
    spoil(copy, "only begun")
    outcome = here(f"run={copy}", program="report")
    assert (outcome.status, outcome.err) == (0, "")
    text = (copy / "report.html").read_text()
    assert "Not a completed run" in text
    assert "There is no metrics.csv with an epoch in it yet" in text
