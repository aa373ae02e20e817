"""Image folders as people keep them. N images, C channel, H height, W width."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image

from cnnlab.data.images import folder as folder_module
from cnnlab.data.images.folder import FolderOptions, read_folder
from cnnlab.data.images.images import FolderImages, TensorImages, mean_and_std
from cnnlab.data.photographs.files import natural

Writer = Callable[..., np.ndarray]


def options(size=None, on_broken: str = "error", in_memory: bool | str = "auto") -> FolderOptions:
    return FolderOptions(size, on_broken, in_memory, threads=2)


def test_pixels_labels_and_names_are_those_of_the_files(folder: Path, write_image: Writer) -> None:
    images = read_folder(folder / "train", options())
    assert images.class_names == ("cat", "dog")
    assert images.label_N.tolist() == [0] * 12 + [1] * 12
    assert images.shape == (3, 10, 12)
    expected_HWC = write_image(folder / "again.png", seed=110)
    np.testing.assert_array_equal(images.image_NCHW[22].permute(1, 2, 0).numpy(), expected_HWC)  # dog/10.png


def test_names_sort_as_people_count() -> None:
    names = ["b", "a10", "A9", "2", "10", "a", "٣"]
    assert sorted(names, key=natural) == ["2", "10", "a", "A9", "a10", "b", "٣"]


def test_hidden_and_foreign_files_are_ignored_and_nested_ones_found(folder: Path, write_image: Writer) -> None:
    (folder / "train" / ".cache").mkdir()
    (folder / "train" / "notes.txt").write_text("x")
    (folder / "train" / "cat" / "Thumbs.db").write_text("x")
    (folder / "train" / "cat" / "._0.png").write_text("x")
    write_image(folder / "train" / "cat" / "more" / "0.PNG", seed=5)
    write_image(folder / "train" / "cat" / ".hidden" / "0.png", seed=5)
    images = read_folder(folder / "train", options())
    assert images.class_names == ("cat", "dog")
    assert len(images) == 25


def test_every_real_file_comes_once_whatever_links_lead_to_it(folder: Path, write_image: Writer) -> None:
    cat = folder / "train" / "cat"
    (cat / "again").symlink_to(".")
    (cat / "up").symlink_to("..")
    (cat / "copy.png").symlink_to("0.png")
    store = folder / "store"
    write_image(store / "a.png", seed=1)
    (folder / "train" / "emu").symlink_to(store)
    images = read_folder(folder / "train", options())
    assert images.class_names == ("cat", "dog", "emu")
    # cat/up leads to the folders of the other classes, which is told of in the test below
    assert [int((images.label_N == label).sum()) for label in range(3)] == [12 + 12 + 1, 12, 1]


def test_an_image_of_two_classes_is_told_of(
    folder: Path, write_image: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "train" / "cat" / "more").symlink_to("../dog")
    read_folder(folder / "train", options())
    assert "12 images of" in (told := capsys.readouterr().err)
    assert "have two classes by links" in told


def test_all_that_pillow_reads_is_an_image_and_the_rest_is_said_and_counted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cat = folder / "train" / "cat"
    for number, kind in ((0, "jfif"), (1, "jpe"), (2, "tga")):
        Image.open(cat / f"{number}.png").save(cat / f"{number}.{kind}", format={"tga": "TGA"}.get(kind, "JPEG"))
        (cat / f"{number}.png").unlink()
    (cat / "phone.heic").write_bytes(b"unread")
    os.mkfifo(cat / "pipe.png")
    images = read_folder(folder / "train", options())
    assert len(images) == 24
    assert [Path(path).name for path in images.skipped] == ["phone.heic", "pipe.png"]
    assert capsys.readouterr().err.count("left out") == 1


def test_a_picture_that_pillow_would_refuse_for_its_size_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    assert len(read_folder(folder / "train", options())) == 24


@pytest.mark.parametrize("in_memory", [True, False])
def test_grey_among_colour_becomes_colour_and_grey_alone_stays_grey(
    tmp_path: Path, write_image: Writer, in_memory: bool
) -> None:
    grey_HW = write_image(tmp_path / "a" / "0.png", mode="L")
    write_image(tmp_path / "b" / "0.png", mode="L")
    assert read_folder(tmp_path, options(in_memory=in_memory)).shape == (1, 10, 12)
    write_image(tmp_path / "b" / "1.png", mode="RGB")
    images = read_folder(tmp_path, options(in_memory=in_memory))
    assert images.shape == (3, 10, 12)
    for channel_HW in images[0][0]:
        np.testing.assert_array_equal(channel_HW.numpy(), grey_HW)


@pytest.mark.parametrize("size", [None, (6, 5)])
def test_in_files_and_in_memory_are_the_same_images_with_the_same_statistics(
    folder: Path, write_image: Writer, size: tuple[int, int] | None
) -> None:
    write_image(folder / "train" / "cat" / "grey.png", mode="L")
    kept = read_folder(folder / "train", options(size, in_memory=True))
    filed = read_folder(folder / "train", options(size, in_memory=False))
    assert isinstance(kept, TensorImages)
    assert isinstance(filed, FolderImages)
    index_M = torch.tensor([24, 3, 3, 12])
    assert torch.equal(kept.read(index_M), filed.read(index_M))
    assert torch.equal(kept.label_N, filed.label_N)
    assert torch.equal(kept[7][0], filed[7][0])
    for one, other in zip(mean_and_std(kept, index_M), mean_and_std(filed, index_M), strict=True):
        assert torch.equal(one, other)


def test_auto_keeps_in_memory_what_fits_and_streams_the_rest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(read_folder(folder / "train", options()), TensorImages)
    monkeypatch.setattr(folder_module, "MEMORY_SHARE", 1e-12)
    assert isinstance(read_folder(folder / "train", options()), FolderImages)


def test_test_images_take_over_the_classes_the_size_and_the_channels_of_training(
    folder: Path, write_image: Writer
) -> None:
    train = read_folder(folder / "train", options((6, 6)))
    shutil.rmtree(folder / "test" / "cat")
    write_image(folder / "test" / "dog" / "grey.png", mode="L", height=40)
    test = read_folder(folder / "test", options((6, 6)), like=train)
    assert test.shape == (3, 6, 6)
    assert test.class_names == ("cat", "dog")
    assert test.label_N.tolist() == [1, 1, 1]


def test_a_test_image_of_another_size_is_an_error(folder: Path, write_image: Writer) -> None:
    train = read_folder(folder / "train", options())
    write_image(folder / "test" / "dog" / "large.png", height=40)
    with pytest.raises(ValueError, match=r"10x12 .*large.png is 40x12, one of 1; data.image_size=\[10,12\]"):
        read_folder(folder / "test", options(), like=train)


def test_a_test_class_unknown_to_training_is_an_error_that_names_the_nearest(folder: Path, write_image: Writer) -> None:
    train = read_folder(folder / "train", options())
    write_image(folder / "test" / "dogs" / "0.png")
    with pytest.raises(ValueError, match=r"'dogs' \(did you mean 'dog'\?\); valid: cat, dog"):
        read_folder(folder / "test", options(), like=train)


def break_files(folder: Path, count: int) -> None:
    for n in range(count):
        path = folder / "train" / "cat" / f"broken{n}.png"
        whole = (folder / "train" / "cat" / "0.png").read_bytes()
        path.write_bytes([b"", b"not an image", whole[:-60]][n % 3])


@pytest.mark.parametrize("in_memory", [True, False])
def test_broken_images_are_counted_and_the_first_ten_named(folder: Path, in_memory: bool) -> None:
    break_files(folder, 12)
    with pytest.raises(ValueError, match=r"^12 broken images in ") as caught:
        read_folder(folder / "train", options(in_memory=in_memory))
    message = str(caught.value)
    assert all(f"broken{n}.png: " in message for n in range(10))
    assert "broken10.png" not in message
    assert "and 2 more" in message
    assert "data.on_broken=skip" in message


@pytest.mark.parametrize("in_memory", [True, False])
def test_broken_images_can_be_left_out_and_are_listed(folder: Path, in_memory: bool) -> None:
    whole = read_folder(folder / "train", options(in_memory=in_memory))
    break_files(folder, 4)
    images = read_folder(folder / "train", options(on_broken="skip", in_memory=in_memory))
    assert [Path(path).name for path in images.skipped] == [f"broken{n}.png" for n in range(4)]
    everything_N = torch.arange(24)
    assert torch.equal(images.read(everything_N), whole.read(everything_N))
    assert torch.equal(images.label_N, whole.label_N)


def test_a_class_of_broken_images_only_is_an_error_even_when_skipping(folder: Path) -> None:
    for path in (folder / "train" / "cat").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"no readable images in .* for class cat"):
        read_folder(folder / "train", options(on_broken="skip"))


def test_images_of_different_sizes_are_an_error_that_names_the_override(folder: Path, write_image: Writer) -> None:
    write_image(folder / "train" / "dog" / "tall.png", height=20)
    with pytest.raises(ValueError, match=r"differ in size: 10x12 .*tall.png is 20x12, one of 1; data.image_size="):
        read_folder(folder / "train", options())
    assert read_folder(folder / "train", options((10, 12))).shape == (3, 10, 12)


def test_each_way_a_folder_can_be_wrong_has_its_message(tmp_path: Path, write_image: Writer) -> None:
    def message(path: Path) -> str:
        with pytest.raises(ValueError, match=r"^image_folder: ") as caught:
            read_folder(path, options())
        return str(caught.value)

    assert "there is no folder" in message(tmp_path / "nowhere" / "train")
    (tmp_path / "training").mkdir()
    assert "no train/ in" in message(tmp_path / "train")
    assert "which holds training" in message(tmp_path / "train")
    (tmp_path / "train").mkdir()
    assert "has no class folders" in message(tmp_path / "train")
    (tmp_path / "train" / "cat").mkdir()
    assert "only one class, 'cat'" in message(tmp_path / "train")
    (tmp_path / "train" / "dog").mkdir()
    assert "no images in" in message(tmp_path / "train")
    write_image(tmp_path / "train" / "cat" / "0.png")
    assert "for class dog" in message(tmp_path / "train")


def test_cifar10_as_jpeg_reads_as_three_channels_of_32x32(data_root: Path, tmp_path: Path) -> None:
    with ZipFile(data_root / "cifar10-jpeg.zip") as archive:
        names = [name for name in archive.namelist() if name.startswith("train/") and name.endswith(".jpg")]
        archive.extractall(tmp_path, members=names[::200])
    images = read_folder(tmp_path / "train", options())
    assert len(images.class_names) == 10
    assert len(images) == len(names[::200]) == 250
    assert images.shape == (3, 32, 32)
    mean_C, std_C = mean_and_std(images, torch.arange(250))
    # The published statistics of CIFAR-10 (0.491, 0.482, 0.447), within the error of a sample of 250.
    assert (mean_C - torch.tensor([0.491, 0.482, 0.447])).abs().max() < 0.04
    assert (std_C - 0.25).abs().max() < 0.03
