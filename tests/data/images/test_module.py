"""ImageData as the programs use it. N images, B batch, C channel, H height, W width."""

import inspect
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from cnnlab.data.images import folder as folder_module
from cnnlab.data.images.loader import InMemoryLoader, StreamingLoader
from cnnlab.data.images.module import ImageData
from cnnlab.data.images.specs import SPECS

CONFIGS = Path(__file__).parents[3] / "configs" / "data"
Maker = Callable[..., ImageData]
Writer = Callable[..., np.ndarray]


def pixels(loader: object) -> Tensor:
    return torch.cat([image_BCHW for image_BCHW, _ in loader])


def test_digits_have_their_facts(make_data: Maker) -> None:
    data = make_data(None)
    data.prepare_data()
    data.setup()
    assert (data.in_channels, data.num_classes, data.image_size) == (1, 10, (8, 8))
    assert data.class_names == tuple("0123456789")
    facts = data.describe()
    assert facts["images"] == {"train": 1150, "validation": 288, "test": 359}
    assert facts["mean"] == list(data.mean)
    assert facts["std"] == list(data.std)
    assert facts["skipped"] == []
    assert data.train_count == 1150


def test_training_images_have_mean_zero_and_std_one_after_normalising(make_data: Maker) -> None:
    data = make_data(batch_size=1150)
    image_NCHW = pixels(data.train_dataloader())
    assert len(image_NCHW) == data.train_count
    assert abs(image_NCHW.mean()) < 1e-5
    assert abs(image_NCHW.std(correction=0) - 1) < 1e-5


def test_training_validation_and_test_share_no_image_and_follow_the_seed(make_data: Maker) -> None:
    def splits(seed: int) -> list[set[bytes]]:
        data = make_data(None, seed=seed, batch_size=1150)
        data.setup(None)
        # Not normalised, as that follows from the split.
        raw = [data._sets[split][0].read(data._sets[split][1]) for split in ("train", "validation", "test")]
        return [{image.numpy().tobytes() for image in image_NCHW} for image_NCHW in raw]

    train, validation, test = splits(0)
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert splits(0) == [train, validation, test]
    assert splits(1)[1] != validation
    assert splits(1)[2] == test


