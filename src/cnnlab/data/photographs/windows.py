"""Photographs as tensors of one size: read, scaled, cut. N images, C channel, H, W image.

All are float32 in [0, 1]; a photograph for one channel, or for any number but three, is grey.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.data.photographs.decode import decode, reason
from cnnlab.data.photographs.files import image_files, no_images


def read_photograph(path: Path) -> NDArray[np.uint8]:
    """(H, W, C) uint8, C 1 or 3. UsageError for a file that isn't there, or can't be read."""
    path = path.expanduser()
    if not path.is_file():
        raise UsageError(f"image: there is no file {path}")
    try:
        return decode(path)
    except Exception as error:  # Pillow has many words for a broken file
        raise UsageError(f"image: {path} can't be read: {reason(error, path)}") from error


def photograph(path: Path | None, channels: int) -> Tensor:
    """(channels, H, W): the image file, or a photograph that comes with scikit-learn."""
    if path is None:
        from sklearn.datasets import load_sample_image

        pixels_HWC = load_sample_image("china.jpg")
    else:
        pixels_HWC = read_photograph(path)
    image_CHW = torch.from_numpy(pixels_HWC.copy()).permute(2, 0, 1).float() / 255
    if channels == 3:
        return image_CHW.expand(3, -1, -1)
    return image_CHW.mean(0, keepdim=True).expand(channels, -1, -1)


def photographs_below(folder: Path, channels: int, size: tuple[int, int], count: int, seed: int) -> Tensor:
    """(N, channels, height, width): up to `count` image files below the folder, in order; of more a draw of the seed.

    Files that can't be read are left out and named. UsageError where none can be.
    """
    folder = folder.expanduser()
    if not folder.is_dir():
        raise UsageError(f"images: there is no folder {folder}")
    files = image_files(folder).images
    if not files:
        raise UsageError(f"images: {no_images(folder)}")
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(seed)).tolist()
    images, broken = list[Tensor](), list[str]()
    for number in track(sorted(order[:count]), description="images", transient=True):
        try:
            images.append(fitted(photograph(files[number], channels), size))
        except UsageError as error:
            broken.append(str(error))
    if broken:
        print(f"{len(broken)} files of {folder} are left out; the first: {broken[0]}")
    if not images:
        raise UsageError(f"images: none of the {len(broken)} files of {folder} that were tried can be read")
    return torch.stack(images)


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
