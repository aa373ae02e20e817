"""What a program looks at: the network of a run or of a configuration, with images. C channel, H, W image."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import DictConfig
from rich.progress import track
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.cli.assemble import build_network
from cnnlab.data.contract import Data
from cnnlab.data.photographs.decode import decode
from cnnlab.data.photographs.files import image_files, no_images
from cnnlab.nn.contract import try_out
from cnnlab.runs.run import Run


@dataclass(frozen=True)
class Subject:
    """A network in evaluation mode; `images_NCHW` float32 in [0, 1]; what makes them the network's input.

    `class_names` are [] for a network that tells no classes.
    """

    network: nn.Module
    trained: bool
    name: str
    images_NCHW: Tensor
    mean_C11: Tensor
    std_C11: Tensor
    class_names: list[str]

    def inputs(self) -> Tensor:
        """(N, C, H, W), normalised as the network was trained."""
        return (self.images_NCHW - self.mean_C11) / self.std_C11


@dataclass(frozen=True)
class Shape:
    """Stands in for data where a network is looked at without any: what `build_network` asks of them."""

    name = "no data"
    kind: ClassVar[Literal["any"]] = "any"
    in_channels: int
    num_classes: int
    image_size: tuple[int, int]
    photo_CHW: Tensor

    @property
    def class_names(self) -> list[str]:
        return [str(number) for number in range(self.num_classes)]

    @property
    def mean(self) -> list[float]:
        return [0.5] * self.in_channels

    @property
    def std(self) -> list[float]:
        return [0.25] * self.in_channels

    def patches(self, size: int, count: int, seed: int) -> Tensor:
        """Windows of the photograph, (count, C, size, size)."""
        return windows(self.photo_CHW, (size, size), count, seed)


def subject_of(config: DictConfig) -> Subject:
    """Raises ValueError for a run, a checkpoint, an image or a size that can't be."""
    return _of_run(config) if config.run is not None else _of_model(config)


def _of_run(config: DictConfig) -> Subject:
    run = Run.open(config.run)
    about = run.checkpoint(config.checkpoint)["network"]
    network = run.network(config.checkpoint)
    channels, size = about["arguments"]["in_channels"], tuple(about["image_size"])
    own_NCHW = _own_images(config, channels, size)
    images_NCHW = _images_of(run.data(), config.inputs, config.seed) if own_NCHW is None else own_NCHW
    mean_C11, std_C11 = (torch.tensor(about[name]).float()[:, None, None] for name in ("mean", "std"))
    return Subject(
        network.eval(), True, str(run.folder), images_NCHW, mean_C11, std_C11, list(about.get("class_names") or [])
    )


def _images_of(data: Data, count: int, seed: int) -> Tensor:
    height, width = data.image_size
    if height != width:
        loader = data.val_dataloader()
        images = torch.cat([image for image, _ in loader])[: max(count, 1)].cpu()
        mean_C11, std_C11 = (torch.tensor(values).float()[:, None, None] for values in (data.mean, data.std))
        return images * std_C11 + mean_C11
    return data.patches(height, max(count, 1), seed)


def _of_model(config: DictConfig) -> Subject:
    size = _height_and_width(config.size)
    for name in ("channels", "classes"):
        if not isinstance(config[name], int) or config[name] < 1:
            raise UsageError(f"{name}={config[name]}: a number from 1 on")
    images_NCHW = None if config.images is None else _own_images(config, config.channels, size)
    photo_CHW = photo(config.image, config.channels) if images_NCHW is None else images_NCHW[0]
    shape = Shape(config.channels, config.classes, size, photo_CHW)
    if images_NCHW is None:
        parts_NCHW = windows(photo_CHW, size, max(config.inputs, 1), config.seed)
        images_NCHW = torch.cat([fitted(photo_CHW, size)[None], parts_NCHW])
    network = build_network(config.model, shape, config.seed).network
    try_out(network, shape.in_channels, shape.image_size)
    mean_C11, std_C11 = (torch.tensor(values).float()[:, None, None] for values in (shape.mean, shape.std))
    published = bool(config.model.get("weights"))
    name = str(config.model.get("name", config.model._target_.split(".")[-1]))
    return Subject(network.eval(), published, name, images_NCHW, mean_C11, std_C11, shape.class_names)


