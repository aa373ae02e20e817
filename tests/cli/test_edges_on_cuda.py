"""Edges on a GPU: the network trains there, photographs go through it. Skipped where there is none."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnnlab.data.boundaries.module import BoundaryData

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning"),  # of torch's own compiler
]
SMALL = (
    "model=edge_net", "data=bsds500", "model.widths=[4,6]", "model.dilations=[[1],[1]]", "model.up_width=4",
    "data.crop=32", "data.passes=2", "data.batch_size=2", "trainer.max_epochs=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def root(berkeley: Callable[..., Path]) -> Path:
    return berkeley(train=4, val=2)


@pytest.mark.parametrize("extra", [(), ("compile=true",)], ids=["eager", "compiled"])
def test_the_edge_network_trains_there_and_is_scored(here: Callable, root: Path, extra: tuple[str, ...]) -> None:
    outcome = here(*SMALL, "trainer=gpu", f"data.root={root}", "hydra.run.dir=run", *extra)
    assert (outcome.status, outcome.err) == (0, "")
    content = json.loads(Path("run/summary.json").read_text())
    assert content["status"] == "completed"
    assert content["device"] == torch.cuda.get_device_name()
    assert 0 < content["metrics"]["benchmark/ods"] <= 1


def test_windows_are_cut_on_the_device_and_are_the_processors(root: Path) -> None:
    """The draws are the processor's, so that a run sees the same windows wherever it runs."""
    values = {
        "name": "bsds500", "seed": 0, "batch_size": 2, "crop": 32, "passes": 2, "slack": 1, "held_out": 0,
        "scored": None, "scales": [0.7, 1.3], "flip": True, "turn": True, "light": 0.2,
    }  # fmt: skip
    loaders = []
    for device in ("cpu", "cuda"):
        data = BoundaryData(root=str(root), **values).to_device(device)
        data.setup("fit")
        loaders.append(data.train_dataloader())
    for ours, theirs in zip(*loaders, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert other.device.type == "cuda"
            torch.testing.assert_close(one, other.cpu(), rtol=0, atol=1e-5)


def test_photographs_go_through_the_gpu_to_the_same_maps(here: Callable) -> None:
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (9, 12, 3), np.uint8)).resize((480, 360), Image.Resampling.BICUBIC).save(
        "photo.png"
    )
    maps = []
    for device in ("cpu", "cuda"):
        outcome = here("input=photo.png", f"output={device}", f"device={device}", program="detect_edges")
        assert outcome.status == 0
        with Image.open(f"{device}/photo.png") as opened:
            maps.append(np.asarray(opened).astype(int))
    assert (maps[0] > 0).any()
    assert ((maps[0] > 0) != (maps[1] > 0)).mean() < 1e-3
    both = (maps[0] > 0) & (maps[1] > 0)
    assert np.abs(maps[0] - maps[1])[both].max() <= 8