def test_loaders_give_whole_shuffled_training_batches_and_all_of_the_rest_in_order(make_data: Maker) -> None:
    data = make_data(None)
    data.setup(None)
    train = [label_B.tolist() for _, label_B in data.train_dataloader()]
    assert [len(labels) for labels in train] == [32] * (1150 // 32)
    validation = [label for _, label_B in data.val_dataloader() for label in label_B.tolist()]
    images, index_N = data._sets["validation"]
    assert validation == images.label_N[index_N].tolist()
    assert sum(len(label_B) for _, label_B in data.test_dataloader()) == 359


def test_only_training_is_augmented(make_data: Maker) -> None:
    plain, changed = make_data(), make_data(shift=2, rotation=10, cutout=3)
    assert torch.equal(pixels(plain.val_dataloader()), pixels(changed.val_dataloader()))
    assert not torch.equal(pixels(plain.train_dataloader()), pixels(changed.train_dataloader()))


def test_a_smaller_training_set_leaves_validation_alone_and_may_be_less_than_a_batch(
    make_data: Maker,
) -> None:
    small = make_data(train_size=20)
    assert small.train_count == 20
    ((image_BCHW, label_B),) = small.train_dataloader()
    assert len(image_BCHW) == 20
    assert label_B.bincount().tolist() == [2] * 10
    assert torch.equal(small._sets["validation"][1], make_data()._sets["validation"][1])


def test_fitting_never_reads_the_test_split_of_a_folder(make_data: Maker, folder: Path) -> None:
    for path in (folder / "test").rglob("*.png"):
        path.write_bytes(b"unreadable")
    data = make_data(name="image_folder", root=str(folder))
    data.setup("validate")
    list(data.train_dataloader())
    list(data.val_dataloader())
    data.patches(3, 5, 0)
    data.describe()
    with pytest.raises(ValueError, match="4 broken images"):
        data.setup("test")


def test_fitting_never_reads_the_test_split_of_mnist(make_data: Maker, data_root: Path, tmp_path: Path) -> None:
    shutil.copytree(data_root / "MNIST", tmp_path / "MNIST", copy_function=shutil.copyfile)
    for path in (tmp_path / "MNIST" / "raw").glob("t10k*"):
        path.write_bytes(b"unreadable")
    data = make_data(name="mnist", root=str(tmp_path), train_size=100)
    assert data.train_count == 100
    with pytest.raises(ValueError, match="cannot be read"):
        data.setup("test")


@pytest.mark.parametrize("augmentation", [{}, {"flip": True, "shift": 2, "rotation": 15, "cutout": 3}])
def test_a_folder_that_streams_gives_the_batches_of_one_in_memory(
    make_data: Maker, folder: Path, write_image: Writer, augmentation: dict[str, int]
) -> None:
    write_image(folder / "train" / "cat" / "grey.png", mode="L")
    values = {"name": "image_folder", "root": str(folder), "batch_size": 4, **augmentation}
    memory, stream = (make_data(None, in_memory=choice, **values) for choice in (True, False))
    for data in (memory, stream):
        data.setup(None)
    assert isinstance(memory.train_dataloader(), InMemoryLoader)
    assert isinstance(stream.train_dataloader(), StreamingLoader)
    for kind in ("train_dataloader", "val_dataloader", "test_dataloader"):
        assert torch.equal(pixels(getattr(memory, kind)()), pixels(getattr(stream, kind)()))
    assert torch.equal(memory.patches(3, 20, 0), stream.patches(3, 20, 0))
    facts = [data.describe() for data in (memory, stream)]
    assert [fact.pop("in_memory") for fact in facts] == [True, False]
    assert facts[0] == facts[1]


def test_a_named_set_streams_too_when_told_to(make_data: Maker) -> None:
    loader = make_data(in_memory=False, shift=1).train_dataloader()
    assert isinstance(loader, StreamingLoader)
    assert torch.equal(pixels(loader), pixels(make_data(shift=1).train_dataloader()))


def test_auto_streams_a_folder_that_is_too_large(
    make_data: Maker, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "MEMORY_SHARE", 1e-12)
    assert isinstance(make_data(name="image_folder", root=str(folder)).train_dataloader(), StreamingLoader)


def test_a_folder_with_val_is_validated_on_it(make_data: Maker, folder: Path, write_image: Writer) -> None:
    write_image(folder / "val" / "dog" / "0.png", seed=7)
    data = make_data(name="image_folder", root=str(folder))
    assert data.describe()["images"] == {"train": 24, "validation": 1}
    assert data.describe()["validation_from"] == "val/"
    ((_, label_B),) = data.val_dataloader()
    assert label_B.tolist() == [1]


def test_a_folder_without_test_says_so(make_data: Maker, folder: Path) -> None:
    assert make_data(name="image_folder", root=str(folder)).has_test
    shutil.rmtree(folder / "test")
    data = make_data(name="image_folder", root=str(folder))
    data.setup(None)
    assert not data.has_test
    with pytest.raises(ValueError, match="no test/ in"):
        data.test_dataloader()


def test_broken_images_left_out_are_listed_once(make_data: Maker, folder: Path) -> None:
    for split in ("train", "test"):
        (folder / split / "cat" / "1.png").write_bytes(b"x")
    data = make_data(None, name="image_folder", root=str(folder), on_broken="skip")
    data.setup(None)
    expected = [str(folder / split / "cat" / "1.png") for split in ("train", "test")]
    assert data.skipped == data.describe()["skipped"] == expected


def test_a_second_setup_reads_nothing_again(make_data: Maker, folder: Path) -> None:
    data = make_data(name="image_folder", root=str(folder))
    shutil.rmtree(folder / "train")
    data.setup("fit")
    assert data.train_count == 19


@pytest.mark.parametrize("size", [6, [6, 6], (6, 6)])
def test_an_image_size_is_a_number_or_a_pair(make_data: Maker, size: object) -> None:
    data = make_data(image_size=size)
    assert data.image_size == (6, 6)
    assert next(iter(data.train_dataloader()))[0].shape == (32, 1, 6, 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "minst"}, r"did you mean 'mnist'\?\); valid: digits, "),
        ({"on_broken": "ignore"}, "unknown data.on_broken 'ignore'; valid: error, skip"),
        ({"in_memory": "atuo"}, "did you mean 'auto'"),
        ({"flip": True}, "data.flip=true: a mirrored image of digits"),
        ({"batch_size": 0}, "data.batch_size=0: at least 1"),
        ({"eval_batch_size": -1}, "data.eval_batch_size=-1: at least 1"),
        ({"workers": -1}, "data.workers=-1: 0 or more"),
        ({"name": "image_folder"}, "data.root=FOLDER is missing"),
        ({"image_size": [1, 2, 3]}, r"data.image_size=\[1, 2, 3\]: null, a number"),
        ({"image_size": 0}, "data.image_size=0"),
        ({"shift": -1}, "data.shift=-1"),
        ({"shift": 8}, "data.shift=8: images are 8x8, so at most 7"),
        ({"validation": 1.0}, "data.validation=1.0: a fraction"),
        ({"train_size": 1151}, "train_size=1151.* from 10 to 1150"),
        ({"train_size": 9}, "train_size=9.* 10 classes"),
    ],
)
def test_each_wrong_value_has_its_message(make_data: Maker, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_data(**changes)


def test_the_configs_name_every_argument_once_and_every_set_has_one() -> None:
    base = OmegaConf.load(CONFIGS / "image_data.yaml")
    assert base._target_ == f"{ImageData.__module__}.{ImageData.__qualname__}"
    arguments = {key for key in base if not key.startswith("_")}
    parameters = inspect.signature(ImageData).parameters
    assert arguments == set(parameters) - {"source"}
    said = {name: value for name, value in OmegaConf.to_container(base, resolve=False).items() if "$" not in str(value)}
    assert {name: parameters[name].default for name in arguments & set(said) - {"name"}} == {
        name: said[name] for name in arguments & set(said) - {"name"}
    }
    for name in sorted(set(SPECS) - {"dataset"}):
        variant = OmegaConf.load(CONFIGS / f"{name}.yaml")
        assert variant.pop("defaults") == ["image_data", "_self_"]
        assert variant.name == name
        assert set(variant) <= arguments
        assert SPECS[name].mirrors or "flip" not in variant
