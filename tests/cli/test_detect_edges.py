"""detect_edges.py: photographs of every kind, many of them, and all that can be wrong with them."""

import json
import os
import signal
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cnnlab._files import held
from cnnlab.cli.programs import detect_edges
from cnnlab.data.photographs.decode import decode_float
from cnnlab.edges import maps as edge_maps
from cnnlab.edges.choosing import build_detector, find_device
from cnnlab.edges.detector import EdgeDetector
from cnnlab.edges.maps import draw

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
    image_1CHW = torch.from_numpy(decode_float(path)).permute(2, 0, 1)[None]
    wanted = EdgeDetector("sobel").thinned(image_1CHW)[0, 0].numpy() / full_scale * 65535
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


def test_grey_pictures_and_grey_of_colours(edges: Callable) -> None:
    Image.fromarray(scene()).convert("L").save("grey.png")
    Image.fromarray(scene()).convert("LA").save("grey_alpha.tif")
    for name in ("grey.png", "grey_alpha.tif", str(photo("colour.bmp"))):
        assert edges(f"input={name}", "grey=true").status == 0
    np.testing.assert_array_equal(read("out/grey.png"), read("out/grey_alpha.png"))
    assert np.median(np.abs(read("out/colour.png") - read("out/grey.png"))) < 300


def test_sixteen_bits_show_steps_that_eight_bits_hide(edges: Callable) -> None:
    step_HW = np.full((20, 20), 30000, np.uint16)
    step_HW[:, 10:] += 60
    Image.fromarray(step_HW).save("deep.png")
    Image.fromarray((step_HW // 257).astype(np.uint8)).save("flat.png")
    for name in ("deep", "flat"):
        assert edges(f"input={name}.png").status == 0
    assert (read("out/deep.png") > 0).sum() == 20
    assert (read("out/flat.png") == 0).all()


def test_folders_stay_apart_and_names_that_differ_in_their_suffix_keep_it(edges: Callable) -> None:
    for number, name in enumerate(("a.jpg", "a.png", "b.png", "sub/a.png", "sub/b.v2.png", "C.png", "c.bmp", ".d.png")):
        photo(f"in/{name}", seed=number)
    Path("in/sub/back").symlink_to(Path("in").absolute())
    assert edges("input=in", "output=in/out", "pictures=false", output=None).status == 0
    assert sorted(name for name in listing("in/out") if name.endswith(".png")) == sorted(
        ["a.jpg.png", "a.png.png", "b.png", "sub/a.png", "sub/b.v2.png", "C.png.png", "c.bmp.png"]
    )
    again = edges("input=in", "output=in/out", "pictures=false", output=None)
    assert "7 done before" in again.out  # and its own results, below the input, were not read
    assert edges("input=in", "output=elsewhere", "pictures=false", output=None).status == 0
    assert len(list(Path("elsewhere").rglob("*.png"))) == 7


def test_results_that_would_have_one_name_are_refused(edges: Callable) -> None:
    for name in ("a.jpg", "a.png", "a.jpg.png"):
        photo(f"in/{name}")
    outcome = edges("input=in")
    assert outcome.status == 2
    assert "a.jpg and a.jpg.png would have one name, a.jpg;" in outcome.err


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


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3)])
def test_the_smallest_pictures(edges: Callable, shape: tuple[int, int]) -> None:
    Image.fromarray(np.full(shape, 200, np.uint8)).save("a.png")
    outcome = edges("input=a.png", "detector.bank='\"gaussian(sigma=2, order=1)\"'".replace("'", ""))
    assert (outcome.status, outcome.err) == (0, "")
    assert read("out/a.png").shape == shape
    assert (read("out/a.png") == 0).all()


