"""What is looked at: the network of a run or any other, with images. N images, C channel, H, W image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.data.contract import Data
from cnnlab.data.photographs.windows import fitted, photograph, photographs_below, windows
from cnnlab.nn.contract import try_out
from cnnlab.runs.run import Run


@dataclass(frozen=True)
class Subject:
    """A network in evaluation mode; `images_NCHW` float32 in [0, 1]; what makes them the network's input.

    `class_names` are [] for a network that is no classifier; `run` is the one that it comes from, if any.
    """

    network: nn.Module
    trained: bool
    name: str
    images_NCHW: Tensor
    mean_C11: Tensor
    std_C11: Tensor
    class_names: list[str]
    run: Run | None = None

    def inputs(self) -> Tensor:
        """(N, C, H, W), normalised as the network was trained."""
        return (self.images_NCHW - self.mean_C11) / self.std_C11


@dataclass(frozen=True)
class Example:
    """Stands in for data where a network is looked at without any: images, classes known by their number."""

    images_NCHW: Tensor
    photo_CHW: Tensor  # whose windows banks are learned from
    num_classes: int
    name: str = "no data"

    @property
    def in_channels(self) -> int:
        return self.images_NCHW.shape[1]

    @property
    def image_size(self) -> tuple[int, int]:
        height, width = self.images_NCHW.shape[2:]
        return height, width

    @property
    def class_names(self) -> list[str]:
        return [str(number) for number in range(self.num_classes)]

    def patches(self, size: int, count: int, seed: int) -> Tensor:
        """Windows of the photograph, (count, C, size, size)."""
        return windows(self.photo_CHW, (size, size), count, seed)


def example(
    size: int | Sequence[int] = 224,
    channels: int = 3,
    classes: int = 10,
    *,
    image: Path | None = None,
    images: Path | None = None,
    inputs: int = 64,
    seed: int = 0,
) -> Example:
    """Images for a network without data, at most `inputs`: `image` and files below the folder `images`; without a
    folder the photograph `image`, or one that comes with scikit-learn, whole and in random windows.

    `size` is a number of pixels or (height, width). UsageError for what can't be, and for files that can't be read.
    """
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or not all(isinstance(side, int) and side > 0 for side in pair):
        raise UsageError(f"size={size}: a number of pixels, or [height, width]")
    for name, number in (("channels", channels), ("classes", classes)):
        if number < 1:
            raise UsageError(f"{name}={number}: a number from 1 on")
    if images is not None:
        own_NCHW = _own_images(image, images, channels, pair, inputs, seed)
        return Example(own_NCHW, own_NCHW[0], classes)
    photo_CHW = photograph(image, channels)
    parts_NCHW = windows(photo_CHW, pair, max(inputs, 1), seed)
    return Example(torch.cat([fitted(photo_CHW, pair)[None], parts_NCHW])[: max(inputs, 1)], photo_CHW, classes)


def subject_of_network(network: nn.Module, example: Example, name: str = "", trained: bool = False) -> Subject:
    """Any network, on images of an example, normalised to -2 to 2. UsageError if it takes no such images."""
    try_out(network, example.in_channels, example.image_size)
    mean_C11 = torch.full((example.in_channels, 1, 1), 0.5)
    name = name or type(network).__name__
    return Subject(network.eval(), trained, name, example.images_NCHW, mean_C11, mean_C11 / 2, example.class_names)


def subject_of_run(
    run: Run,
    checkpoint: str = "best",
    *,
    image: Path | None = None,
    images: Path | None = None,
    inputs: int = 64,
    seed: int = 0,
) -> Subject:
    """The network of a checkpoint, on images of one's own (`image`, files below `images`) or on those of its data.

    UsageError for a checkpoint that isn't there or can't be read, and for files or data that can't.
    """
    about = run.checkpoint(checkpoint)["network"]
    mean_C11, std_C11 = (torch.tensor(values).float()[:, None, None] for values in (about["mean"], about["std"]))
    if image is None and images is None:
        images_NCHW = _images_of(run.data(), max(inputs, 1), seed)
    else:
        height, width = about["image_size"]
        images_NCHW = _own_images(image, images, len(mean_C11), (height, width), inputs, seed)
    network, class_names = run.network(checkpoint), list(about.get("class_names") or [])
    return Subject(network, True, str(run.folder), images_NCHW, mean_C11, std_C11, class_names, run)


def _images_of(data: Data, count: int, seed: int) -> Tensor:
    height, width = data.image_size
    if height == width:
        return data.patches(height, count, seed)
    images_NCHW = torch.cat([image_BCHW for image_BCHW, _ in data.val_dataloader()])[:count].cpu()
    mean_C11, std_C11 = (torch.tensor(values).float()[:, None, None] for values in (data.mean, data.std))
    return images_NCHW * std_C11 + mean_C11


def _own_images(
    image: Path | None, images: Path | None, channels: int, size: tuple[int, int], inputs: int, seed: int
) -> Tensor:
    """(N, channels, height, width), N at most `inputs`: `image`, then files below the folder `images`."""
    first = [] if image is None else [fitted(photograph(image, channels), size)[None]]
    rest = [] if images is None else [photographs_below(images, channels, size, max(inputs, 1), seed)]
    return torch.cat([*first, *rest])[: max(inputs, 1)]
