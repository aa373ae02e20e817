"""What all tests share: one thread each, and where the real data lie."""

import os
from pathlib import Path

import pytest
import torch

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
