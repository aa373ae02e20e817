"""detect_edges.py: photographs of every kind, many of them, and all that can be wrong with them."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cnnlab.data.photographs.decode import decode
from cnnlab.edges.detector import EdgeDetector
from cnnlab.edges.devices import find_device

PLAIN = ("detector=sobel", "device=cpu")


def scene(height: int = 40, width: int = 56, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8: a few smooth blobs and a square."""
    random = np.random.default_rng(seed)
    y_HW, x_HW = np.mgrid[:height, :width]
    image_HWC = np.zeros((height, width, 3))
    for _ in range(4):
        y, x, size = random.uniform(0, height), random.uniform(0, width), random.uniform(3, 9)
        blob_HW = np.exp(-((y_HW - y) ** 2 + (x_HW - x) ** 2) / size**2)
        image_HWC += blob_HW[:, :, None] * random.uniform(40, 200, 3)
    image_HWC[height // 4 : height // 2, width // 4 : width // 2] += 90
    return image_HWC.clip(0, 255).astype(np.uint8)


def photo(name: str, seed: int = 0, **options: Any) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scene(seed=seed)).save(path, **options)
    return path


def read(path: Path | str) -> np.ndarray:
    with Image.open(path) as opened:
        assert opened.mode == "I;16"
        return np.asarray(opened).astype(int)


def listing(folder: str = "out") -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.fixture
def edges(here: Callable) -> Callable:
    """The program in this process, its results in `out`."""

    def run(*arguments: object, output: str | None = "output=out") -> Any:
        return here(*PLAIN, *arguments, *([output] if output else []), program="detect_edges")

    return run


def test_a_map_is_the_strength_over_the_full_scale_in_sixteen_bits(edges: Callable) -> None:
    path = photo("a.png")
    outcome = edges(f"input={path}", output=None)
    assert (outcome.status, outcome.err) == (0, "")
    full_scale = json.loads((outcome.folder / "edges.json").read_text())["full_scale"]
    image_1CHW = torch.from_numpy(decode(path) / np.float32(255)).permute(2, 0, 1)[None]
    wanted = EdgeDetector.plain("sobel").thinned(image_1CHW)[0, 0].numpy() / full_scale * 65535
    assert wanted.max() > 6000
    np.testing.assert_allclose(read(outcome.folder / "a.png"), wanted.clip(0, 65535), atol=0.51)
    assert json.loads((outcome.folder / "summary.json").read_text())["status"] == "completed"
    with Image.open(outcome.folder / "a_edges.jpg") as picture:
        assert picture.size == (3 * 56 + 16, 40)
        left_HWC = np.asarray(picture)[:, :56].astype(int)
    assert np.abs(left_HWC - scene()).mean() < 4
    assert sorted(path.name for path in outcome.folder.iterdir() if not path.name.startswith(".")) == [
        *("a.png", "a_edges.jpg", "config.yaml", "edges.json", "summary.json")
    ]


KINDS: dict[str, Callable[[Image.Image, Path], None]] = {
    "bmp": lambda image, path: image.save(path),
    "tiff": lambda image, path: image.save(path, compression="tiff_lzw"),
    "webp": lambda image, path: image.save(path, lossless=True),
    "palette.png": lambda image, path: image.convert("P", palette=Image.Palette.ADAPTIVE).save(path),
    "opaque.png": lambda image, path: image.convert("RGBA").save(path),
    "print.tif": lambda image, path: image.convert("CMYK").save(path),
    "photo.jpg": lambda image, path: image.save(path, quality=100, subsampling=0),
}


def test_one_picture_in_files_of_many_kinds_has_one_map(edges: Callable) -> None:
    wanted = photo("in/a.png")
    for name, save in KINDS.items():
        save(Image.fromarray(scene()), Path("in", f"{name.replace('.', '_')}.{name.split('.')[-1]}"))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(np.rot90(scene())).save("in/turned.png", exif=exif)
    outcome = edges("input=in", "pictures=false")
    assert (outcome.status, outcome.err) == (0, "")
    assert len(list(Path("out").glob("*.png"))) == len(KINDS) + 2
    wanted = read("out/a.png")
    for path in Path("out").glob("*.png"):
        near = np.abs(read(path) - wanted) <= (4000 if "palette" in path.name or "photo" in path.name else 0)
        assert near.mean() > 0.85, path


