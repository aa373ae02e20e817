"""The photograph that the tour is shown on. C channel (red, green, blue), H, W image."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.data.photographs.windows import fitted, read_photograph

SHORT, LONG = 320, 480  # pixels of the sides, after scaling; what sticks out at the ends is cut off
LEAST = 16  # pixels along a side, below which there is nothing to see


def photograph(image: str | Path | None = None) -> Tensor:
    """(3, H, W) float32 in [0, 1]: the image file, or a photograph that comes with a library (see `name_of`).

    Scaled to a shorter side of SHORT pixels and cut around its middle to a longer one of at most LONG; grey is given
    in three equal channels. UsageError for a file that isn't there, can't be read, is tiny, or shows one even surface.
    """
    pixels_HWC = read_photograph(Path(image)) if image else _of_a_library()
    height, width = pixels_HWC.shape[:2]
    if min(height, width) < LEAST:
        raise UsageError(f"image: {image} has {width} x {height} pixels; the tour needs at least {LEAST} x {LEAST}")
    if not np.ptp(pixels_HWC, axis=(0, 1)).any():
        raise UsageError(f"image: {image} shows one even surface: all its pixels are the same")
    pixels_HWC = _middle(pixels_HWC)
    height, width = pixels_HWC.shape[:2]
    scale = SHORT / min(height, width)
    image_CHW = torch.from_numpy(pixels_HWC.copy()).permute(2, 0, 1).float() / 255
    return fitted(image_CHW.expand(3, -1, -1), (round(height * scale), round(width * scale))).contiguous()


def name_of(image: Path | None = None) -> str:
    """How to call that photograph."""
    return image.name if image else "scikit-image's astronaut" if _scikit_image() else "scikit-learn's china.jpg"


def _of_a_library() -> NDArray[np.uint8]:
    """scikit-image's astronaut (Eileen Collins, by NASA); where it isn't installed, scikit-learn's china.jpg."""
    if _scikit_image():
        from skimage import data

        return data.astronaut()
    from sklearn.datasets import load_sample_image

    return load_sample_image("china.jpg")


def _scikit_image() -> bool:
    return find_spec("skimage") is not None


def _middle(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut around its middle until the longer side is at most LONG / SHORT times the shorter one."""
    height, width = pixels_HWC.shape[:2]
    most = min(height, width) * LONG // SHORT
    rows, columns = min(height, most), min(width, most)
    top, left = (height - rows) // 2, (width - columns) // 2
    return pixels_HWC[top : top + rows, left : left + columns]