def _own_images(config: DictConfig, channels: int, size: tuple[int, int]) -> Tensor | None:
    """(N, channels, height, width) of `image` and of up to `inputs` files below the folder `images`; None of neither.

    Of a larger folder a draw from the seed. Files that can't be read are left out and named.
    """
    found = [] if config.image is None else [fitted(photo(config.image, channels), size)]
    if config.images is None:
        return torch.stack(found) if found else None
    folder = Path(str(config.images)).expanduser()
    if not folder.is_dir():
        raise UsageError(f"images: there is no folder {folder}")
    files = image_files(folder).images
    if not files:
        raise UsageError(f"images: {no_images(folder)}")
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(config.seed)).tolist()
    broken: list[str] = []
    for number in track(sorted(order[: max(config.inputs, 1)]), description="images", transient=True):
        try:
            found.append(fitted(photo(str(files[number]), channels), size))
        except ValueError as error:
            broken.append(str(error))
    if broken:
        print(f"{len(broken)} files of {folder} are left out; the first: {broken[0]}")
    if not found:
        raise UsageError(f"images: none of the {len(broken)} files of {folder} that were tried can be read")
    return torch.stack(found)


def photo(path: str | None, channels: int) -> Tensor:
    """(channels, H, W) float32 in [0, 1]: the photograph, or one that comes with scikit-learn; grey unless 3."""
    if path is None:
        from sklearn.datasets import load_sample_image

        pixels_CHW = torch.from_numpy(load_sample_image("china.jpg").copy()).permute(2, 0, 1)
    else:
        file = Path(path).expanduser()
        if not file.is_file():
            raise UsageError(f"image: there is no file {file}")
        pixels_CHW = torch.from_numpy(_decoded(file).copy()).permute(2, 0, 1)
    image_CHW = pixels_CHW.float() / 255
    if channels == 3:
        return image_CHW.expand(3, -1, -1)
    return image_CHW.mean(0, keepdim=True).expand(channels, -1, -1)


def fitted(image_CHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Scaled to cover (height, width), the middle cut out."""
    height, width = size
    scale = max(height / image_CHW.shape[1], width / image_CHW.shape[2])
    sides = [max(wanted, round(side * scale)) for side, wanted in zip(image_CHW.shape[1:], size, strict=True)]
    scaled = F.interpolate(image_CHW[None], sides, mode="bilinear", antialias=True, align_corners=False)[0]
    top, left = (sides[0] - height) // 2, (sides[1] - width) // 2
    return scaled[:, top : top + height, left : left + width].clamp(0, 1)


def windows(image_CHW: Tensor, size: tuple[int, int], count: int, seed: int) -> Tensor:
    """(count, C, height, width): random windows; a photograph that is too small is enlarged first."""
    height, width = size
    if image_CHW.shape[1] < height or image_CHW.shape[2] < width:
        image_CHW = fitted(image_CHW, (max(height, image_CHW.shape[1]), max(width, image_CHW.shape[2])))
    generator = torch.Generator().manual_seed(seed)
    tops, lefts = (
        torch.randint(0, side - wanted + 1, (count,), generator=generator).tolist()
        for side, wanted in zip(image_CHW.shape[1:], size, strict=True)
    )
    return torch.stack([image_CHW[:, y : y + height, x : x + width] for y, x in zip(tops, lefts, strict=True)])


def _height_and_width(size: Any) -> tuple[int, int]:
    pair = (size, size) if isinstance(size, int) else tuple(size) if size is not None else ()
    if len(pair) != 2 or not all(isinstance(side, int) and side > 0 for side in pair):
        raise UsageError(f"size={size}: a number of pixels, or [height, width]")
    return pair


def _decoded(file: Path) -> np.ndarray:
    try:
        return decode(file)
    except Exception as error:  # Pillow has many words for a broken file
        raise UsageError(f"image: {file} can't be read: {error}") from error
