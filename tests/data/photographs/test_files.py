"""Which files are images, and the names of results."""

import os
from pathlib import Path

import pytest
from PIL import Image

from cnnlab.data.photographs.files import image_files, image_suffixes, natural, short_name


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def relative(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in image_files(folder).images]


def test_files_come_before_folders_in_natural_order_without_hidden_ones(tmp_path: Path) -> None:
    touch(tmp_path, "10.png", "9.PNG", "a/2.jpg", ".hidden.png", ".git/3.png", "B/1.webp", "Thumbs.db")
    assert relative(tmp_path) == ["9.PNG", "10.png", "a/2.jpg", "B/1.webp"]
    assert image_files(tmp_path).left_out == {}


def test_names_sort_as_people_count() -> None:
    names = ["b", "a10", "A9", "2", "10", "a", "٣"]
    assert sorted(names, key=natural) == ["2", "10", "a", "A9", "a10", "b", "٣"]


def test_links_lead_to_every_real_file_once(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png", "in/sub/b.png", "store/c.png")
    (tmp_path / "in/again").symlink_to(".")
    (tmp_path / "in/sub/up").symlink_to("../..")
    (tmp_path / "in/sub/a.png").symlink_to("../a.png")
    (tmp_path / "in/one").symlink_to("../store")
    (tmp_path / "in/two").symlink_to("one")
    assert relative(tmp_path / "in") == ["a.png", "one/c.png", "sub/b.png"]
    listing = image_files(tmp_path / "in")
    assert listing.real == tuple(os.path.realpath(path) for path in listing.images)


def test_what_is_none_says_why(tmp_path: Path) -> None:
    touch(tmp_path, "a.heic", "notes", "b.eps")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.png").symlink_to("nowhere")  # reading it will say what is wrong
    listing = image_files(tmp_path)
    assert [path.name for path in listing.images] == ["gone.png"]
    assert {Path(path).name: reason for path, reason in listing.left_out.items()} == {
        "a.heic": "no image that Pillow reads (.heic)",
        "b.eps": "no image that Pillow reads (.eps)",
        "notes": "no image that Pillow reads (no suffix)",
        "pipe.png": "not a regular file",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_must_not_be_read_says_so(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "closed/b.png")
    (tmp_path / "closed").chmod(0)
    assert image_files(tmp_path).left_out == {str(tmp_path / "closed"): "Permission denied"}


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".jp2", ".tga", ".avif", ".webp", ".tif", ".png", ".ppm", ".qoi"])
def test_the_suffixes_are_those_that_the_installed_pillow_opens(suffix: str) -> None:
    assert (suffix in image_suffixes()) == (Image.registered_extensions().get(suffix) in Image.OPEN)


@pytest.mark.parametrize("name", ["a", "a" * 251, "a" * 252, "a" * 255, "\u00e4" * 127, "\U0001f99c" * 63])
def test_a_name_fits_into_255_bytes_and_different_ones_stay_apart(name: str) -> None:
    path = short_name(Path("deep") / name, ".png")
    assert path.parent == Path("deep")
    assert len(os.fsencode(path.name)) <= 255
    assert path.name.endswith(".png")
    assert (path.name == f"{name}.png") == (len(os.fsencode(name)) <= 251)
    assert short_name(Path("deep") / f"{name[:-1]}b", ".png") != path
