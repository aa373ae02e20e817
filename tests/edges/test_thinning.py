"""Thinning: ties, plateaus, borders, one pixel wide in every orientation. H W image."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from cnnlab.edges import thinning
from cnnlab.edges.detector import EdgeDetector
from cnnlab.edges.thinning import largest_along, largest_by_fields, thin

BEST = {"bank": "gaussian(sigma=3, order=1)", "space": "opponent", "root": True, "colour": "tensor"}
BEST |= {"texture": 1.25, "surround": 0.5}
DETECTORS = {
    "sobel": {"bank": "sobel"},
    "farid": {"bank": "farid"},
    "gaussian": {"bank": "gaussian(sigma=2, order=1)"},
    "tensor": {"bank": "scharr", "colour": "tensor"},
    "best": BEST,
}
SIDE = 64


def step_image(turn: int, offset: float, soft: bool) -> Tensor:
    """(1, 3, SIDE, SIDE) float64: a straight step whose normal points along turn * 22.5 degrees."""
    y, x = torch.meshgrid(*[torch.arange(SIDE, dtype=torch.float64) - SIDE / 2 + 0.5] * 2, indexing="ij")
    angle = math.pi * turn / 8
    distance = (x * math.cos(angle) + y * math.sin(angle) - offset).round(decimals=9)
    step = (distance + 0.5).clamp(0, 1) if soft else (distance > 0).double()
    return step.expand(1, 3, -1, -1)


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_a_step_gives_a_line_one_pixel_wide_in_each_of_16_orientations(name: str, soft: bool, offset: float) -> None:
    """One pixel in every row (column, where it lies flatter), all joined: no gap, no double line."""
    detector = EdgeDetector.plain(**DETECTORS[name])
    for turn in range(16):
        line = detector.thinned(step_image(turn, offset, soft))[0, 0]
        line = (line > line.max() / 5).numpy()
        steep = abs(math.cos(math.pi * turn / 8)) > abs(math.sin(math.pi * turn / 8)) - 1e-9
        rows = line if steep else line.T
        np.testing.assert_array_equal(rows[14:-14].sum(1), 1, err_msg=f"turn {turn}")
        assert ndimage.label(line[14:-14, 14:-14], np.ones((3, 3)))[1] == 1


@pytest.mark.parametrize("name", DETECTORS)
def test_a_square_of_ten_pixels_has_one_closed_contour(name: str) -> None:
    image = torch.zeros(1, 3, 60, 60)
    image[..., 25:35, 25:35] = 1
    contour = EdgeDetector.plain(**DETECTORS[name]).thinned(image)[0, 0]
    contour = (contour > contour.max() / 5).numpy()
    assert ndimage.label(contour, np.ones((3, 3)))[1] == 1
    regions, count = ndimage.label(~contour)  # joined by sides: a closed line of neighbours separates
    assert count == 2
    assert regions[0, 0] != regions[29, 29]


def test_the_contour_of_a_square_is_its_outermost_bright_pixels() -> None:
    image = torch.zeros(1, 1, 20, 20)
    image[..., 5:15, 5:15] = 1
    expected = image.clone()
    expected[..., 6:14, 6:14] = 0
    assert torch.equal(EdgeDetector.plain("sobel").thinned(image) > 0, expected > 0)


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_constant_image_has_no_edge(name: str, level: float) -> None:
    assert not EdgeDetector.plain(**DETECTORS[name]).thinned(torch.full((2, 3, 40, 50), level)).any()


def test_a_ramp_keeps_the_brightest_end_of_its_plateau_only() -> None:
    row = torch.cat([torch.zeros(8), torch.arange(1, 9) / 8, torch.ones(8)])
    stays = EdgeDetector.plain("central").thinned(row.expand(1, 1, 5, -1))[0, 0] > 0
    assert stays.sum(1).tolist() == [1] * 5
    assert stays[0].nonzero().item() == 14  # the last pixel whose neighbours differ by two full steps


def test_without_a_tie_field_of_two_equals_the_one_further_along_the_normal_stays() -> None:
    strength, orientation = torch.zeros(1, 1, 5, 6), torch.zeros(1, 1, 5, 6)
    strength[..., 2:4] = 1
    assert thin(strength, orientation).nonzero()[:, 3].unique().tolist() == [3]
    assert thin(strength, orientation + math.pi).nonzero()[:, 3].unique().tolist() == [3]
    down = thin(strength.mT, orientation.mT + math.pi / 2)
    assert down.nonzero()[:, 2].unique().tolist() == [3]


def test_where_strength_and_tie_are_both_equal_both_pixels_stay() -> None:
    strength = torch.zeros(1, 1, 5, 6)
    strength[..., 2:4] = 1
    stays = thin(strength, torch.zeros_like(strength), tie_B1HW=torch.zeros_like(strength))
    assert torch.equal(stays, strength)


def test_beyond_the_border_there_is_nothing() -> None:
    strength = torch.arange(5.0).expand(1, 1, 4, 5)
    assert thin(strength, torch.zeros_like(strength)).nonzero()[:, 3].unique().tolist() == [4]


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(1, 14),
    width=st.integers(1, 14),
    levels=st.integers(1, 6),
    quarters=st.integers(0, 3),
    mirrored=st.booleans(),
    name=st.sampled_from(sorted(DETECTORS)),
    seed=st.integers(0, 2**31),
)
def test_thinned_edges_turn_and_mirror_with_the_image_to_the_last_bit(
    height: int, width: int, levels: int, quarters: int, mirrored: bool, name: str, seed: int
) -> None:
    """Images of few levels are full of ties. Damped strengths differ by rounding, never where they are."""
    image = torch.randint(0, levels, (1, 3, height, width), generator=torch.Generator().manual_seed(seed)) / levels
    detector = EdgeDetector.plain(**DETECTORS[name])

    def moved(field: Tensor) -> Tensor:
        return torch.rot90(field.flip(-1) if mirrored else field, quarters, (-2, -1))

    ours, theirs = detector.thinned(moved(image)), moved(detector.thinned(image))
    assert torch.equal(ours > 0, theirs > 0)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), levels=st.integers(2, 50), tied=st.booleans(), double=st.booleans())
def test_pixel_by_pixel_and_by_whole_fields_are_the_same(seed: int, levels: int, tied: bool, double: bool) -> None:
    if not thinning.COMPILED:
        pytest.skip("numba is not installed: there is only one way")
    random = torch.Generator().manual_seed(seed)
    dtype = torch.float64 if double else torch.float32

    def some(*shape: int) -> Tensor:
        return torch.randint(0, levels, shape, generator=random).to(dtype)

    def direction() -> Tensor:
        """Powers of two and 0: all interpolations are exact, so ties are ties in both ways."""
        return torch.tensor([0.0, 1, -1, 2, -2, 4, -4], dtype=dtype)[
            torch.randint(0, 7, (2, 1, 12, 13), generator=random)
        ]

    strength, dy, dx = some(2, 1, 12, 13), direction(), direction()
    tie = some(2, 1, 12, 13) if tied else None
    for least in (0.0, 2.0):
        expected = largest_by_fields(strength, dy, dx, tie, least)
        assert torch.equal(largest_along(strength, dy, dx, tie, least), expected)


def test_each_image_of_a_batch_is_thinned_as_it_is_alone() -> None:
    images = torch.rand(3, 3, 40, 41)
    detector = EdgeDetector.plain(**BEST)
    together = detector.thinned(images)
    for image, edges in zip(images, together, strict=True):
        torch.testing.assert_close(detector.thinned(image[None])[0], edges, rtol=1e-6, atol=1e-9)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="same shape"):
        thin(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 5))
