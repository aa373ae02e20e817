"""Photographs with boundaries: what a window shows, that batches are pure, which photographs are trained on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from cnnlab.data.boundaries.module import BoundaryData
from cnnlab.data.boundaries.windows import Drawn, Windows, votes_of

VALUES: dict[str, Any] = {
    "name": "bsds500", "seed": 0, "batch_size": 2, "crop": 32, "passes": 2, "slack": 1, "held_out": 0,
    "scored": "val", "scales": [0.7, 1.3], "flip": True, "turn": True, "light": 0.2,
}  # fmt: skip
PLAIN = {"scales": [1, 1], "flip": False, "turn": False, "light": 0.0}


@pytest.fixture(scope="module")
def root(berkeley: Callable[..., Path]) -> Path:
    return berkeley(train=5, val=2)


def made(root: Path, **values: Any) -> BoundaryData:
    data = BoundaryData(root=str(root), **{**VALUES, **values})
    data.setup("fit")
    return data


def drawn(height: int = 40, width: int = 50) -> Drawn:
    """A photograph whose pixels are all different, its boundaries where the first channel is above one half."""
    image_CHW = torch.arange(3 * height * width).reshape(3, height, width) * 251 % 256
    votes_HW = torch.where(image_CHW[0] > 127, 255, 0)
    return Drawn("one", image_CHW.to(torch.uint8), votes_HW.to(torch.uint8))


def windows(size: int, **values: Any) -> Windows:
    return Windows(**{"size": size, **PLAIN, **values})


def test_the_share_counts_annotators_within_the_slack_once_each() -> None:
    boundaries_AHW = torch.zeros(4, 7, 9, dtype=torch.bool)
    boundaries_AHW[0, 3, 3] = boundaries_AHW[1, 3, 4] = boundaries_AHW[1, 4, 4] = True
    votes_HW = votes_of(boundaries_AHW, slack=1)
    assert votes_HW.dtype == torch.uint8
    assert votes_HW[3, 4] == round(255 * 2 / 4)
    assert votes_HW[3, 2] == votes_HW[5, 5] == round(255 / 4)
    assert votes_HW[6, 3] == votes_HW[3, 6] == 0
    exact_HW = votes_of(boundaries_AHW, slack=0)
    assert torch.equal(exact_HW.bool(), boundaries_AHW.any(0))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("change", [{}, {"flip": True}, {"turn": True}, {"flip": True, "turn": True}])
def test_a_window_shows_the_photograph_and_its_own_boundaries(seed: int, change: dict[str, bool]) -> None:
    """Neither scaled nor lit, every pixel keeps its boundary, whichever way the window is turned."""
    one = drawn()
    image_CSS, votes_1SS = windows(16, **change)(one, torch.Generator().manual_seed(seed))
    assert image_CSS.shape == (3, 16, 16)
    assert torch.equal(votes_1SS[0] == 1, image_CSS[0] > 0.5)
    whole = {tuple(pixel) for pixel in one.image_CHW.flatten(1).T.tolist()}
    assert {tuple(pixel) for pixel in (image_CSS * 255).round().int().flatten(1).T.tolist()} <= whole


def test_flips_and_turns_reach_all_eight_positions() -> None:
    one, cut = drawn(16, 16), windows(16, flip=True, turn=True)
    seen = {tuple(cut(one, torch.Generator().manual_seed(seed))[0].flatten().tolist()) for seed in range(100)}
    assert len(seen) == 8


def test_scaling_keeps_a_boundary_at_its_place() -> None:
    """A bright right half with a boundary at its edge: in a scaled window the two still meet."""
    image_CHW = torch.zeros(3, 80, 80, dtype=torch.uint8)
    image_CHW[:, :, 40:] = 255
    votes_HW = torch.zeros(80, 80, dtype=torch.uint8)
    votes_HW[:, 39:41] = 255
    for scale in (0.5, 2.0):
        cut = windows(40, scales=[scale, scale])
        image_CSS, votes_1SS = cut(Drawn("half", image_CHW, votes_HW), torch.Generator().manual_seed(3))
        step = image_CSS[0].diff(dim=1).abs().sum(0)
        if step.max() > 0:
            assert abs(int(step.argmax()) - int(votes_1SS[0].sum(0).argmax())) <= 1
    small = Drawn("small", image_CHW[:, :20, :30], votes_HW[:20, :30])
    assert windows(40)(small, torch.Generator())[0].shape == (3, 40, 40)  # enlarged


def test_light_changes_the_photograph_and_not_the_boundaries() -> None:
    one = drawn()
    plain, plain_share = windows(16)(one, torch.Generator().manual_seed(1))
    lit, lit_share = windows(16, light=0.5)(one, torch.Generator().manual_seed(1))
    assert torch.equal(plain_share, lit_share)
    inside = (lit > 0) & (lit < 1)
    slope = (lit[inside] - lit[inside].mean()) / (plain[inside] - plain[inside].mean())
    torch.testing.assert_close(slope, slope.median().expand_as(slope), atol=1e-2, rtol=1e-2)
    assert 0.5 <= float(slope.median()) <= 1.5
    assert not torch.equal(plain, lit)


def test_batches_follow_from_seed_epoch_and_batch_alone(root: Path) -> None:
    """Entered at any batch, a pass goes on as the uninterrupted one; other seeds and epochs give others."""
    whole = [list(made(root).train_dataloader()) for _ in range(2)]
    assert len(whole[0]) == 5
    for (image, share), (same, same_share) in zip(*whole, strict=True):
        assert image.shape == (2, 3, 32, 32)
        assert share.shape == (2, 1, 32, 32)
        assert 0 <= image.min() <= image.max() <= 1
        assert torch.equal(image, same)
        assert torch.equal(share, same_share)
    loader = made(root).train_dataloader()
    loader.load_state_dict({"epoch": 0, "batch": 3})
    rest = list(loader)
    assert len(rest) == 2
    assert torch.equal(rest[0][0], whole[0][3][0])
    assert not torch.equal(next(iter(loader))[0], whole[0][0][0])  # the next epoch
    assert not torch.equal(next(iter(made(root, seed=1).train_dataloader()))[0], whole[0][0][0])


def test_an_epoch_has_as_many_windows_of_every_photograph(root: Path) -> None:
    loader = made(root, passes=4, batch_size=3).train_dataloader()
    assert len(loader) == 20 // 3
    assert loader.order.index_N.bincount().tolist() == [4] * 5


def test_photographs_held_out_are_the_same_for_every_seed_and_never_trained_on(root: Path) -> None:
    data, other = made(root, held_out=2, scored="held_out"), made(root, held_out=2, scored="held_out", seed=9)
    held = [stem for stem, *_ in data.benchmark()]
    assert held == [stem for stem, *_ in other.benchmark()]
    assert len(held) == data.benchmark_count == 2
    assert data.describe()["images"] == {"train": 3, "held out": 2}
    assert not set(held) & {one.stem for one in data._train}
    whole = list(data.val_dataloader())
    assert [image.shape[1:] for image, _ in whole] == [image.shape for _, image, _ in data.benchmark()]
    assert all(share.shape == (1, 1, *image.shape[2:]) for image, share in whole)


def test_the_benchmark_gives_whole_photographs_of_the_split_with_every_drawing(root: Path) -> None:
    data = made(root)
    found = list(data.benchmark())
    assert [stem for stem, *_ in found] == ["000", "001"]
    assert [image_CHW.shape for _, image_CHW, _ in found] == [(3, 64, 48), (3, 48, 64)]
    assert all(boundaries_AHW.shape[0] == 2 and boundaries_AHW.dtype == bool for *_, boundaries_AHW in found)
    assert len(data.val_dataloader()) == 0
    assert made(root, scored=None).has_test is False


def test_patches_are_windows_of_training_photographs(root: Path) -> None:
    patch_NCSS = made(root).patches(7, 10, seed=3)
    assert patch_NCSS.shape == (10, 3, 7, 7)
    assert torch.equal(patch_NCSS, made(root).patches(7, 10, seed=3))
    with pytest.raises(ValueError, match="smallest photograph has 48"):
        made(root).patches(49, 1, seed=0)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"crop": 0}, "data.crop=0"), ({"scales": [1.4, 0.6]}, "data.scales"), ({"light": 1.0}, "data.light"),
        ({"passes": 0}, "data.passes=0"), ({"scored": "tset"}, "unknown data.scored .tset"),
        ({"held_out": 5}, "there are 5 photographs"), ({"scored": "held_out"}, "none is held out"),
        ({"scored": "test"}, "test"),
    ],
)  # fmt: skip
def test_values_that_cannot_be_are_refused(root: Path, values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        made(root, **values)


def test_boundaries_of_another_size_than_the_photograph_are_told_of(tmp_path: Path) -> None:
    for kind in ("images", "groundTruth"):
        (tmp_path / kind / "train").mkdir(parents=True)
    Image.new("RGB", (20, 10)).save(tmp_path / "images/train/a.png")
    cells = np.empty((1, 1), dtype=object)
    cells[0, 0] = {"Boundaries": np.ones((10, 21), np.uint8)}
    savemat(tmp_path / "groundTruth/train/a.mat", {"groundTruth": cells})
    with pytest.raises(ValueError, match=r"a\.mat: boundaries of 10x21, but a\.png has 10x20"):
        made(tmp_path, scored=None)
    (tmp_path / "images/train/a.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"a\.png can't be read"):
        made(tmp_path, scored=None)


def test_grey_photographs_are_shown_in_colour(tmp_path: Path, berkeley: Callable[..., Path]) -> None:
    root = berkeley(train=1)
    (file,) = (root / "images/train").iterdir()
    Image.open(file).convert("L").save(file)
    image_CHW = made(root, scored=None)._train[0].image_CHW
    assert image_CHW.shape[0] == 3
    assert torch.equal(image_CHW[0], image_CHW[2])
