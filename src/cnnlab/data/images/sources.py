"""Images of one's own: any map-style dataset of (image, label). N images, C channel, H, W image."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab._parallel import shown
from cnnlab._trust import taken, trusted_factory
from cnnlab.data.images.images import TensorImages

OWN = "dataset"  # the name of such data where none is given
SPLITS = ("train", "val", "test")


class MapDataset(Protocol):
    """As torch.utils.data.Dataset: `image, label = dataset[i]`, i from 0 to len(dataset) - 1.

    image: PIL image, array (H, W) or (H, W, C), tensor (C, H, W); uint8, or floats in [0, 1]. label: an integer.
    """

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> tuple[object, object]: ...


class ImageSource:
    """Datasets by split, read into memory when they are asked for. Class names: `classes` of the training dataset,
    as torchvision's have them, or the numbers. `factory` names where they came from, for a run to find them again."""

    def __init__(
        self,
        train: MapDataset,
        val: MapDataset | None = None,
        test: MapDataset | None = None,
        *,
        class_names: Sequence[str] | None = None,
        factory: str = "",
    ) -> None:
        given = {"train": train, "val": val, "test": test}
        self._datasets = {split: dataset for split, dataset in given.items() if dataset is not None}
        self._class_names = class_names
        self.factory = factory

    @property
    def splits(self) -> Collection[str]:
        """Those that are there."""
        return self._datasets.keys()

    def read(self, split: str) -> TensorImages:
        """All images of a split. Raises UsageError for what is no (image, label), and images that don't agree."""
        dataset = self._datasets[split]
        images: list[Tensor] = []
        labels: list[int] = []
        for index in shown(range(len(dataset)), len(dataset), f"reading {split}"):
            image_CHW, label = _pair(dataset[index], f"{split}[{index}]")
            if images and image_CHW.shape != images[0].shape:
                raise UsageError(
                    f"{split}[{index}]: an image of {tuple(image_CHW.shape)}, the first has {tuple(images[0].shape)}; "
                    "a dataset gives images of one size and number of channels"
                )
            images.append(image_CHW)
            labels.append(label)
        if not images:
            raise UsageError(f"the dataset for {split} is empty")
        names = self._names(max(labels) + 1)
        if min(labels) < 0 or max(labels) >= len(names):
            raise UsageError(
                f"{split}: labels from {min(labels)} to {max(labels)}; there are {len(names)} classes from 0"
            )
        return TensorImages(torch.stack(images), torch.tensor(labels), names)

    def _names(self, count: int) -> tuple[str, ...]:
        given = self._class_names or getattr(self._datasets["train"], "classes", None)
        return tuple(map(str, given)) if given else tuple(str(number) for number in range(count))


def source_of(factory: str, trust: Collection[str]) -> ImageSource:
    """The datasets of `package:function`, which is called with split="train", "val", "test" where it takes a split (and
    may return None for one that there is not), else once, for the training images."""
    make = trusted_factory(factory, trust)
    if not taken(make, {"split": ""}):
        val = test = None
        train = _dataset(make, factory)
    else:
        train, val, test = (_dataset(make, factory, split=split) for split in SPLITS)
    assert train is not None
    return ImageSource(train, val, test, factory=factory)


def _dataset(make: Callable[..., object], factory: str, **split: str) -> MapDataset | None:
    dataset = make(**split)
    if dataset is None and split.get("split") in ("val", "test"):
        return None
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise UsageError(
            f"{factory} makes {type(dataset).__name__}; data are a map-style dataset: it has a length, and dataset[0] "
            "is (image, label)"
        )
    return cast(MapDataset, dataset)


def _pair(sample: object, where: str) -> tuple[Tensor, int]:
    """(C, H, W) uint8 and the label."""
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        raise UsageError(f"{where}: {type(sample).__name__}; a dataset gives (image, label)")
    return _image(sample[0], where), _label(sample[1], where)


def _label(label: object, where: str) -> int:
    value = label.item() if isinstance(label, Tensor | np.generic) and label.size == 1 else label
    if isinstance(value, bool) or not isinstance(value, int):
        what = "several numbers" if isinstance(label, Tensor | np.ndarray | list | tuple) else repr(label)
        raise UsageError(
            f"{where}: the label is {what}; cnnlab trains classifiers of one integer label an image "
            "(regression and several labels an image are not supported)"
        )
    return value


def _image(image: object, where: str) -> Tensor:
    if not isinstance(image, Tensor):
        pixels = np.asarray(image)
        if pixels.ndim not in (2, 3) or pixels.dtype.kind not in "uif":
            raise UsageError(
                f"{where}: {type(image).__name__} is no image: a PIL image, an array (H, W, C), a tensor (C, H, W)"
            )
        tensor = torch.from_numpy(np.ascontiguousarray(pixels))
        image = tensor[None] if tensor.ndim == 2 else tensor.permute(2, 0, 1)
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise UsageError(f"{where}: an image of {tuple(image.shape)}; (C, H, W) with 1 or 3 channels is valid")
    if image.dtype == torch.uint8:
        return image
    if not image.is_floating_point() or not bool(((image >= 0) & (image <= 1)).all()):
        raise UsageError(f"{where}: {image.dtype} from {image.min()} to {image.max()}; uint8, or floats in [0, 1]")
    return (image * 255).round().to(torch.uint8)
