"""Laws of the augmentation. B batch, C channel, H height, W width."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cnnlab.data.images.augmentation import Augmentation, cutout, flip, reflect, rotate, shift

OFF = {"flip": False, "shift": 0, "rotation": 0, "cutout": 0}


def batch(batch: int = 3, channels: int = 2, height: int = 6, width: int = 5) -> Tensor:
    return torch.arange(float(batch * channels * height * width)).reshape(batch, channels, height, width)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(st.lists(st.booleans(), min_size=3, max_size=3))
def test_flipping_twice_is_the_identity_and_only_the_chosen_are_flipped(chosen: list[bool]) -> None:
    image_BCHW, chosen_B = batch(), torch.tensor(chosen)
    flipped_BCHW = flip(image_BCHW, chosen_B)
    assert torch.equal(flip(flipped_BCHW, chosen_B), image_BCHW)
    for one, image_CHW in enumerate(image_BCHW):
        expected = image_CHW.numpy()[..., ::-1] if chosen[one] else image_CHW.numpy()
        np.testing.assert_array_equal(flipped_BCHW[one].numpy(), expected)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=3, max_size=3))
def test_a_shift_is_numpys_reflected_border_cropped_at_the_offset(
    dtype: torch.dtype, offsets: list[tuple[int, int]]
) -> None:
    image_BCHW = batch().to(dtype)
    shifted_BCHW = shift(image_BCHW, torch.tensor(offsets))
    assert shifted_BCHW.dtype == dtype
    padded = np.pad(image_BCHW.numpy(), ((0, 0), (0, 0), (4, 4), (4, 4)), mode="reflect")
    for one, (dy, dx) in enumerate(offsets):
        np.testing.assert_array_equal(shifted_BCHW[one].numpy(), padded[one, :, 4 + dy : 10 + dy, 4 + dx : 9 + dx])


def test_a_shift_by_nothing_is_the_identity() -> None:
    assert torch.equal(shift(batch(), torch.zeros(3, 2, dtype=torch.int64)), batch())


@given(st.integers(2, 9), st.integers(0, 30))
def test_reflection_is_numpys(size: int, margin: int) -> None:
    folded = reflect(torch.arange(-margin, size + margin), size).numpy()
    np.testing.assert_array_equal(folded, np.pad(np.arange(size), margin, mode="reflect"))


def test_reflection_of_a_single_pixel_is_that_pixel() -> None:
    assert reflect(torch.arange(-3, 4), 1).tolist() == [0] * 7


@pytest.mark.parametrize("quarter_turns", [-2, -1, 0, 1, 2, 3])
def test_quarter_turns_of_a_square_are_those_of_rot90(quarter_turns: int) -> None:
    image_BCHW = batch(height=7, width=7)
    turned_BCHW = rotate(image_BCHW, torch.full((3,), 90.0 * quarter_turns))
    torch.testing.assert_close(turned_BCHW, image_BCHW.rot90(quarter_turns, (2, 3)), atol=1e-3, rtol=0)


def test_half_a_turn_of_an_oblong_image_mirrors_both_axes() -> None:
    turned_BCHW = rotate(batch(), torch.full((3,), 180.0))
    torch.testing.assert_close(turned_BCHW, batch().flip(2, 3), atol=1e-3, rtol=0)


def test_a_turned_ramp_is_a_ramp_in_the_turned_direction_away_from_the_border() -> None:
    y_HW = torch.arange(31.0)[:, None].expand(31, 41) - 15
    x_HW = torch.arange(41.0)[None, :].expand(31, 41) - 20
    turned_HW = rotate(x_HW[None, None], torch.tensor([30.0]))[0, 0]
    # Counter-clockwise with y down: what pointed right now points right and up.
    expected_HW = np.cos(np.pi / 6) * x_HW - np.sin(np.pi / 6) * y_HW
    torch.testing.assert_close(turned_HW[8:-8, 8:-8], expected_HW[8:-8, 8:-8], atol=1e-4, rtol=0)


def test_each_image_is_turned_by_its_own_angle_and_nothing_new_appears() -> None:
    image_BCHW = batch(height=9, width=9)
    turned_BCHW = rotate(image_BCHW, torch.tensor([0.0, 90.0, 45.0]))
    torch.testing.assert_close(turned_BCHW[0], image_BCHW[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(turned_BCHW[1], image_BCHW[1].rot90(1, (1, 2)), atol=1e-3, rtol=0)
    assert turned_BCHW[2].min() >= image_BCHW[2].min() - 1e-3
    assert turned_BCHW[2].max() <= image_BCHW[2].max() + 1e-3


@given(st.integers(0, 5), st.integers(0, 4), st.integers(1, 5))
def test_cutout_fills_the_square_and_leaves_the_rest_untouched(y: int, x: int, size: int) -> None:
    image_BCHW = batch() + 1
    cut_BCHW = cutout(image_BCHW, torch.tensor([[y, x]] * 3), size)
    expected = image_BCHW.numpy().copy()
    top, left = y - size // 2, x - size // 2
    expected[:, :, max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)] = 0
    np.testing.assert_array_equal(cut_BCHW.numpy(), expected)


def test_all_switched_off_is_the_identity() -> None:
    assert not Augmentation(**OFF).is_on
    assert torch.equal(Augmentation(**OFF)(batch(), generator()), batch())


@pytest.mark.parametrize(("name", "value"), [("flip", True), ("shift", 2), ("rotation", 20), ("cutout", 3)])
def test_each_change_follows_its_generator_and_differs_from_image_to_image(name: str, value: int) -> None:
    augmentation = Augmentation(**{**OFF, name: value})
    assert augmentation.is_on
    image_BCHW = torch.rand(1, 2, 8, 8, generator=generator()).expand(16, -1, -1, -1)
    one, same, other = (augmentation(image_BCHW, generator(seed)) for seed in (5, 5, 6))
    assert one.shape == image_BCHW.shape
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert len({image_CHW.numpy().tobytes() for image_CHW in one}) > 1


def test_shifts_reach_every_offset_up_to_the_limit_and_none_beyond() -> None:
    position_BCHW = torch.arange(81.0).reshape(1, 1, 9, 9).expand(500, -1, -1, -1)
    centre_B = Augmentation(**{**OFF, "shift": 2})(position_BCHW, generator())[:, 0, 4, 4].long()
    offsets = {(row - 4, column - 4) for row, column in zip(*divmod(centre_B.numpy(), 9), strict=True)}
    assert offsets == {(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3)}


@pytest.mark.parametrize("name", ["shift", "rotation", "cutout"])
def test_a_negative_amount_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=f"data.{name}=-1"):
        Augmentation(**{**OFF, name: -1})


@pytest.mark.parametrize(("name", "value", "limit"), [("shift", 8, 7), ("cutout", 9, 8)])
def test_an_amount_larger_than_the_image_is_an_error(name: str, value: int, limit: int) -> None:
    Augmentation(**{**OFF, name: limit}).check(8, 10)
    with pytest.raises(ValueError, match=f"data.{name}={value}: images are 8x10, so at most {limit}"):
        Augmentation(**{**OFF, name: value}).check(8, 10)
