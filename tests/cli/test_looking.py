"""The programs that look at a network: receptive_fields.py and kernels.py."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from cnnlab.filters import bank

LOOK = ("inputs=8", "size=64")


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.mark.parametrize("arguments", [("model=edge_init",), ("model=torchvision", "model.name=squeezenet1_1")])
def test_receptive_fields_of_a_model(here: Callable, arguments: tuple[str, ...]) -> None:
    outcome = here(*arguments, *LOOK, program="receptive_fields")
    assert (outcome.status, outcome.err) == (0, "")
    rows = {row["layer"]: row for row in table(outcome.folder / "receptive_fields.csv")}
    found = json.loads((outcome.folder / "receptive_fields.json").read_text())
    assert len(rows) == len(found["layers"])
    first = "front_end[response]" if "edge_init" in arguments[0] else "network.features.0"
    assert (rows[first]["size_h"], rows[first]["stride_w"]) == ("3", "2")
    assert "global pooling" in rows["(the network)"]["unbounded"]
    for name, measured in found["effective"].items():
        assert 0 < measured["radius"]["50"] <= measured["radius"]["95"], name
    for name in ("growth", "boxes", "effective"):
        with Image.open(outcome.folder / "figures" / f"{name}.png") as picture:
            assert min(picture.size) > 300


def test_a_run_is_looked_at_with_its_own_weights_and_images(here: Callable, finished: Path) -> None:
    fields = here(f"run={finished}", "inputs=8", program="receptive_fields")
    assert (fields.status, fields.err) == (0, "")
    assert json.loads((fields.folder / "receptive_fields.json").read_text())["input_shape"] == [1, 8, 8]
    kernels = here(f"run={finished}", "inputs=8", "units=2", "steps=5", program="kernels")
    assert (kernels.status, kernels.err) == (0, "")
    rows = table(kernels.folder / "kernels.csv")
    checkpoint = torch.load(finished / "checkpoints" / "best.ckpt", weights_only=True)
    weight = checkpoint["state_dict"]["front_end.weight"]
    assert [float(row["norm"]) for row in rows] == pytest.approx(weight.flatten(1).norm(dim=1).tolist(), rel=1e-5)
    assert rows[0]["started_as"] == checkpoint["network"]["bank"]["names"][0]
    assert all(0.5 < float(row["cosine_to_start"]) <= 1 for row in rows)
    names = {"kernels", "spectra", "tuning", "matches", "drift", "responses", "patches", "maximised"}
    assert names <= {path.stem for path in (kernels.folder / "figures").glob("*.png")}
    with Image.open(kernels.folder / "figures" / "training.gif") as animation:
        assert animation.n_frames > 1


def test_planted_kernels_in_a_bare_file_are_named(here: Callable, tmp_path: Path) -> None:
    sobel = bank("sobel").kernels.float()
    torch.save(
        {"state_dict": {"a.weight": torch.cat([sobel, -sobel[:1], 0 * sobel[:1]]), "a.bias": sobel[0, 0]}}, "w.pt"
    )
    outcome = here("file=w.pt", "layer=a", program="kernels")
    assert (outcome.status, outcome.err) == (0, "")
    rows = table(outcome.folder / "kernels.csv")
    assert [row["match_name"] for row in rows] == ["sobel", "sobel", "sobel", "zero"]
    assert [row["rank"] for row in rows] == ["1", "1", "1", "0"]
    assert "dead: 3" in outcome.out
    assert "negated pairs: 0-2" in outcome.out


@pytest.mark.parametrize(
    ("program", "arguments", "words"),
    [
        ("receptive_fields", ("run=nowhere",), "there is no folder nowhere"),
        ("receptive_fields", ("model=torchvision", "model.name=resnet18", "layers=[network.layer9]"), "network.layer4"),
        ("receptive_fields", ("size=0",), "size=0"),
        ("receptive_fields", ("channels=none",), "channels"),
        ("receptive_fields", ("image=nothing.jpg",), "there is no file nothing.jpg"),
        ("receptive_fields", ("image=text.jpg",), "can't be read"),
        ("receptive_fields", ("images=nowhere",), "there is no folder nowhere"),
        ("kernels", ("model=edge_init", "images=empty"), "no images in empty"),
        ("kernels", ("model=edge_init", "images=bad"), "none of the 1 files of bad"),
        ("kernels", (), "give one of run=FOLDER, model=NAME, file=PATH; got none"),
        ("kernels", ("run=a", "file=b"), "got run, file"),
        ("kernels", ("file=text.jpg", "layer=a"), "text.jpg is not a file that torch.save wrote"),
        ("kernels", ("file=none.pt",), "there is no file none.pt"),
        ("kernels", ("file=w.pt",), "has features.0.weight 2x1x3x3"),
        ("kernels", ("file=w.pt", "layer=feature.0"), "did you mean 'features.0.weight'"),
    ],
)
def test_a_mistake_is_one_message(here: Callable, program: str, arguments: tuple[str, ...], words: str) -> None:
    Path("text.jpg").write_text("not a picture")
    for folder in ("empty", "bad"):
        Path(folder).mkdir()
    Path("bad", "text.jpg").write_text("not a picture")
    torch.save({"features.0.weight": torch.rand(2, 1, 3, 3)}, "w.pt")
    outcome = here(*arguments, program=program)
    assert outcome.status == 2
    assert words in outcome.err
    assert outcome.err.count("cnnlab: ") == 1
    assert "Traceback" not in outcome.err
    assert not Path("outputs").exists()


def test_kernels_that_only_mirrored_borders_could_take_are_refused(here: Callable) -> None:
    outcome = here('model.bank="gaussian(sigma=1, order=1, size=9)"')
    assert outcome.status == 2
    assert "kernels of 9x9 are larger than the images of 8x8" in outcome.err
    assert not Path("outputs").exists()
