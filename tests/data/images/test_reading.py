"""Named sets, their files, and what is said when they are missing. N images, C channel, H height, W width."""

import gzip
import pickle
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torchvision import datasets

from cnnlab.data.images.reading import download, read_named, resized
from cnnlab.data.images.specs import SPECS, spec_of

DOWNLOADED = [name for name, spec in SPECS.items() if spec.torchvision_class]


def test_digits_are_all_there_once_with_their_sixteen_greys_spread_over_a_byte() -> None:
    train, test = (read_named("digits", Path(), test=test) for test in (False, True))
    digits = load_digits()
    both_N1HW = torch.cat([train.image_NCHW, test.image_NCHW])
    expected = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    pixels = sorted(image.numpy().tobytes() for image in both_N1HW)
    assert pixels == sorted(image.tobytes() for image in expected)
    assert (len(train), len(test)) == (1438, 359)
    share_K = np.bincount(test.label_N.numpy()) / np.bincount(digits.target)
    assert np.abs(share_K - 0.2).max() < 0.01


def test_the_digits_test_split_is_always_the_same() -> None:
    # Changing this split changes every result on digits; the sum is that of the split as first drawn.
    test = read_named("digits", Path(), test=True)
    weights = torch.arange(1, len(test) + 1) * (test.label_N + 1)
    assert weights.sum().item() == 356249


def test_mnist_is_the_original(data_root: Path) -> None:
    train, test = (read_named("mnist", data_root, test=test) for test in (False, True))
    assert (train.shape, len(train), len(test)) == ((1, 28, 28), 60000, 10000)
    assert train.class_names == tuple("0123456789")
    assert train.label_N[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    # The published mean of the training images.
    assert abs(train.image_NCHW.double().mean().item() / 255 - 0.1307) < 1e-4


def test_cifar_files_give_channels_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(datasets.CIFAR10, "_load_meta", lambda self: setattr(self, "classes", list("abcdefghij")))
    row_NP = np.random.default_rng(0).integers(0, 256, (4, 3072), dtype=np.uint8)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for n in range(1, 6):
        content = pickle.dumps({"data": row_NP, "labels": [3, 1, 0, 9]})
        (folder / f"data_batch_{n}").write_bytes(content)
    images = read_named("cifar10", tmp_path, test=False)
    np.testing.assert_array_equal(images.image_NCHW.numpy(), np.tile(row_NP.reshape(4, 3, 32, 32), (5, 1, 1, 1)))
    assert images.image_NCHW.is_contiguous()
    assert images.label_N.tolist() == [3, 1, 0, 9] * 5


def test_stl10_files_are_read_from_their_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.STL10, "_check_integrity", lambda self: True)
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    (folder / "class_names.txt").write_text("\n".join("abcdefghij"))
    row_NP = np.random.default_rng(0).integers(0, 256, (2, 3, 96, 96), dtype=np.uint8)
    (folder / "train_X.bin").write_bytes(row_NP.tobytes())
    (folder / "train_y.bin").write_bytes(bytes([1, 10]))
    images = read_named("stl10", tmp_path, test=False)
    np.testing.assert_array_equal(images.image_NCHW.numpy(), row_NP.transpose(0, 1, 3, 2))  # stored by columns
    assert images.label_N.tolist() == [0, 9]


@pytest.mark.parametrize("name", DOWNLOADED)
def test_missing_files_say_where_they_were_looked_for_and_what_downloads_them(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not there") as caught:
        read_named(name, tmp_path, test=False)
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert str(tmp_path / SPECS[name].folder) in message
    assert "data.download=true" in message
    assert "data.root=" in message


def test_damaged_files_say_that_they_cannot_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for kind in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{kind}-ubyte").write_bytes(gzip.compress(b"x"))
    with pytest.raises(ValueError, match=r"mnist: the files in .* cannot be read .*; remove that folder"):
        read_named("mnist", tmp_path, test=False)


@pytest.mark.parametrize("name", DOWNLOADED)
def test_a_download_without_network_says_so(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*arguments: object, **options: object) -> None:
        raise URLError("Temporary failure in name resolution")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    with pytest.raises(ValueError, match=r"failed: .*Temporary failure in name resolution") as caught:
        download(name, tmp_path)
    assert str(caught.value).startswith(f"{name}: the download to {tmp_path / SPECS[name].folder} failed")


def test_sets_without_files_to_fetch_have_nothing_to_download(tmp_path: Path) -> None:
    for name in ("digits", "image_folder"):
        download(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unknown_set_is_answered_with_the_nearest_name_and_all_names() -> None:
    with pytest.raises(ValueError, match=r"unknown data set 'cifar' \(did you mean 'cifar10'\?\)") as caught:
        spec_of("cifar")
    assert all(name in str(caught.value) for name in SPECS)


def test_the_table_names_classes_that_torchvision_has_and_where_it_looks(tmp_path: Path) -> None:
    for name in DOWNLOADED:
        cls = getattr(datasets, SPECS[name].torchvision_class)
        folder = getattr(cls, "base_folder", f"{cls.__name__}/raw")
        assert SPECS[name].folder == folder


def test_resizing_a_tensor_covers_crops_and_averages() -> None:
    stripes_NCHW = torch.tensor([0, 100, 200], dtype=torch.uint8).repeat_interleave(10).expand(2, 1, 10, 30)
    assert torch.equal(resized(stripes_NCHW, (10, 10)), torch.full((2, 1, 10, 10), 100, dtype=torch.uint8))
    checks_NCHW = (torch.arange(32)[:, None] + torch.arange(32))[None, None] % 2 * 255
    small_NCHW = resized(checks_NCHW.to(torch.uint8), (8, 8))
    assert (small_NCHW.float() - 127.5).abs().max() < 20
    assert read_named("digits", Path(), test=True, image_size=(12, 9)).shape == (1, 12, 9)
