"""A folder of photographs: every kind and many of them, what is done before, and what is in the way."""

import json
import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab._choices import UsageError
from cnnlab._files import held
from cnnlab.edges import folder as edge_folder
from cnnlab.edges.detector import EdgeDetector
from cnnlab.edges.folder import Detected, detect_folder

Photo = Callable[..., Path]


def edges(input: str = "in", output: str = "out", bank: str = "sobel", **options: object) -> Detected:
    return detect_folder(input, output, EdgeDetector.plain(bank), **{"device": "cpu", **options})


def read(path: Path | str) -> np.ndarray:
    with Image.open(path) as opened:
        assert opened.mode == "I;16"
        return np.asarray(opened).astype(int)


def listing(folder: str = "out") -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def names(paths: tuple[Path, ...]) -> list[str]:
    return [str(path.relative_to("out")) for path in paths]


def test_with_its_defaults_it_detects_and_says_what_it_left(photo: Photo) -> None:
    photo("in/a.png")
    photo("in/deep/b.png", seed=1)
    done = detect_folder(Path("in"), Path("out"))
    assert (names(done.made), done.done_before, done.skipped) == (["a.png", "deep/b.png"], (), {})
    assert done.settings["detector"]["bank"] == "gaussian(sigma=3, order=1)"
    content = json.loads(Path("out/edges.json").read_text())
    assert {name: content[name] for name in ("detector", "kernels")} == {
        name: done.settings[name] for name in ("detector", "kernels")
    }
    assert (read("out/a.png") > 0).any()


def test_grey_pictures_and_grey_of_colours(photo: Photo, blobs: Callable[..., np.ndarray]) -> None:
    photo("in/colour.bmp")
    Image.fromarray(blobs()).convert("L").save("in/grey.png")
    Image.fromarray(blobs()).convert("LA").save("in/grey_alpha.tif")
    edges(grey=True)
    np.testing.assert_array_equal(read("out/grey.png"), read("out/grey_alpha.png"))
    assert np.median(np.abs(read("out/colour.png") - read("out/grey.png"))) < 300


def test_sixteen_bits_show_steps_that_eight_bits_hide(photo: Photo) -> None:
    step_HW = np.full((20, 20), 30000, np.uint16)
    step_HW[:, 10:] += 60
    Path("in").mkdir()
    Image.fromarray(step_HW).save("in/deep.png")
    Image.fromarray((step_HW // 257).astype(np.uint8)).save("in/flat.png")
    edges()
    assert (read("out/deep.png") > 0).sum() == 20
    assert (read("out/flat.png") == 0).all()


def test_folders_stay_apart_and_names_that_differ_in_their_suffix_keep_it(photo: Photo) -> None:
    for number, name in enumerate(("a.jpg", "a.png", "b.png", "sub/a.png", "sub/b.v2.png", "C.png", "c.bmp", ".d.png")):
        photo(f"in/{name}", seed=number)
    edges(output="in/out", pictures=False)
    assert sorted(name for name in listing("in/out") if name.endswith(".png")) == sorted(
        ["a.jpg.png", "a.png.png", "b.png", "sub/a.png", "sub/b.v2.png", "C.png.png", "c.bmp.png"]
    )
    # and its own results, below the input, are not read
    assert len(edges(output="in/out", pictures=False).done_before) == 7
    assert len(edges(output="elsewhere", pictures=False).made) == 7


def test_results_that_would_have_one_name_are_refused(photo: Photo) -> None:
    for name in ("a.jpg", "a.png", "a.jpg.png"):
        photo(f"in/{name}")
    with pytest.raises(UsageError, match=r"a\.jpg and a\.jpg\.png would have one name, a\.jpg;"):
        edges()


@pytest.mark.parametrize("name", ["a" * 246, "ä" * 120, "🦜" * 61 + "abc"])
def test_a_name_that_is_too_long_for_its_results_is_shortened(photo: Photo, name: str) -> None:
    for one in (name, "b", "c"):
        photo(f"in/{one}.jpg")
    done = edges()
    assert (len(done.made), done.skipped) == (3, {})
    assert all(len(os.fsencode(path.name)) <= 255 for path in Path("out").iterdir())
    assert sum(path.name.startswith(name[:30]) for path in Path("out").iterdir()) == 2
    assert len(edges().done_before) == 3


def test_every_real_file_comes_once_whatever_links_lead_to_it(photo: Photo) -> None:
    for number, name in enumerate(("a.png", "sub/b.png")):
        photo(f"in/{name}", seed=number)
    photo("store/c.png", seed=3)
    Path("in/sub/back").symlink_to(Path("in").absolute())
    Path("in/again.png").symlink_to("a.png")
    Path("in/store").symlink_to(Path("store").absolute())
    Path("in/zz_store").symlink_to(Path("store").absolute())
    assert names(edges().made) == ["a.png", "store/c.png", "sub/b.png"]


def test_all_that_pillow_reads_is_a_photograph_and_what_is_none_is_said(photo: Photo) -> None:
    for name in ("a.jfif", "b.jpe", "c.tga", "d.jp2", "e.PNG"):
        photo(f"in/{name}")
    Path("in/f.heic").write_bytes(b"unread")
    Path("in/notes.txt").write_text("a note")
    Path("in/Thumbs.db").write_text("of Windows")
    os.mkfifo("in/pipe.png")
    done = edges(pictures=False)
    assert len(done.made) == 5
    assert done.broken == {}
    assert done.left_out == {
        "in/f.heic": "no image that Pillow reads (.heic)",
        "in/notes.txt": "no image that Pillow reads (.txt)",
        "in/pipe.png": "not a regular file",
    }


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3)])
def test_the_smallest_pictures(photo: Photo, shape: tuple[int, int]) -> None:
    Image.fromarray(np.full(shape, 200, np.uint8)).save("a.png")
    edges("a.png", bank="gaussian(sigma=2, order=1)")
    assert read("out/a.png").shape == shape
    assert (read("out/a.png") == 0).all()