def test_a_second_run_does_nothing_and_a_third_with_other_settings_is_refused(edges: Callable) -> None:
    for number in range(3):
        photo(f"in/{number}.png", seed=number)
    assert edges("input=in").status == 0
    before = listing()
    times = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
    assert "3 done before" in edges("input=in").out
    assert times == {path: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
    outcome = edges("input=in", "detector.bank=scharr")
    assert outcome.status == 2
    assert "detector.bank sobel there, scharr now" in outcome.err
    assert "overwrite=true" in outcome.err
    assert listing() == before
    outcome = edges("input=in", "detector.bank=scharr", "overwrite=true")
    assert (outcome.status, outcome.err) == (0, "")
    assert all(listing()[f"{number}.png"] != before[f"{number}.png"] for number in range(3))


@pytest.mark.parametrize("name", ["0.png", "0_edges.jpg"])
def test_files_of_others_are_not_overwritten(edges: Callable, name: str) -> None:
    photo("in/0.png")
    Path("out").mkdir()
    Path("out", name).write_text("mine")
    outcome = edges("input=in")
    assert outcome.status == 2
    assert f"out/{name}" in outcome.err
    assert "overwrite=true" in outcome.err
    assert listing() == {name: b"mine"}
    assert edges("input=in", "overwrite=true").status == 0
    assert listing()[name] != b"mine"


def test_a_photograph_that_changed_is_not_done(edges: Callable) -> None:
    photo("in/0.png")
    photo("in/1.png", seed=1)
    assert edges("input=in").status == 0
    photo("in/0.png", seed=5)
    outcome = edges("input=in")
    assert outcome.status == 2
    assert "out/0.png" in outcome.err
    assert "out/1.png" not in outcome.err
    outcome = edges("input=in", "overwrite=true")
    assert outcome.status == 0
    assert "1 done before" in outcome.out


def test_pictures_can_be_added_later(edges: Callable) -> None:
    photo("in/0.png")
    assert edges("input=in", "pictures=false").status == 0
    assert "0_edges.jpg" not in listing()
    assert edges("input=in").status == 0
    assert "0_edges.jpg" in listing()


def test_a_photograph_is_never_overwritten(edges: Callable) -> None:
    path = photo("a.png")
    before = path.read_bytes()
    for overwrite in ("true", "false"):
        outcome = edges("input=a.png", "output=.", f"overwrite={overwrite}", output=None)
        assert outcome.status == 2
        assert "one of the photographs" in outcome.err
    assert path.read_bytes() == before


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
    assert not list(folder.glob(".*.part"))


def test_a_full_disk_ends_it_with_the_name_of_the_file(background: Callable) -> None:
    noise_HWC = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    Image.fromarray(noise_HWC).save("noise.bmp")
    outcome = background("input=noise.bmp", *PLAIN, "output=out", program="detect_edges", largest_file=60_000).wait()
    assert outcome.status == 2
    assert "noise_edges.jpg: File too large" in outcome.err
    assert "Traceback" not in outcome.err
    assert not [name for name in listing() if "noise" in name]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_no_more_photographs_are_in_memory_than_are_worked_on(
    edges: Callable, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    for number in range(40):
        photo(f"in/{number}.bmp", seed=number)
    alive, most = set(), []

    def counted(path: Path) -> np.ndarray:
        pixels_HWC = decode(path)
        alive.add(id(pixels_HWC))
        weakref.finalize(pixels_HWC, alive.discard, id(pixels_HWC))
        most.append(len(alive))
        time.sleep(0.002)
        return pixels_HWC

    decode = detect_edges.decode_deep
    monkeypatch.setattr(detect_edges, "decode_deep", counted)
    assert edges("input=in", f"threads={threads}").status == 0
    assert len(most) == 40
    assert max(most) == threads


def test_large_photographs_are_worked_on_one_at_a_time(edges: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        photo(f"in/{number}.png", seed=number)
    monkeypatch.setattr(detect_edges, "ALONE", 100)
    working, most = [], []

    def counted(path: Path) -> np.ndarray:
        working.append(path)
        most.append(len(working))
        time.sleep(0.02)
        working.pop()
        return decode(path)

    decode = detect_edges.decode_deep
    monkeypatch.setattr(detect_edges, "decode_deep", counted)
    assert edges("input=in", "threads=3").status == 0
    assert max(most) == 1


TILED = {
    "sobel": {"bank": "sobel"},
    "weak and strong": {"bank": "sobel", "low": 0.02, "high": 0.08},
    "automatic": {"bank": "scharr", "thresholds": "automatic"},
    "of all kinds": {"bank": "gaussian(sigma=2, order=1)", "space": "opponent", "colour": "tensor", "texture": 1.0,
                     "surround": 0.5, "surround_radius": 9},
}  # fmt: skip


@pytest.mark.parametrize("kind", TILED)
def test_in_tiles_a_photograph_has_the_edges_of_the_whole(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Also where a weak edge hangs together with a strong one many tiles away."""
    pixels_HWC = scene(300, 500)
    pixels_HWC[150:, :] //= 4
    pixels_HWC[150:] += np.linspace(0, 120, 500).astype(np.uint8)[None, :, None]
    monkeypatch.setattr("cnnlab.edges.pictures.LARGEST", 210)  # a panel is a third of the photograph
    detector, how = EdgeDetector(**TILED[kind]), {"grey": kind == "sobel", "pictures": True}
    whole = edge_maps.detect(detector, pixels_HWC, torch.device("cpu"), **how)
    monkeypatch.setattr(edge_maps, "WHOLE", 1000)
    monkeypatch.setattr(edge_maps, "STEP", 70)
    monkeypatch.setattr(edge_maps, "ALIGNED", 16)
    calls = []
    monkeypatch.setattr(EdgeDetector, "both", lambda *given: calls.append(given) or both(*given))
    shares: list[float] = []
    tiled = edge_maps.detect(detector, pixels_HWC, torch.device("cpu"), told=shares.append, **how)
    assert len(calls) == len(shares) > 10
    assert shares == sorted(shares)
    assert shares[-1] == 1
    alone = edge_maps.detect(detector, pixels_HWC, torch.device("cpu"), grey=how["grey"], pictures=False)
    np.testing.assert_array_equal(alone.thinned_HW, tiled.thinned_HW)
    assert ((tiled.thinned_HW > 0) != (whole.thinned_HW > 0)).mean() < 1e-4
    for one, other in zip(tiled[:2], whole[:2], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert tiled.strength_hw.shape == (100, 167)
    if kind in ("weak and strong", "automatic"):
        everything = edge_maps.locally(detector)[1].thinned(edge_maps.tensor_of(pixels_HWC, torch.device("cpu"), False))
        assert 0 < (tiled.thinned_HW > 0).sum() < (everything > 0).sum()
    difference = draw(pixels_HWC, tiled, 1.0).astype(int) - draw(pixels_HWC, whole, 1.0)
    assert np.abs(difference).mean() < 0.01


both = EdgeDetector.both


def test_tiles_cover_every_pixel_once_and_bring_their_margin() -> None:
    for height, width, reach, k in ((1, 1, 5, 1), (2100, 5000, 9, 3), (5000, 2047, 70, 2)):
        seen_HW = np.zeros((height, width), int)
        for tile in edge_maps.tiles(height, width, reach, k):
            seen_HW[tile.inner] += 1
            for outer, inner, crop, end in zip(tile.outer, tile.inner, tile.crop, (height, width), strict=True):
                assert outer.start + crop.start == inner.start
                assert crop.stop - crop.start == inner.stop - inner.start
                assert outer.start <= max(0, inner.start - reach)
                assert outer.stop >= min(end, inner.stop + reach)
                assert outer.start % 64 == inner.start % (64 * k) == 0
        assert (seen_HW == 1).all()


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
    ("input=photos threads=two", ["threads=two", "a whole number or null"]),
    ("input=photos pictures=some", ["pictures=some", "true or false"]),
    ("input=photos overwrit=true", ["'overwrit'", "did you mean 'overwrite'"]),
    ("input=photo (1).jpg", ["can't read", "quotes"]),
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


def test_a_folder_in_use_is_left_alone(edges: Callable) -> None:
    photo("in/0.png")
    Path("out").mkdir()
    with held(Path("out")):
        bad(edges, ["out is still running in another process"], "input=in")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_must_not_be_written_to(edges: Callable) -> None:
    Path("out").mkdir(mode=0o500)
    bad(edges, ["out", "Permission denied"], f"input={photo('a.png')}")


def test_a_bug_in_a_detector_is_no_broken_photograph(edges: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EdgeDetector, "both", lambda *_: {}["bug"])
    with pytest.raises(KeyError, match="bug"):
        edges(f"input={photo('a.png')}")
    assert "a.png" not in listing()


def test_more_pixels_than_memory_are_skipped_in_words(edges: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    photo("in/0.png")
    monkeypatch.setattr("cnnlab.data.photographs.decode.MOST_PIXELS", 100)
    outcome = edges("input=in")
    assert outcome.status == 1
    assert "in/0.png: 56 x 40 are 0 million pixels" in outcome.err


def test_every_detector_of_the_configurations_is_built_and_finds_the_square(edges: Callable, here: Callable) -> None:
    Image.fromarray(scene(96, 96)).save("a.png")
    options = [path.stem for path in (Path(__file__).parents[2] / "configs" / "detector").glob("*.yaml")]
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
    assert build_detector.__doc__