def test_what_cannot_be_read_is_listed_and_the_others_are_done(edges: Callable) -> None:
    for number in range(4):
        photo(f"in/{number}.png", seed=number)
    Path("in/text.png").write_text("not a picture")
    Path("in/empty.jpg").touch()
    Path("in/cut.png").write_bytes(Path("in/0.png").read_bytes()[:400])
    Image.new("F", (9, 9)).save("in/float.tif")
    Path("in/gone.png").symlink_to("nowhere.png")
    outcome = edges("input=in")
    assert outcome.status == 1
    for words in ("5 skipped", "in/text.png: not an image", "in/empty.jpg: the file is empty", "in/cut.png: ",
                  "in/float.tif: floating-point pixels", "in/gone.png: No such file"):  # fmt: skip
        assert words in outcome.err
    assert sorted(path.name for path in Path("out").glob("*.png")) == ["0.png", "1.png", "2.png", "3.png"]
    content = json.loads((outcome.folder / "summary.json").read_text())
    assert (content["written"], len(content["broken"])) == (4, 5)
    assert edges("input=in/empty.jpg").status == 1


def test_killed_in_the_middle_and_run_again_it_ends_as_if_it_had_not_been(background: Callable) -> None:
    for number in range(40):
        photo(f"in/{number}.png", seed=number)
    asked = ("input=in", *PLAIN, "threads=2")
    whole = background(*asked, "output=whole", program="detect_edges").wait()
    assert whole.status == 0
    run = background(*asked, "output=out", program="detect_edges")
    run.when(lambda: len(list(Path("out").glob("*.png"))) > 4)
    assert run.send(signal.SIGKILL).status == -signal.SIGKILL
    written = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
    assert 4 < len(written) < 40
    again = background(*asked, "output=out", program="detect_edges").wait()
    assert (again.status, again.err) == (0, "")
    assert f"{len(written)} done before" in again.out or f"{len(written) - 1} done before" in again.out
    assert listing() == listing("whole")


def test_interrupted_it_says_how_to_go_on(background: Callable) -> None:
    for number in range(200):
        photo(f"in/{number}.png", seed=number)
    run = background("input=in", *PLAIN, program="detect_edges")
    run.when(lambda: len(list(Path("outputs").glob("detect_edges/*/*.png"))) > 2)
    outcome = run.send(signal.SIGTERM)
    assert outcome.status == 143
    (folder,) = Path("outputs/detect_edges").iterdir()
    assert f"output={folder}" in outcome.err
    assert json.loads((folder / "summary.json").read_text())["status"] == "interrupted"
    assert not list(folder.glob("*.part"))


def test_a_full_disk_ends_it_with_the_name_of_the_file(background: Callable) -> None:
    noise_HWC = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    Image.fromarray(noise_HWC).save("noise.bmp")
    outcome = background("input=noise.bmp", *PLAIN, "output=out", program="detect_edges", largest_file=60_000).wait()
    assert outcome.status == 2
    assert "noise_edges.jpg: File too large" in outcome.err
    assert "Traceback" not in outcome.err
    assert not [name for name in listing() if "noise" in name]


def bad(edges: Callable, words: list[str], *arguments: object, **options: Any) -> None:
    outcome = edges(*arguments, **options)
    assert outcome.status == 2, outcome.out
    assert outcome.err.startswith("cnnlab: ")
    assert outcome.err.count("cnnlab: ") == 1
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err
    assert not Path("outputs").exists()


