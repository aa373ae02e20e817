"""Laws of identity, shift, box and sharpening. HW an image."""

import cv2
import numpy as np
import pytest
import scipy.ndimage
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.filters import bank

IMAGE = np.random.default_rng(0).random((15, 19))


def response(expression: str, **parameters) -> np.ndarray:
    """The correlation of IMAGE with a bank's first kernel, zeros outside."""
    kernels = bank(expression, **parameters).kernels
    return F.conv2d(torch.from_numpy(IMAGE)[None, None], kernels, padding=kernels.shape[-1] // 2)[0, 0].numpy()


@pytest.mark.parametrize("size", [1, 3, 7])
def test_identity_is_the_identity(size: int) -> None:
    np.testing.assert_array_equal(response("identity", size=size), IMAGE)


@settings(deadline=None, max_examples=40)
@given(dy=st.integers(-6, 6), dx=st.integers(-6, 6))
def test_shift_moves_the_image_by_whole_pixels_exactly(dy: int, dx: int) -> None:
    expected = np.zeros_like(IMAGE)
    source = IMAGE[max(-dy, 0) : 15 - max(dy, 0), max(-dx, 0) : 19 - max(dx, 0)]
    expected[max(dy, 0) : 15 - max(-dy, 0), max(dx, 0) : 19 - max(-dx, 0)] = source
    np.testing.assert_array_equal(response("shift", dy=dy, dx=dx), expected)


@settings(deadline=None, max_examples=40)
@given(dy=st.floats(-3, 3), dx=st.floats(-3, 3))
def test_shift_by_fractions_is_scipys_linear_interpolation(dy: float, dx: float) -> None:
    expected = scipy.ndimage.shift(IMAGE, (dy, dx), order=1)
    np.testing.assert_allclose(response("shift", dy=dy, dx=dx)[4:-4, 4:-4], expected[4:-4, 4:-4], atol=1e-9)


def test_shift_says_where_to_and_refuses_a_size_that_cannot_reach() -> None:
    assert bank("shift", dy=-1, dx=2).names == ("shift_up1_right2",)
    assert bank("shift(dy=1, dx=-0.5)").names == ("shift_down1_left0.5",)
    assert bank("shift", dy=0, dx=0).names == ("shift_0",)
    with pytest.raises(ValueError, match=r"shift: size=3 is not valid.*odd integer of at least 5"):
        bank("shift", dx=2, size=3)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_box_is_opencvs_blur_and_its_integer_form_the_sum(size: int) -> None:
    inside = np.s_[3:-3, 3:-3]
    np.testing.assert_allclose(response("box", size=size)[inside], cv2.blur(IMAGE, (size, size))[inside])
    assert torch.equal(bank("box", size=size, normalise="integers").kernels, torch.ones(1, 1, size, size).double())


@pytest.mark.parametrize("neighbours", [4, 8])
@pytest.mark.parametrize("amount", [0.0, 0.5, 1.0])
def test_sharpen_is_the_image_less_its_laplacian(amount: float, neighbours: int) -> None:
    laplacian = response("laplacian", neighbours=neighbours, normalise="integers")
    sharpened = response("sharpen", amount=amount, neighbours=neighbours)
    np.testing.assert_allclose(sharpened, IMAGE - amount * laplacian, atol=1e-12)


def test_the_classical_sharpening_kernel_is_five_amid_minus_one() -> None:
    assert bank("sharpen").kernels[0, 0].tolist() == [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]
