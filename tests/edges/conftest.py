"""Photographs to detect edges in."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def scene(height: int = 40, width: int = 56, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8: a few smooth blobs and a square."""
    random = np.random.default_rng(seed)
    y_HW, x_HW = np.mgrid[:height, :width]
    image_HWC = np.zeros((height, width, 3))
    for _ in range(4):
        y, x, size = random.uniform(0, height), random.uniform(0, width), random.uniform(3, 9)
        blob_HW = np.exp(-((y_HW - y) ** 2 + (x_HW - x) ** 2) / size**2)
        image_HWC += blob_HW[:, :, None] * random.uniform(40, 200, 3)
    image_HWC[height // 4 : height // 2, width // 4 : width // 2] += 90
    return image_HWC.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def blobs() -> Callable[..., np.ndarray]:
    return scene


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a photograph, in an empty folder: `photo("in/a.png", seed=1)`."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, seed: int = 0) -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene(seed=seed)).save(path)
        return path

    return write