MISTAKES = [
    ("input=photso", ["there is no file or folder photso", "did you mean 'photos'"]),
    ("input=nowhere/deep/a.png", ["nowhere/deep/a.png", "holds no nowhere"]),
    ("input=photos/b.png", ["photos/b.png", "did you mean 'a.png'"]),
    ("input=bare", ["no images in bare", "holds notes.txt", ".png"]),
    ("input=void", ["no images in void", "holds nothing"]),
    ("input=''", ["input"]),
    ("input=done", ["done holds results of this program"]),
    ("input=photos output=photos", ["the folder of the photographs", "photos/edges"]),
    ("input=photos output=bare/notes.txt", ["bare/notes.txt is a file"]),
    ("input=photos output=bare/notes.txt/deep", ["notes.txt is a file"]),
    ("input=photos detector=sobl", ["detector", "'sobl'", "edge_detector"]),
    ("input=photos detector.bank=sobl", ["'sobl'", "did you mean 'sobel'"]),
    ("input=photos detector.bnak=sobel", ["'detector.bnak'", "did you mean 'detector.bank'"]),
    ("input=photos +detector.bnak=sobel", ["takes no 'bnak'", "did you mean 'bank'"]),
    ("input=photos detector.bank=3", ["text", "detector.bank=sobel"]),
    ("input=photos detector.bank=laplacian", ["detector"]),
    ("input=photos device=cdua", ["device=cdua", "did you mean 'cuda'"]),
    ("input=photos threads=0", ["threads=0", "at least 1"]),
    ("input=photos threads=two", ["threads=two", "an integer or null"]),
    ("input=photos pictures=some", ["pictures=some", "true or false"]),
    ("input=photos overwrit=true", ["'overwrit'", "did you mean 'overwrite'"]),
    ("input=photo (1).jpg", ["no file or folder photo (1).jpg"]),
    ("", ["missing: input"]),
]


@pytest.mark.parametrize(("line", "words"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_one_message_and_leaves_nothing(here: Callable, line: str, words: list[str]) -> None:
    photo("photos/a.png")
    Path("void").mkdir()
    Path("bare").mkdir()
    Path("bare/notes.txt").write_text("no photograph")
    Path("done").mkdir()
    Path("done/edges.json").write_text("{}")
    arguments = [line] if "(1)" in line else line.split()
    bad(here, words, *arguments, program="detect_edges")
    assert [path.name for path in Path("photos").iterdir()] == ["a.png"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there(edges: Callable) -> None:
    bad(edges, ["device=cuda", "no GPU", "device=auto"], f"input={photo('a.png')}", "device=cuda", output=None)
    assert find_device("auto").type == "cpu"


def test_a_class_of_no_allowed_package_and_one_that_is_no_detector(edges: Callable) -> None:
    path = photo("a.png")
    bad(edges, ["refused"], f"input={path}", "detector._target_=os.system")
    bad(edges, ["is no Module"], f"input={path}", "detector._target_=cnnlab.filters.bank.FilterBank")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_must_not_be_written_to(edges: Callable) -> None:
    Path("out").mkdir(mode=0o500)
    bad(edges, ["out", "Permission denied"], f"input={photo('a.png')}")


def test_every_detector_of_the_configurations_is_built_and_finds_the_square(edges: Callable, here: Callable) -> None:
    Image.fromarray(scene(96, 96)).save("a.png")
    options = {path.stem for path in (Path(__file__).parents[2] / "configs" / "detector").glob("*.yaml")} - {"module"}
    assert "edge_detector" in options
    for option in options:
        outcome = here("input=a.png", f"detector={option}", f"output={option}", "device=cpu", program="detect_edges")
        assert (outcome.status, outcome.err) == (0, ""), option
        assert (read(f"{option}/a.png") > 0).mean() > 0.01


def test_help_tells_what_comes_out(here: Callable) -> None:
    outcome = here("--help", program="detect_edges")
    assert outcome.status == 0
    for words in ("input=PHOTO.jpg", "NAME_edges.jpg", "65535", "detector: edge_detector", "overwrite"):
        assert words in outcome.out
