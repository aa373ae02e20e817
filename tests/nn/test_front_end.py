"""Laws of the responses and features of the front end. B batch, C channel, H, W image."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cnnlab.filters.bank import FilterBank, bank
from cnnlab.nn.front_end import FrontEnd

BANK = bank("sobel + laplacian + central(order=2)")


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=30, deadline=None)
@given(
    expression=st.sampled_from(["sobel", "scharr + laplacian", "farid(size=7)", "roberts"]),
    height=st.integers(4, 20),
    width=st.integers(4, 20),
    seed=st.integers(0, 1000),
)
def test_responses_are_those_of_opencv(expression: str, height: int, width: int, seed: int) -> None:
    kernels = bank(expression)
    image_BCHW = images(1, 1, height, width, seed=seed)
    response = FrontEnd(kernels, 1, "frozen", gain="keep").respond(image_BCHW)
    grey = image_BCHW[0, 0].numpy()
    for own, kernel in zip(response[0], kernels.kernels[:, 0], strict=True):
        expected = cv2.filter2D(grey, cv2.CV_32F, kernel.numpy(), borderType=cv2.BORDER_REFLECT_101)
        np.testing.assert_allclose(own.numpy(), expected, atol=1e-5)


def test_features_are_both_parts_and_the_magnitude_and_are_named_so() -> None:
    front_end = FrontEnd(bank("sobel + laplacian"), 1, "frozen")
    image_BCHW = images(2, 1, 8, 8)
    response = front_end.respond(image_BCHW)
    positive, negative, magnitude = front_end(image_BCHW).split([3, 3, 1], dim=1)
    torch.testing.assert_close(positive - negative, response)
    assert (positive * negative == 0).all()
    assert (positive >= 0).all()
    assert (negative >= 0).all()
    torch.testing.assert_close(magnitude[:, 0], torch.hypot(response[:, 0], response[:, 1]))
    assert front_end.feature_names == (
        "+sobel_dy", "+sobel_dx", "+laplacian", "-sobel_dy", "-sobel_dx", "-laplacian",
        "|sobel_dy, sobel_dx|",
    )  # fmt: skip


@pytest.mark.parametrize(("rectify", "features"), [("full", 13), ("parts", 12), ("none", 6)])
def test_out_channels_tells_the_features(rectify: str, features: int) -> None:
    front_end = FrontEnd(BANK, 1, rectify=rectify)
    assert front_end.out_channels == features == front_end(images(1, 1, 8, 8)).shape[1]


def test_every_row_of_the_mix_has_its_own_magnitude() -> None:
    front_end = FrontEnd(bank("sobel"), 2, channels="each")
    image_BCHW = images(1, 2, 8, 8)
    response = front_end.respond(image_BCHW)
    magnitude = front_end(image_BCHW)[:, 8:]
    expected = torch.stack([response[:, 0:2], response[:, 2:4]], dim=1).norm(dim=2)
    torch.testing.assert_close(magnitude, expected)
    assert front_end.feature_names[-1] == "|sobel_dy on channel_1, sobel_dx on channel_1|"


def test_a_reversed_contrast_swaps_the_parts_and_keeps_the_magnitude() -> None:
    front_end = FrontEnd(bank("sobel + laplacian"), 1)
    image_BCHW = images(2, 1, 9, 9)
    positive, negative, magnitude = front_end(image_BCHW).split([3, 3, 1], dim=1)
    swapped = front_end(1 - image_BCHW)
    torch.testing.assert_close(swapped, torch.cat([negative, positive, magnitude], dim=1), atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_flat_image_has_no_feature_and_a_finite_gradient(dtype: torch.dtype) -> None:
    front_end = FrontEnd(BANK, 1).to(dtype)
    image_BCHW = torch.full((2, 1, 8, 8), 0.25, dtype=dtype, requires_grad=True)
    features = front_end(image_BCHW)
    torch.testing.assert_close(features, torch.zeros_like(features), atol=2e-6, rtol=0)
    features.sum().backward()
    assert image_BCHW.grad.isfinite().all()
    assert front_end.weight.grad.isfinite().all()


def test_half_precision_has_finite_gradients_on_a_black_image() -> None:
    front_end = FrontEnd(BANK, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        front_end(torch.zeros(2, 1, 8, 8)).sum().backward()
    assert front_end.weight.grad.isfinite().all()


@settings(max_examples=20, deadline=None)
@given(dy=st.integers(-4, 4), dx=st.integers(-4, 4), seed=st.integers(0, 100))
def test_a_shifted_image_has_shifted_features(dy: int, dx: int, seed: int) -> None:
    front_end = FrontEnd(BANK, 1, border="circular")
    image_BCHW = images(1, 1, 12, 10, seed=seed)
    moved = front_end(image_BCHW.roll((dy, dx), dims=(2, 3)))
    torch.testing.assert_close(moved, front_end(image_BCHW).roll((dy, dx), dims=(2, 3)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("border", ["replicate", "zeros", "circular"])
def test_the_border_does_not_reach_the_interior(border: str) -> None:
    image_BCHW = images(1, 1, 12, 12)
    reflected = FrontEnd(BANK, 1)(image_BCHW)
    other = FrontEnd(BANK, 1, border=border)(image_BCHW)
    torch.testing.assert_close(other[..., 1:-1, 1:-1], reflected[..., 1:-1, 1:-1])
    assert not torch.allclose(other, reflected)


def test_a_luminance_kernel_answers_to_grey_rgb_as_to_grey() -> None:
    grey = images(2, 1, 9, 9)
    one = FrontEnd(BANK, 1, gain="keep").respond(grey)
    three = FrontEnd(BANK, 3, gain="keep").respond(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(three, one, atol=1e-5, rtol=1e-5)
    six = FrontEnd(BANK, 6, gain="keep").respond(grey.expand(-1, 6, -1, -1))
    torch.testing.assert_close(six, one, atol=1e-5, rtol=1e-5)


def test_colour_opponent_kernels_are_blind_to_grey_and_see_their_colour() -> None:
    front_end = FrontEnd(bank("sobel"), 3, channels="opponent")
    grey = images(2, 1, 9, 9).expand(-1, 3, -1, -1)
    luminance, red_green, yellow_blue = front_end.respond(grey).chunk(3, dim=1)
    assert luminance.abs().max() > 0.1
    torch.testing.assert_close(red_green, torch.zeros_like(red_green), atol=1e-5, rtol=0)
    torch.testing.assert_close(yellow_blue, torch.zeros_like(yellow_blue), atol=1e-5, rtol=0)
    blue = grey * torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1)
    _, red_green, yellow_blue = front_end.respond(blue).chunk(3, dim=1)
    assert red_green.abs().max() < 1e-5 < yellow_blue.abs().max()


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("expression", ["roberts", "sobel", "sobel(size=5)"])
def test_the_size_is_kept_but_for_the_stride(expression: str, stride: int) -> None:
    front_end = FrontEnd(bank(expression), 1, stride=stride)
    features = front_end(images(1, 1, 11, 8))
    assert features.shape[-2:] == (-(-11 // stride), -(-8 // stride))
    full = FrontEnd(bank(expression), 1)(images(1, 1, 11, 8))
    torch.testing.assert_close(features, full[..., ::stride, ::stride])


@pytest.mark.parametrize(("border", "least"), [("reflect", 3), ("circular", 2), ("replicate", 1), ("zeros", 1)])
def test_an_image_too_small_for_its_border_is_refused(border: str, least: int) -> None:
    front_end = FrontEnd(bank("sobel(size=5)"), 1, border=border)
    assert front_end(images(1, 1, least, least)).shape[-2:] == (least, least)
    if least > 1:
        with pytest.raises(ValueError, match=rf"kernel of 5x5 .* at least {least}x{least}, got 9x{least - 1}"):
            front_end(images(1, 1, 9, least - 1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "frozn"}, "unknown mode 'frozn' \\(did you mean 'frozen'"),
        ({"channels": "luma"}, "unknown channel rule 'luma'"),
        ({"channels": "opponent"}, "needs 3 channels .* got 1"),
        ({"start": "kaiming"}, "unknown start 'kaiming'; valid: bank, random"),
        ({"border": "reflct"}, "did you mean 'reflect'"),
        ({"rectify": "half"}, "valid: full, parts, none"),
        ({"gain": "none"}, "valid: kaiming, keep"),
        ({"stride": 0}, "stride >= 1"),
        ({"unfreeze_epoch": -1}, "unfreeze_epoch >= 0"),
        ({"anchor": -1.0}, "anchor >= 0"),
        ({"in_channels": 0}, "in_channels must be at least 1"),
    ],
)
def test_a_wrong_argument_is_named(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrontEnd(**({"bank": BANK, "in_channels": 1} | changes))


def test_a_zero_kernel_and_images_of_other_channels_are_refused() -> None:
    nothing = FilterBank(torch.zeros(1, 1, 3, 3, dtype=torch.float64), ("nothing",), "test")
    with pytest.raises(ValueError, match=r"zero everywhere .* nothing"):
        FrontEnd(nothing, 1)
    with pytest.raises(ValueError, match=r"expected images \(B, 3, H, W\), got \(2, 1, 8, 8\)"):
        FrontEnd(BANK, 3)(images(2, 1, 8, 8))
