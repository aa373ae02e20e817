"""The benchmark as a user runs it: on real photographs, on maps of other programs, interrupted, and misused."""

import csv
import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.data.boundaries.berkeley import photographs, read_boundaries

PROGRAM = "benchmark_edges"
QUICK = ("people=false", "resamples=50", "processes=1")


@pytest.fixture
def few(data_root: Path) -> Path:
    """A folder of two photographs of the validation split, laid out as the distribution."""
    for one in photographs(data_root, "val")[:2]:
        for kind, path in (("images", one.image), ("groundTruth", one.truth)):
            folder = Path("few") / kind / "val"
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder)
    return Path("few").absolute()


def write_maps(few: Path, folder: str, shift: int = 0, bits: int = 8) -> Path:
    """Maps by hand: the first annotator's drawing, moved down, half as strong in the lower half."""
    Path(folder).mkdir()
    for one in photographs(few, "val"):
        drawn_HW = np.roll(read_boundaries(one.truth)[0], shift, axis=0) * 1.0
        drawn_HW[drawn_HW.shape[0] // 2 :] /= 2
        kind = np.uint8 if bits == 8 else np.uint16
        Image.fromarray(np.round(drawn_HW * np.iinfo(kind).max).astype(kind)).save(Path(folder) / f"{one.stem}.png")
    return Path(folder)


def read(outcome) -> dict:
    assert (outcome.status, outcome.err) == (0, ""), outcome.err
    return json.loads((outcome.folder / "benchmark.json").read_text())


def test_a_detector_on_real_photographs(here: Callable, few: Path) -> None:
    arguments = (f"data.root={few}", "split=val", "detector=edge_detector", "resamples=50", "processes=1")
    outcome = here(*arguments, program=PROGRAM)
    found = read(outcome)
    assert found["images"] == 2
    scores = found["detectors"]["edge_detector"]
    assert 0.4 < scores["ods"]["f"] <= scores["ois"]["f"] + 0.02 < 0.9
    assert scores["ods"]["low"] <= scores["ods"]["f"] <= scores["ods"]["high"]
    assert 0.5 < found["people"]["f"] < 1
    rows = list(csv.DictReader((outcome.folder / "benchmark.csv").read_text().splitlines()))
    assert [row["threshold"] for row in rows][::98] == ["0.01", "0.99"]
    recall = [float(row["recall"]) for row in rows]
    assert recall[0] > 0.8 > 0.2 > recall[-1]
    with Image.open(outcome.folder / "figures" / "precision_recall.png") as picture:
        assert min(picture.size) > 600
    assert "edge_detector" in outcome.out
    assert "human agreement (leave one annotator out): F" in outcome.out
    assert json.loads((outcome.folder / "summary.json").read_text())["status"] == "completed"


def test_maps_of_other_programs_with_8_or_16_bits_and_their_differences(here: Callable, few: Path) -> None:
    near, far, deep = (write_maps(few, *given) for given in (("near", 1), ("far", 3), ("deep", 1, 16)))
    outcome = here(*QUICK, f"data.root={few}", f"predictions=[{near},{far},{deep}]", "thresholds=9", program=PROGRAM)
    found = read(outcome)
    scores = {name: one["ods"]["f"] for name, one in found["detectors"].items()}
    assert list(scores) == ["near", "far", "deep"]
    assert scores["near"] > scores["far"] + 0.01
    assert scores["deep"] == scores["near"]
    pairs = {(row["detector"], row["minus"]): row["ods"] for row in found["differences"]}
    assert pairs["near", "deep"] == {"difference": 0, "low": 0, "high": 0}
    assert pairs["near", "far"]["difference"] == pytest.approx(scores["near"] - scores["far"])
    assert pairs["near", "far"]["low"] > 0
    assert "near - far" in outcome.out


def test_two_processes_count_what_one_counts_and_the_second_run_counts_nothing(here: Callable, few: Path) -> None:
    maps = write_maps(few, "maps")
    arguments = (f"data.root={few}", f"predictions={maps}", "people=false", "resamples=20", "thresholds=5")
    alone = read(here(*arguments, "processes=1", "cache=null", program=PROGRAM))
    assert not Path("outputs/benchmark_edges/counts").exists()
    together = read(here(*arguments, "processes=2", program=PROGRAM))
    assert together == alone
    kept = sorted(Path("outputs/benchmark_edges/counts").iterdir())
    assert len(kept) == 2
    content = json.loads(kept[0].read_text())
    kept[0].write_text(json.dumps(content | {"hits_T": [0] * 5}))  # to see that it is read
    kept[1].write_text("half a fi")  # and that this is not
    again = read(here(*arguments, "processes=1", program=PROGRAM))
    assert again["detectors"]["maps"]["ods"]["f"] < alone["detectors"]["maps"]["ods"]["f"]
    kept[0].unlink()
    assert read(here(*arguments, "processes=1", program=PROGRAM)) == alone
    other = read(here(*arguments, "processes=1", "tolerance=0.02", program=PROGRAM))  # nothing of it was kept
    assert other["detectors"]["maps"]["ods"]["f"] > alone["detectors"]["maps"]["ods"]["f"]


@pytest.mark.cli
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_was_stopped_goes_on(background: Callable, here: Callable, data_root: Path, number: int) -> None:
    arguments = (f"data.root={data_root}", "detector=edge_detector", *QUICK, "thresholds=9")
    counts = Path("outputs/benchmark_edges/counts")
    started = background(*arguments, program=PROGRAM).when(lambda: len(list(counts.glob("*.json"))) > 1)
    outcome = started.send(number)
    kept = {path.name: path.stat().st_mtime_ns for path in counts.glob("*.json")}
    if number == signal.SIGINT:
        assert outcome.status == 130
        assert "the same command goes on" in outcome.err
    assert read(here(*arguments, "limit=3", program=PROGRAM))["images"] == 3
    assert {path.name: path.stat().st_mtime_ns for path in counts.glob("*.json") if path.name in kept} == kept
    assert len(list(counts.glob("*.json"))) == max(len(kept), 3)


def damage(few: Path, kind: str) -> None:
    """Change one thing in `few` or in `maps`."""
    stem = photographs(few, "val")[0].stem
    png, mat = Path("maps") / f"{stem}.png", few / "groundTruth" / "val" / f"{stem}.mat"
    if kind == "size":
        Image.new("L", (10, 20)).save(png)
    elif kind == "text":
        png.write_text("not a picture")
    elif kind == "empty":
        png.write_bytes(b"")
    elif kind == "colour":
        with Image.open(png) as map_HW:
            Image.new("RGB", map_HW.size, "red").save(png)
    elif kind == "missing":
        png.unlink()
    elif kind == "mat":
        mat.write_bytes(b"no boundaries")
    elif kind == "images":
        shutil.rmtree(few / "images" / "val")
        (few / "images" / "val").mkdir()


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        ("", (), "give detector=NAME"),
        ("", ("detector=edge_detecto",), "detector: there is no 'edge_detecto' (did you mean 'edge_detector'?)"),
        ("", ("detectors=[edge_detecto]",), "detector: there is no 'edge_detecto' (did you mean 'edge_detector'?)"),
        ("", ("detectors=[edge_detector,edge_detector]",), "asked for more than once: edge_detector"),
        ("", ("detector=edge_detector", "detector.bnk=sobel"), "did you mean 'detector.bank'"),
        ("", ("predictions=nowhere",), "predictions: there is no folder nowhere"),
        ("", ("predictions=few",), "lacks 2 of 2 maps"),
        ("", ("predictions=maps", "split=test"), "there is no 'test'"),
        ("", ("predictions=maps", "data.root=nowhere"), "there is no folder nowhere"),
        ("", ("predictions=maps", "data.root=maps"), "expected images/val/*.jpg and groundTruth/val/*.mat"),
        ("", ("predictions=maps", "data=mnist"), "take data=bsds500"),
        ("", ("predictions=maps", "thresholds=0"), "thresholds=0: 1 or more"),
        ("", ("predictions=maps", "limit=0"), "limit=0: 1 or more"),
        ("", ("predictions=maps", "tolerance=3"), "tolerance=3: a fraction of the diagonal"),
        ("", ("predictions=maps", "thin=maybe"), "thin=maybe: expected true or false"),
        ("size", ("predictions=maps",), "20x10 pixels, but the photograph has "),
        ("text", ("predictions=maps",), ".png: not an image"),
        ("empty", ("predictions=maps",), ".png: the file is empty"),
        ("colour", ("predictions=maps",), ".png: in colour: a map is grey"),
        ("missing", ("predictions=maps",), "lacks 1 of 2 maps: "),
        ("mat", ("predictions=maps",), "is no readable .mat file"),
        ("images", ("predictions=maps",), "holds no images"),
    ],
)
def test_a_mistake_is_one_message_and_nothing_is_left(
    here: Callable, few: Path, kind: str, arguments: tuple[str, ...], words: str
) -> None:
    write_maps(few, "maps")
    damage(few, kind)
    outcome = here(*QUICK, f"data.root={few}", *arguments, program=PROGRAM)
    assert outcome.status == 2, outcome.err
    assert words in outcome.err
    assert outcome.err.count("cnnlab: ") == 1
    assert "Traceback" not in outcome.err
    assert not Path("outputs").exists()
