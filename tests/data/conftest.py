"""Small data for the data room. B batch, C channel, H height, W width."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.data.images.module import ImageData

VALUES = {"batch_size": 32, "eval_batch_size": 100, "validation": 0.2, "workers": 0}


@pytest.fixture
def make_data() -> Callable[..., ImageData]:
    """ImageData with small values, some of them changed; set up for `stage` unless that is None."""

    def make(stage: str | None = "fit", **changes: object) -> ImageData:
        data = ImageData(**{"name": "digits", **VALUES, **changes})
        if stage is not None:
            data.setup(stage)
        return data

    return make


@pytest.fixture
def data_root() -> Path:
    """Where real data sets lie."""
    if "CNNLAB_DATA" not in os.environ:
        pytest.skip("CNNLAB_DATA is not set: it names the folder with the real MNIST and cifar10-jpeg files")
    return Path(os.environ["CNNLAB_DATA"])


@pytest.fixture
def write_image() -> Callable[..., np.ndarray]:
    """Write a random PNG, or another kind by its suffix, and return its pixels."""

    def write(path: Path, height: int = 10, width: int = 12, mode: str = "RGB", seed: int = 0) -> np.ndarray:
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (height, width) if mode == "L" else (height, width, len(mode))
        array = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(array).save(path)
        return array

    return write


@pytest.fixture
def folder(tmp_path: Path, write_image: Callable[..., np.ndarray]) -> Path:
    """Two classes of twelve colour training images, 10x12 each, and four test images."""
    for n in range(12):
        write_image(tmp_path / "train" / "cat" / f"{n}.png", seed=n)
        write_image(tmp_path / "train" / "dog" / f"{n}.png", seed=100 + n)
    for n in range(2):
        write_image(tmp_path / "test" / "cat" / f"{n}.png", seed=200 + n)
        write_image(tmp_path / "test" / "dog" / f"{n}.png", seed=300 + n)
    return tmp_path
