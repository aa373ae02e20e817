"""What a training, a report and a study ask of data. N images, B batch, C channel, H, W image, S side of a patch."""

from collections.abc import Iterator, Mapping, Sequence, Sized
from typing import Literal, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from cnnlab._choices import UsageError

Kind = Literal["classes", "boundaries"]


class Batches(Sized, Protocol):
    """Batches of (image_BCHW float32, target)."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]: ...


class Facts(Protocol):
    """What a network is built for."""

    @property
    def name(self) -> str | None: ...
    @property
    def class_names(self) -> Sequence[str]:
        """In the order of the labels; empty for boundaries."""
        ...

    @property
    def in_channels(self) -> int: ...
    @property
    def image_size(self) -> tuple[int, int]: ...
    def patches(self, size: int, count: int, seed: int) -> Tensor:
        """(count, C, S, S) in [0, 1], not normalised: windows of training images."""
        ...


class Data(Facts, Protocol):
    """Images with targets, ready in batches. Facts are there after `setup("fit")`."""

    kind: Kind  # what the targets are

    @property
    def mean(self) -> Sequence[float]: ...
    @property
    def std(self) -> Sequence[float]: ...
    @property
    def has_test(self) -> bool: ...

    def prepare_data(self) -> None: ...
    def setup(self, stage: str | None = None) -> None: ...
    def describe(self) -> dict[str, object]:
        """Plain facts for the run record; "images": {split: count}."""
        ...

    def recipe(self) -> Mapping[str, object] | None:
        """Plain types from which `rebuild_data` makes the data again; None of data that only live in Python."""
        ...

    def normalise_like(self, mean: Sequence[float], std: Sequence[float]) -> None: ...
    def to_device(self, device: torch.device | str) -> object: ...
    def train_dataloader(self) -> Batches: ...
    def val_dataloader(self) -> Batches: ...


class ClassData(Data, Protocol):
    """Images with one label each."""

    @property
    def num_classes(self) -> int: ...
    def test_dataloader(self) -> Batches: ...


class BoundaryPhotographs(Data, Protocol):
    """Photographs with the boundaries that people drew in them."""

    scored: str | None

    @property
    def benchmark_count(self) -> int: ...
    def benchmark(self) -> Iterator[tuple[str, Tensor, np.ndarray]]:
        """Of each photograph: name, image_CHW in [0, 1], boundaries_AHW of its annotators."""
        ...


def class_data(data: Data) -> ClassData:
    """The same, known to have classes."""
    assert data.kind != "boundaries"
    return cast(ClassData, data)


def boundary_data(data: Data) -> BoundaryPhotographs:
    """The same, known to have boundaries."""
    assert data.kind == "boundaries"
    return cast(BoundaryPhotographs, data)


def validate_data(data: Data) -> None:
    """Raises UsageError unless a first training batch can be trained on. Reads the training images."""
    data.prepare_data()
    data.setup("fit")
    image_BCHW, target = next(iter(data.train_dataloader()))
    shape = (data.in_channels, *data.image_size)
    if tuple(image_BCHW.shape[1:]) != shape or not image_BCHW.is_floating_point():
        raise UsageError(
            f"{data.name}: batches of {tuple(image_BCHW.shape)} {image_BCHW.dtype}, facts say (B, {shape})"
        )
    if not bool(image_BCHW.isfinite().all()):
        raise UsageError(f"{data.name}: images with values that are not finite")
    if data.kind == "classes" and (target.ndim != 1 or target.dtype != torch.int64):
        raise UsageError(f"{data.name}: labels are (B,) int64, one an image; got {tuple(target.shape)} {target.dtype}")
