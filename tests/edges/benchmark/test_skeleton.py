"""Thinning agrees with scikit-image's `thin`, which is the same published algorithm written by others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage
from skimage.morphology import thin

from cnnlab.edges.benchmark.skeleton import GOES_2N, OFFSETS, thinned

MAPS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12))
EIGHT = np.ones((3, 3))


def blobs(seed: int, shape: tuple[int, int] = (120, 90), sigma: float = 2.0) -> np.ndarray:
    return ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), sigma) > 0


@settings(max_examples=200, deadline=None)
@given(MAPS)
def test_small_maps_of_any_kind_are_thinned_as_scikit_image_does(map_HW: np.ndarray) -> None:
    np.testing.assert_array_equal(thinned(map_HW), thin(map_HW))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("sigma", [0.5, 1.5, 4.0])
def test_blobs_of_any_size_are_thinned_as_scikit_image_does(seed: int, sigma: float) -> None:
    map_HW = blobs(seed, sigma=sigma)
    np.testing.assert_array_equal(thinned(map_HW), thin(map_HW))


@pytest.mark.parametrize("density", [0.1, 0.5, 0.9, 1.0])
def test_noise_is_thinned_as_scikit_image_does(density: float) -> None:
    map_HW = np.random.default_rng(1).random((80, 110)) < density
    np.testing.assert_array_equal(thinned(map_HW), thin(map_HW))


@settings(max_examples=100, deadline=None)
@given(MAPS)
def test_nothing_is_added_nothing_is_cut_apart_and_a_second_time_changes_nothing(map_HW: np.ndarray) -> None:
    once_HW = thinned(map_HW)
    assert not (once_HW & ~map_HW).any()
    assert ndimage.label(once_HW, EIGHT)[1] == ndimage.label(map_HW, EIGHT)[1]
    np.testing.assert_array_equal(thinned(once_HW), once_HW)


def test_a_bar_becomes_a_line_and_a_line_stays() -> None:
    bar_HW = np.zeros((11, 40), dtype=bool)
    bar_HW[3:8, 5:35] = True
    line_HW = thinned(bar_HW)
    assert set(line_HW.sum(axis=0)) == {0, 1}
    assert line_HW[5].sum() == line_HW.sum() >= 26
    np.testing.assert_array_equal(thinned(line_HW), line_HW)


def test_the_tables_of_both_passes_are_each_others_half_turn() -> None:
    turned = [OFFSETS.index((-dy, -dx)) for dy, dx in OFFSETS]
    for code in range(256):
        half_turn = sum((code >> bit & 1) << turned[bit] for bit in range(8))
        assert GOES_2N[0, code] == GOES_2N[1, half_turn]


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_maps_of_a_row_or_less_pass(shape: tuple[int, int]) -> None:
    np.testing.assert_array_equal(thinned(np.ones(shape, dtype=bool)), thin(np.ones(shape, dtype=bool)))


@pytest.mark.parametrize("map_HW", [np.zeros((3, 3)), np.zeros((1, 3, 3), dtype=bool)])
def test_only_a_map_of_bool_can_be_thinned(map_HW: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"\(H, W\) and bool"):
        thinned(map_HW)