def test_a_second_run_does_nothing_and_a_third_with_other_settings_is_refused(photo: Photo) -> None:
    for number in range(3):
        photo(f"in/{number}.png", seed=number)
    edges()
    before, times = listing(), {path: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
    assert len(edges().done_before) == 3
    assert times == {path: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
    with pytest.raises(UsageError, match=r"detector\.bank sobel there, scharr now.*overwrite=true"):
        edges(bank="scharr")
    assert listing() == before
    assert len(edges(bank="scharr", overwrite=True).made) == 3
    assert all(listing()[f"{number}.png"] != before[f"{number}.png"] for number in range(3))


@pytest.mark.parametrize("name", ["0.png", "0_edges.jpg"])
def test_files_of_others_are_not_overwritten(photo: Photo, name: str) -> None:
    photo("in/0.png")
    Path("out").mkdir()
    Path("out", name).write_text("mine")
    with pytest.raises(UsageError, match=rf"(?s)out/{name}.*overwrite=true"):
        edges()
    assert listing() == {name: b"mine"}
    edges(overwrite=True)
    assert listing()[name] != b"mine"


def test_a_photograph_that_changed_is_not_done(photo: Photo) -> None:
    photo("in/0.png")
    photo("in/1.png", seed=1)
    edges()
    photo("in/0.png", seed=5)
    with pytest.raises(UsageError, match=r"out/0\.png") as refused:
        edges()
    assert "out/1.png" not in str(refused.value)
    assert names(edges(overwrite=True).done_before) == ["1.png"]


def test_pictures_can_be_added_later(photo: Photo) -> None:
    photo("in/0.png")
    edges(pictures=False)
    assert "0_edges.jpg" not in listing()
    edges()
    assert "0_edges.jpg" in listing()


def test_a_photograph_is_never_overwritten(photo: Photo) -> None:
    path = photo("a.png")
    before = path.read_bytes()
    for overwrite in (True, False):
        with pytest.raises(UsageError, match="one of the photographs"):
            edges("a.png", ".", overwrite=overwrite)
    assert path.read_bytes() == before


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_no_more_photographs_are_in_memory_than_are_worked_on(
    photo: Photo, monkeypatch: pytest.MonkeyPatch, threads: int
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

    decode = edge_folder.decode_deep
    monkeypatch.setattr(edge_folder, "decode_deep", counted)
    edges(threads=threads)
    assert len(most) == 40
    assert max(most) == threads


def test_one_thread_is_one_thread(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither torch nor a thread of ours works beside it, however many cores there are."""
    import torch

    for number in range(4):
        photo(f"in/{number}.png", seed=number)
    seen = []

    def noted(*given: object, **options: object) -> object:
        seen.append((torch.get_num_threads(), threading.get_ident(), options["threads"]))
        return detect(*given, **options)

    detect = edge_folder.detect
    monkeypatch.setattr(edge_folder, "detect", noted)
    monkeypatch.setattr(edge_folder, "cores", lambda: 4)
    torch.set_num_threads(3)
    try:
        edges(threads=1)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(1)
    assert set(seen) == {(1, threading.get_ident(), 1)}


def test_large_photographs_are_worked_on_one_at_a_time_by_all_threads(
    photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        photo(f"in/{number}.png", seed=number)
    monkeypatch.setattr(edge_folder, "ALONE", 100)
    working, most = [], []

    def counted(*given: object, **options: object) -> object:
        working.append(given)
        most.append((len(working), options["threads"]))
        time.sleep(0.02)
        working.pop()
        return detect(*given, **options)

    detect = edge_folder.detect
    monkeypatch.setattr(edge_folder, "detect", counted)
    edges(threads=3)
    assert set(most) == {(1, 3)}


def test_halves_that_a_killed_process_left_are_removed_and_nothing_else(photo: Photo) -> None:
    photo("in/a.png")
    Path("out").mkdir()
    for name in ("a.png.123.part", "a_edges.jpg.45.part", "a.png.part", "b.png.123.part"):
        Path("out", name).write_text("half")
    edges()
    assert sorted(path.name for path in Path("out").glob("*.part")) == ["a.png.part", "b.png.123.part"]


def test_a_folder_in_use_is_left_alone(photo: Photo) -> None:
    photo("in/0.png")
    Path("out").mkdir()
    with held(Path("out")), pytest.raises(UsageError, match="out is still running in another process"):
        edges()


def test_a_bug_in_a_detector_is_no_broken_photograph(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EdgeDetector, "both", lambda *_: {}["bug"])
    with pytest.raises(KeyError, match="bug"):
        edges(str(photo("a.png")))
    assert "a.png" not in listing()


def test_more_pixels_than_memory_are_skipped_in_words(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    photo("in/0.png")
    monkeypatch.setattr("cnnlab.data.photographs.decode.MOST_PIXELS", 100)
    assert edges().broken == {"in/0.png": "56 x 40 are 0 million pixels, more than 0 million; cut it into parts"}
