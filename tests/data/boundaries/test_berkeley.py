"""The Berkeley data set is read as its distribution lays it out, and anything else is told apart."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from cnnlab.data.boundaries.berkeley import photographs, read_boundaries


def cells(*drawings: Any) -> np.ndarray:
    """A cell array as in the distribution: structures with Segmentation and Boundaries."""
    found = np.empty((1, len(drawings)), dtype=object)
    for number, drawing in enumerate(drawings):
        found[0, number] = {"Segmentation": np.zeros_like(drawing, dtype=np.uint16), "Boundaries": drawing}
    return found


def lay_out(top: Path, stems: tuple[str, ...] = ("20", "3"), split: str = "val") -> None:
    for kind in ("images", "groundTruth"):
        (top / kind / split).mkdir(parents=True)
    for stem in stems:
        Image.new("L", (6, 4)).save(top / "images" / split / f"{stem}.jpg")
        savemat(top / "groundTruth" / split / f"{stem}.mat", {"groundTruth": cells(np.eye(4, 6, dtype=np.uint8))})


def test_the_real_set_is_whole(data_root: Path) -> None:
    for split, number in (("train", 200), ("val", 100)):
        found = photographs(data_root / "BSDS500", split)
        assert len(found) == number
        assert [one.stem for one in found] == sorted(one.stem for one in found)
        for one in found[::50]:
            boundaries_AHW = read_boundaries(one.truth)
            assert boundaries_AHW.dtype == bool
            assert 4 <= len(boundaries_AHW) <= 9
            with Image.open(one.image) as image:
                assert boundaries_AHW.shape[1:] == (image.height, image.width)
            assert 0.001 < boundaries_AHW.mean() < 0.1


@pytest.mark.parametrize("inside", [".", "BSDS500", "data", "BSDS500/data", "BSR/BSDS500/data"])
def test_the_folder_may_be_the_data_or_the_unpacked_archive(tmp_path: Path, inside: str) -> None:
    lay_out(tmp_path / inside)
    (tmp_path / inside / "images" / "val" / "Thumbs.db").write_bytes(b"of Windows")
    assert [one.stem for one in photographs(tmp_path, "val")] == ["20", "3"]


def test_drawings_come_as_they_are_stored(tmp_path: Path) -> None:
    drawings = [np.eye(4, 6, k=k, dtype=np.uint8) * 7 for k in range(3)]
    savemat(tmp_path / "a.mat", {"groundTruth": cells(*drawings)})
    np.testing.assert_array_equal(read_boundaries(tmp_path / "a.mat"), np.stack(drawings) > 0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"other": 1}, "no groundTruth, but other"),
        ({"groundTruth": np.zeros((0, 0), dtype=object)}, "groundTruth is empty"),
        ({"groundTruth": cells(np.zeros((4, 6)), np.zeros((6, 4)))}, "4x6 and 6x4"),
        ({"groundTruth": cells(np.zeros((4, 6, 3)))}, "no picture"),
        ({"groundTruth": cells("text")}, "no picture"),
        ({"groundTruth": np.eye(3)}, "no fields"),
        ({"groundTruth": {"Segmentation": np.eye(3)}}, "no boundaries"),
    ],
)
def test_a_mat_without_boundaries_says_what_it_has(tmp_path: Path, content: dict[str, Any], words: str) -> None:
    savemat(tmp_path / "a.mat", content)
    with pytest.raises(ValueError, match=words) as refused:
        read_boundaries(tmp_path / "a.mat")
    assert str(tmp_path / "a.mat") in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"not a mat file", b"\x89PNG\r\n" + bytes(300)])
def test_a_file_that_is_no_mat_is_told_apart(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.mat is no readable \.mat file"):
        read_boundaries(tmp_path / "a.mat")
    with pytest.raises(ValueError, match="there is no file"):
        read_boundaries(tmp_path / "b.mat")


def test_a_wrong_folder_is_told_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no folder"):
        photographs(tmp_path / "nowhere", "val")
    with pytest.raises(ValueError, match=r"expected images/val/\*\.jpg and groundTruth/val/\*\.mat .*it is empty"):
        photographs(tmp_path, "val")
    lay_out(tmp_path)
    with pytest.raises(ValueError, match=r"no 'test' in .*; there are: val"):
        photographs(tmp_path, "test")
    with pytest.raises(ValueError, match="no 'dev'; there are: train, val, test"):
        photographs(tmp_path, "dev")


def test_an_image_without_a_drawing_is_named(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / "groundTruth" / "val" / "3.mat").unlink()
    with pytest.raises(ValueError, match=r"no \.mat for 1 of the 2 images in .*: 3"):
        photographs(tmp_path, "val")


def test_a_folder_without_images_and_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    lay_out(tmp_path)
    folder = tmp_path / "images" / "val"
    shutil.copy(folder / "3.jpg", folder / "3.png")
    with pytest.raises(ValueError, match="more than one image is called 3"):
        photographs(tmp_path, "val")
    for path in folder.iterdir():
        path.unlink()
    (folder / "notes.txt").write_text("no image")
    with pytest.raises(ValueError, match=r"holds no images .*there is: notes\.txt"):
        photographs(tmp_path, "val")
