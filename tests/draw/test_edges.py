"""Edges in colour and in ink. H height, W width, C channel."""

import math

import numpy as np
import pytest

from cnnlab.draw import edges
from cnnlab.draw.edges import colours_STC, ink_picture, orientation_picture, reduction, side_by_side


def even(value: float, shape: tuple[int, int] = (6, 8)) -> np.ndarray:
    return np.full(shape, value, np.float32)


def hue_of(orientation: float) -> list[int]:
    return orientation_picture(even(1.0), even(orientation))[0, 0].tolist()


def test_without_strength_the_paper_is_white() -> None:
    assert (orientation_picture(even(0), even(1.0)) == 255).all()
    assert (ink_picture(even(0)) == 255).all()


def test_half_a_turn_more_is_the_same_colour_and_a_quarter_is_another() -> None:
    for angle in (0.0, 0.4, 1.5, 3.1):
        assert hue_of(angle) == hue_of(angle + math.pi) == hue_of(angle - math.pi)
        assert np.abs(np.subtract(hue_of(angle), hue_of(angle + math.pi / 2))).max() > 60
    assert hue_of(math.pi - 1e-4) == hue_of(0.0)


def test_no_orientation_looks_stronger_than_another_and_none_is_skipped() -> None:
    full_TC = colours_STC()[-1].astype(float)
    step_T = np.linalg.norm(full_TC - np.roll(full_TC, 1, axis=0), axis=1)
    assert step_T.max() < 14  # of 255: the circle closes without a jump
    linear_TC = np.where(full_TC <= 10.31, full_TC / 255 / 12.92, ((full_TC / 255 + 0.055) / 1.055) ** 2.4)
    luminance_T = linear_TC @ [0.2126, 0.7152, 0.0722]  # CIE Y of sRGB
    assert luminance_T.max() < 2 * luminance_T.min()


def test_more_strength_is_more_ink() -> None:
    ramp_HW = np.linspace(0, 1, 200, dtype=np.float32)[None].repeat(3, 0)
    ink_W = ink_picture(ramp_HW)[0, :, 0].astype(int)
    assert (np.diff(ink_W) <= 0).all()
    assert (ink_W[0], ink_W[-1]) == (255, 0)
    np.testing.assert_array_equal(ink_picture(ramp_HW), ink_picture(7 * ramp_HW))


def test_one_bright_pixel_does_not_hide_the_others() -> None:
    strength_HW = even(0.1, (40, 40))
    strength_HW[3, 3] = 100
    assert ink_picture(strength_HW)[20, 20, 0] == 0


def test_what_is_faint_stays_faint() -> None:
    noise_HW = np.random.default_rng(0).uniform(0, 1e-7, (30, 30)).astype(np.float32)
    assert ink_picture(noise_HW, faint=0.01).min() > 250
    assert orientation_picture(noise_HW, noise_HW, faint=0.01, legend=False).min() > 250
    assert ink_picture(noise_HW).min() == 0


def test_the_ring_wears_the_colours_of_a_circle_of_edges() -> None:
    blank = orientation_picture(even(0, (400, 400)), even(0, (400, 400)))
    rows, columns = np.nonzero((blank != 255).any(-1))
    top, left, size = rows.min(), columns.min(), np.ptp(rows)
    assert 30 < size < 60
    assert abs(np.ptp(columns) - size) <= 1
    middle = np.array([top + size / 2, left + size / 2])
    for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False):
        row, column = np.rint(middle + 0.36 * size * np.array([np.sin(angle), np.cos(angle)])).astype(int)
        assert np.abs(blank[row, column].astype(int) - hue_of(angle)).max() < 30
    assert (orientation_picture(even(0, (400, 400)), even(0, (400, 400)), legend=False) == 255).all()


@pytest.mark.parametrize(
    ("shape", "whole"), [((10, 20), (10, 20 * 2 + 8)), ((20, 10), (20, 28)), ((10, 90), (10 * 2 + 8, 90))]
)
def test_panels_stand_in_a_row_and_wide_ones_above_each_other(shape: tuple, whole: tuple) -> None:
    dark, light = np.zeros((*shape, 3), np.uint8), np.full((*shape, 3), 200, np.uint8)
    picture_HWC = side_by_side([dark, light])
    assert picture_HWC.shape == (*whole, 3)
    assert (picture_HWC[: shape[0], : shape[1]] == 0).all()
    assert (picture_HWC[-shape[0] :, -shape[1] :] == 200).all()
    assert (picture_HWC == 255).any()


def test_panels_of_two_sizes_or_in_floating_point_are_refused() -> None:
    one = np.zeros((4, 5, 3), np.uint8)
    for other in (np.zeros((5, 4, 3), np.uint8), np.zeros((4, 5, 3)), np.zeros((4, 5), np.uint8)):
        with pytest.raises(ValueError, match="panels must be uint8 of one size"):
            side_by_side([one, other])


@pytest.mark.parametrize(("size", "by"), [((1, 1), 1), ((2048, 3), 1), ((2049, 3), 2), ((5000, 30000), 15)])
def test_no_side_of_a_panel_is_longer_than_the_largest(size: tuple[int, int], by: int) -> None:
    assert reduction(*size) == by
    assert max(size) / by <= edges.LARGEST
