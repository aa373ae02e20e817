"""What all tests share: one thread each, where the real data lie, and a headless Chromium of the system's."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

# The tests run side by side; threads of their own would fight over the cores. Programs started by tests inherit it.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)


@pytest.fixture
def data_root() -> Path:
    """The folder with real data sets, from the environment variable CNNLAB_DATA."""
    root = os.environ.get("CNNLAB_DATA")
    if not root:
        pytest.skip("CNNLAB_DATA is not set: no real data sets here")
    return Path(root)


@pytest.fixture(scope="session")
def berkeley(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a folder laid out as the Berkeley distribution: `berkeley(train=4, val=2)`.

    Each photograph, 48 x 64 or 64 x 48, shows a bright rectangle on a dark ground with noise; two annotators drew its
    outline, the second one pixel further in.
    """
    from scipy.io import savemat

    def make(size: tuple[int, int] = (48, 64), **counts: int) -> Path:
        root, noise = tmp_path_factory.mktemp("berkeley"), np.random.default_rng(0)
        for split, count in counts.items():
            for kind in ("images", "groundTruth"):
                (root / kind / split).mkdir(parents=True)
            for number in range(count):
                shape = size if number % 2 else size[::-1]
                (top, left), (height, width) = noise.integers(6, 12, 2), noise.integers(16, 28, 2)
                photo = noise.integers(20, 60, (*shape, 3))
                photo[top : top + height, left : left + width] += np.array([150, 120, 90])
                Image.fromarray(photo.astype(np.uint8)).save(root / f"images/{split}/{number:03}.png")
                cells = np.empty((1, 2), dtype=object)
                for annotator in range(2):
                    drawn = np.zeros(shape, np.uint8)
                    inner = (
                        slice(top + annotator, top + height - annotator),
                        slice(left + annotator, left + width - annotator),
                    )
                    drawn[inner] = 1
                    drawn[
                        top + annotator + 1 : top + height - annotator - 1,
                        left + annotator + 1 : left + width - annotator - 1,
                    ] = 0
                    cells[0, annotator] = {"Boundaries": drawn}
                savemat(root / f"groundTruth/{split}/{number:03}.mat", {"groundTruth": cells})
        return root

    return make


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("no Chromium with its chromedriver here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    profile = tmp_path_factory.mktemp("profile")
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    os.environ.setdefault("SE_AVOID_STATS", "true")
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield opened
    opened.quit()
