"""Photographs and the boundaries that people drew in them, as training data.

B batch, N photographs, C channel, A annotator, H, W photograph.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor

from cnnlab._arguments import plain, remembers_arguments
from cnnlab._choices import UsageError, check_choice
from cnnlab.data.boundaries.berkeley import Photograph, photographs, read_boundaries
from cnnlab.data.boundaries.windows import Drawn, Windows, votes_of
from cnnlab.data.contract import Kind
from cnnlab.data.images.loader import EpochLoader
from cnnlab.data.images.order import BatchOrder, Purpose, generator_for
from cnnlab.data.photographs.decode import decode, reason

SCORED = ("val", "test", "held_out")
SOURCE = "Arbelaez, Maire, Fowlkes, Malik: Contour Detection and Hierarchical Image Segmentation, PAMI 2011"


@remembers_arguments
class BoundaryData(LightningDataModule):
    """The training photographs of the Berkeley data set in windows, with the fraction of annotators at each pixel.

    The network is fitted to `train` alone. `held_out` photographs of it are left out of the fit, as a validation
    set to choose by; `scored` names the split whose photographs `benchmark()` gives, whole, with all drawings.
    Images are in [0, 1] and not normalised: the first layer of derivatives does not see the mean.
    """

    kind: Kind = "boundaries"
    arguments: dict[str, object]

    def __init__(
        self,
        *,
        name: str = "bsds500",
        root: str | None = None,
        seed: int = 0,
        batch_size: int = 8,
        crop: int = 192,
        passes: int = 4,
        slack: int = 1,
        held_out: int = 0,
        scored: Literal["val", "test", "held_out"] | None = "val",
        scales: Sequence[float] = (0.6, 1.4),
        flip: bool = True,
        turn: bool = True,
        light: float = 0.2,
    ) -> None:
        """root: holds images/{train,val} and groundTruth/{train,val}, or BSDS500/ with them; None: CNNLAB_DATA or data.
        seed: of order and augmentation. crop: side of the windows, pixels. passes: windows of each photograph in an
        epoch. slack: two annotators agree where their boundaries are at most this many pixels apart. held_out: so many
        photographs of the training split are not trained on. scored: what the benchmark at the end uses.
        scales, flip, turn, light: see `Windows`.

        Raises UsageError for values that can't be.
        """
        super().__init__()
        for key, value, least in (
            ("batch_size", batch_size, 1), ("passes", passes, 1), ("slack", slack, 0), ("held_out", held_out, 0),
        ):  # fmt: skip
            if value < least:
                raise UsageError(f"data.{key}={value}: at least {least}")
        if scored is not None:
            check_choice("data.scored", scored, SCORED)
        self.name, self.seed = name, seed
        self.scored: str | None = scored
        self._root = Path(os.environ.get("CNNLAB_DATA", "data") if root is None else root).expanduser()
        self._batch_size, self._passes = batch_size, passes
        self._slack, self._held_out, self._crop = slack, held_out, crop
        self._windows = Windows(crop, scales, flip, turn, light)
        self._device = torch.device("cpu")
        self._train: list[Drawn] = []
        self._validation: list[Photograph] = []
        self._benchmark: list[Photograph] = []

    def setup(self, stage: str | None = None) -> None:
        """Read the training photographs, once. Raises UsageError for what is missing, broken, or does not agree."""
        if self._train:
            return
        found = photographs(self._root, "train")
        if self._held_out >= len(found):
            raise UsageError(f"data.held_out={self._held_out}: there are {len(found)} photographs to train on")
        if self.scored == "held_out" and not self._held_out:
            raise UsageError("data.scored=held_out: none is held out; give data.held_out=40, say")
        # Whatever the seed: runs that are compared are compared on the same photographs.
        order = torch.randperm(len(found), generator=generator_for(0, Purpose.VALIDATION)).tolist()
        self._validation = [found[i] for i in sorted(order[: self._held_out])]
        if self.scored is not None:
            self._benchmark = self._validation if self.scored == "held_out" else photographs(self._root, self.scored)
        self._train = [read_drawn(found[i], self._slack) for i in sorted(order[self._held_out :])]

    # Facts, after setup

    @property
    def class_names(self) -> tuple[str, ...]:
        """None: the targets are boundaries."""
        return ()

    @property
    def in_channels(self) -> int:
        """Colour, whatever the files are."""
        return 3

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of a window; the photographs are of several sizes."""
        return self._crop, self._crop

    @property
    def mean(self) -> tuple[float, ...]:
        """Of no effect: images are not normalised."""
        return (0.0,) * self.in_channels

    @property
    def std(self) -> tuple[float, ...]:
        """Of no effect: images are not normalised."""
        return (1.0,) * self.in_channels

    def normalise_like(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Nothing: a network that predicts boundaries was trained without."""
        assert tuple(mean) == self.mean, "images with boundaries are not normalised"
        assert tuple(std) == self.std, "images with boundaries are not normalised"

    @property
    def has_test(self) -> bool:
        """Whether there is a split to be scored on."""
        return self.scored is not None

    @property
    def benchmark_count(self) -> int:
        """How many photographs `benchmark()` gives."""
        return len(self._benchmark)

    def recipe(self) -> dict[str, object]:
        """Plain types from which `rebuild_data` makes the data again."""
        arguments = {name: plain(value) for name, value in self.arguments.items()}
        return {"target": f"{BoundaryData.__module__}.BoundaryData", "arguments": arguments}

    def describe(self) -> dict[str, object]:
        """Plain facts for the run record."""
        counts = {"train": len(self._train), "held out": len(self._validation)}
        counts |= {self.scored: len(self._benchmark)} if self.scored in ("val", "test") else {}
        return {
            "name": self.name,
            "root": str(self._root),
            "source": SOURCE,
            "images": {split: count for split, count in counts.items() if count},
            "scored": self.scored,
            "image_size": list(self.image_size),
            "channels": self.in_channels,
        }

    def patches(self, size: int, count: int, seed: int) -> Tensor:
        """Random windows of the training photographs, (count, C, size, size) float32 in [0, 1].

        Raises UsageError if `size` exceeds one of them.
        """
        smallest = min(min(one.image_CHW.shape[1:]) for one in self._train)
        if size > smallest:
            raise UsageError(f"patches of {size} pixels: the smallest photograph has {smallest}")
        generator = generator_for(seed, Purpose.PATCHES)
        cut = Windows(size, (1, 1), flip=False, turn=False, light=0)
        chosen = torch.randint(len(self._train), (count,), generator=generator).tolist()
        return torch.stack([cut(self._train[i], generator)[0] for i in chosen])

    # Loaders

    def to_device(self, device: torch.device | str) -> "BoundaryData":
        """Let the loaders give batches on `device`. Under a trainer its own device is used instead."""
        self._device = torch.device(device)
        return self

    def train_dataloader(self) -> "WindowLoader":
        """`passes` windows of each photograph, shuffled, without the last incomplete batch."""
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        index_N = torch.arange(len(self._train)).repeat(self._passes)
        order = BatchOrder(index_N, self._batch_size, self.seed, True, rank, world_size)
        return WindowLoader(self._train, self._windows, order, self._device_at_hand())

    def val_dataloader(self) -> "WholeLoader":
        """The photographs held out, whole, one a batch; none where none is."""
        return WholeLoader(self._validation, self._slack, self._device_at_hand())

    def _device_at_hand(self) -> torch.device:
        return self._device if self.trainer is None else self.trainer.strategy.root_device

    def benchmark(self) -> Iterator[tuple[str, Tensor, np.ndarray]]:
        """(stem, image_CHW float32 in [0, 1], boundaries_AHW bool) of the split scored, read one after the other."""
        for one in self._benchmark:
            image_CHW, boundaries_AHW = read_photograph(one)
            yield one.stem, image_CHW.float() / 255, boundaries_AHW


class WindowLoader(EpochLoader):
    """(image_BCHW float32 in [0, 1], votes_B1HW float32 in [0, 1]), a pure function of (seed, epoch, batch, rank)."""

    def __init__(self, drawn: Sequence[Drawn], windows: Windows, order: BatchOrder, device: torch.device) -> None:
        super().__init__(order, device)
        # The photographs rest on the device, so that windows are cut there: a GPU never waits for the CPU.
        self._drawn, self._windows = [one.to(device) for one in drawn], windows

    def _finished(self, epoch: int, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        for batch, index_B in enumerate(self.order.batches(epoch)[start:], start):
            number = batch * self.order.world_size + self.order.rank
            generator = generator_for(self.order.seed, Purpose.AUGMENTATION, epoch, number)
            cut = [self._windows(self._drawn[i], generator) for i in index_B.tolist()]
            image_BCHW, votes_B1HW = (torch.stack(parts) for parts in zip(*cut, strict=True))
            yield image_BCHW, votes_B1HW


class WholeLoader:
    """(image_1CHW, votes_11HW) float32 in [0, 1] of each photograph, read anew in every pass."""

    def __init__(self, found: Sequence[Photograph], slack: int, device: torch.device) -> None:
        self._found, self._slack, self._device = found, slack, device

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for one in self._found:
            drawn = read_drawn(one, self._slack)
            pair = drawn.image_CHW[None], drawn.votes_HW[None, None]
            yield pair[0].to(self._device).float() / 255, pair[1].to(self._device).float() / 255


def read_photograph(one: Photograph) -> tuple[Tensor, np.ndarray]:
    """image_CHW uint8, three channels, and boundaries_AHW bool. Raises UsageError, naming the file."""
    try:
        pixels_HWC = decode(one.image)
    except Exception as error:  # Pillow has many words for a broken file
        raise UsageError(f"{one.image} can't be read: {reason(error, one.image)}") from error
    boundaries_AHW = read_boundaries(one.truth)
    if boundaries_AHW.shape[1:] != pixels_HWC.shape[:2]:
        sizes = ["x".join(map(str, shape)) for shape in (boundaries_AHW.shape[1:], pixels_HWC.shape[:2])]
        raise UsageError(f"{one.truth}: boundaries of {sizes[0]}, but {one.image.name} has {sizes[1]} pixels")
    image_CHW = torch.from_numpy(np.array(pixels_HWC)).permute(2, 0, 1)
    return image_CHW.expand(3, -1, -1).contiguous(), boundaries_AHW


def read_drawn(one: Photograph, slack: int) -> Drawn:
    """A photograph with the votes of its annotators. Raises UsageError, naming the file."""
    image_CHW, boundaries_AHW = read_photograph(one)
    return Drawn(one.stem, image_CHW, votes_of(torch.from_numpy(boundaries_AHW), slack))
