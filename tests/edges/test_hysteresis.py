"""Hysteresis and its thresholds. H W image."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.filters import apply_hysteresis_threshold, threshold_otsu

from cnnlab.edges import hysteresis as room
from cnnlab.edges.detector import EdgeDetector
from cnnlab.edges.hysteresis import flooded, hysteresis, joined
from cnnlab.edges.thresholds import LOW_FRACTION, otsu, thresholds


def labelled(weak_HW: np.ndarray, strong_HW: np.ndarray) -> np.ndarray:
    """Components by scipy that hold a strong pixel."""
    labels_HW, count = ndimage.label(weak_HW, structure=np.ones((3, 3), bool))
    holds_strong = np.zeros(count + 1, bool)
    holds_strong[labels_HW[strong_HW]] = True
    holds_strong[0] = False
    return holds_strong[labels_HW]


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 20), width=st.integers(1, 20), seed=st.integers(0, 2**31), share=st.floats(0.2, 0.7))
def test_all_three_ways_find_the_same_components(height: int, width: int, seed: int, share: float) -> None:
    random = torch.Generator().manual_seed(seed)
    weak = torch.rand(3, 1, height, width, generator=random) < share
    strong = weak & (torch.rand(3, 1, height, width, generator=random) < 0.05)
    found, walked = joined(weak, strong), flooded(weak, strong)
    for index in range(3):
        one, two = weak[index, 0].numpy(), strong[index, 0].numpy()
        expected = labelled(one, two)
        np.testing.assert_array_equal(found[index, 0], expected)
        np.testing.assert_array_equal(walked[index, 0], expected)


def test_a_spiral_is_followed_to_its_end() -> None:
    """The longest way through an image: the round that only spreads to neighbours would need thousands of turns."""
    weak = torch.zeros(1, 1, 63, 63, dtype=torch.bool)
    top, left, bottom, right = 0, 0, 62, 62
    while top < bottom and left < right:
        weak[..., top, left : right + 1] = weak[..., top : bottom + 1, right] = True
        weak[..., bottom, left : right + 1] = weak[..., top + 2 : bottom + 1, left] = True
        weak[..., top + 2, left : left + 2] = True
        weak[..., top + 1, left] = False
        top, left, bottom, right = top + 2, left + 2, bottom - 2, right - 2
    strong = torch.zeros_like(weak)
    strong[..., 0, 0] = True
    expected = labelled(weak[0, 0].numpy(), strong[0, 0].numpy())
    np.testing.assert_array_equal(joined(weak, strong)[0, 0], expected)
    assert expected.sum() > 1000


def test_it_is_scikit_images_with_corners_joined_and_thresholds_included() -> None:
    """scikit-image joins by sides alone and takes strengths above the thresholds, not at them."""
    strength = torch.rand(2, 1, 40, 50, dtype=torch.float64)
    ours = hysteresis(strength, 0.6, 0.95)
    for mask, one in zip(ours[:, 0], strength[:, 0], strict=True):
        theirs = apply_hysteresis_threshold(one.numpy(), 0.6, 0.95)
        assert not (theirs & ~mask.numpy()).any()
        expected = labelled((one >= 0.6).numpy(), (one >= 0.95).numpy())
        np.testing.assert_array_equal(mask, expected)
    line = torch.tensor([[0.5, 0, 0], [0, 0.5, 0], [0, 0, 1.0]])[None, None]
    assert torch.equal(hysteresis(line, 0.5, 1.0), line > 0)


def test_each_image_has_its_own_thresholds() -> None:
    strength = torch.tensor([0.3, 0.6]).expand(2, 2).reshape(2, 1, 1, 2)
    mask = hysteresis(strength, torch.tensor([0.2, 0.5]), torch.tensor([0.5, 0.5]))
    assert mask.flatten(1).tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize(("low", "high"), [(0.5, 0.4), (float("nan"), 0.4), (torch.zeros(3), 1.0)])
def test_thresholds_that_cannot_be_are_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="low"):
        hysteresis(torch.rand(2, 1, 3, 3), low, high)


def test_without_numba_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    strength = torch.rand(2, 1, 30, 30)
    expected = hysteresis(strength, 0.6, 0.95)
    monkeypatch.setattr(room, "COMPILED", False)
    assert torch.equal(hysteresis(strength, 0.6, 0.95), expected)


def test_quantiles_are_of_the_thinned_strengths_of_each_image() -> None:
    thin = torch.zeros(2, 1, 5, 40)
    thin[0, 0, 0, :10], thin[1, 0, 0, :20] = torch.arange(1.0, 11), torch.arange(1.0, 21)
    low, high = thresholds(thin, "quantile", 0.5, 0.9)
    assert low.tolist() == [5, 10]
    assert high.tolist() == [9, 18]
    bottom, top = thresholds(thin, "quantile", 0.0, 1.0)
    assert (bottom.tolist(), top.tolist()) == ([1, 1], [10, 20])


def test_otsu_is_scikit_images() -> None:
    """Theirs is the middle of the class, ours its upper end."""
    values = torch.cat([torch.randn(3000, dtype=torch.float64), torch.randn(500, dtype=torch.float64) + 6])
    width = (values.max() - values.min()) / 256
    assert otsu(values).item() == pytest.approx(threshold_otsu(values.numpy(), 256) + width.item() / 2, abs=1e-9)


def test_an_image_without_edges_has_infinite_automatic_thresholds_and_stays_empty() -> None:
    thin = torch.zeros(2, 1, 6, 6)
    thin[1, 0, 2] = torch.arange(1.0, 7)
    low, high = thresholds(thin, "automatic", None, None)
    assert low[0] == high[0] == torch.inf
    assert low[1].item() == pytest.approx(LOW_FRACTION * high[1].item())
    assert not EdgeDetector.plain("sobel", thresholds="automatic").thinned(torch.zeros(2, 1, 6, 6)).any()


@pytest.mark.parametrize(
    ("kind", "low", "high", "words"),
    [
        ("absolute", 0.1, None, "come together"),
        ("absolute", 0.2, 0.1, "low must not be above high"),
        ("quantile", None, None, "needs low and high"),
        ("quantile", 0.5, 1.5, "high must be a finite number, 0 to 1"),
        ("automatic", 0.1, 0.2, "take no low"),
        ("otsu", None, None, "unknown thresholds 'otsu'"),
    ],
)
def test_thresholds_of_the_wrong_kind_are_refused(kind: str, low: float | None, high: float | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        EdgeDetector.plain("sobel", thresholds=kind, low=low, high=high)
