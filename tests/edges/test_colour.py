"""Colours: the largest channel, the structure tensor, the spaces. H W image."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from cnnlab.edges.colour import brightness, combined, companded, in_space
from cnnlab.edges.detector import EdgeDetector


@pytest.mark.parametrize("how", ["largest", "tensor"])
def test_one_channel_repeated_has_its_direction_and_the_tensors_strength_grows_with_the_root(how: str) -> None:
    dy, dx = torch.randn(2, 2, 1, 6, 7, dtype=torch.float64)
    strength, out_dy, out_dx = combined(dy.expand(-1, 4, -1, -1), dx.expand(-1, 4, -1, -1), how)
    torch.testing.assert_close(strength, torch.hypot(dy, dx) * (2 if how == "tensor" else 1))
    torch.testing.assert_close(out_dy * dx, out_dx * dy)


def test_the_tensor_is_the_larger_eigenvalue_and_its_vector() -> None:
    dy, dx = torch.randn(2, 1, 5, 6, 7, dtype=torch.float64)
    strength, out_dy, out_dx = combined(dy, dx, "tensor")
    jacobian = torch.stack([dy, dx], dim=-1).permute(0, 2, 3, 1, 4)
    values, vectors = torch.linalg.eigh(jacobian.mT @ jacobian)
    torch.testing.assert_close(strength[:, 0].square(), values[..., 1])
    cross = out_dy[:, 0] * vectors[..., 1, 1] - out_dx[:, 0] * vectors[..., 0, 1]
    torch.testing.assert_close(cross / torch.hypot(out_dy, out_dx)[:, 0], torch.zeros_like(cross))


def test_opposite_gradients_cancel_in_grey_and_not_in_colour() -> None:
    image = torch.zeros(1, 3, 12, 12)
    image[:, 0, :, 6:], image[:, 1, :, :6] = 0.587, 0.299  # the same luma on both sides
    assert EdgeDetector.plain("sobel", space="grey")(image).strength.max() < 1e-6
    for colour in ("largest", "tensor"):
        assert EdgeDetector.plain("sobel", colour=colour)(image).strength.max() > 0.1
    image = image / image.clamp_min(1e-9)  # red beside green, each of 1
    assert EdgeDetector.plain("sobel", space="opponent", colour="tensor").thinned(image)[0, 0, 6].count_nonzero() == 1


def test_grey_is_pillows_and_other_numbers_of_channels_have_their_mean() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    grey = in_space(torch.from_numpy(rgb).permute(2, 0, 1)[None].float(), "grey")
    np.testing.assert_allclose(grey[0, 0], np.asarray(Image.fromarray(rgb).convert("L")), atol=0.51)
    image = torch.rand(1, 5, 4, 4)
    torch.testing.assert_close(in_space(image, "grey"), image.mean(1, keepdim=True))
    assert torch.equal(in_space(image, "opponent"), image)
    assert brightness(image).shape == (1, 1, 4, 4)


def test_a_grey_image_has_no_opponent_colours() -> None:
    image = torch.rand(1, 1, 5, 5).expand(-1, 3, -1, -1)
    opponent = in_space(image, "opponent")
    torch.testing.assert_close(opponent[:, :1], image[:, :1])
    torch.testing.assert_close(opponent[:, 1:], torch.zeros(1, 2, 5, 5))


def test_companding_makes_a_share_of_brightness_count_more_in_the_dark() -> None:
    dark, light = (
        companded(torch.tensor([0.1, 0.2]).view(1, 1, 1, 2)),
        companded(torch.tensor([0.8, 0.9]).view(1, 1, 1, 2)),
    )
    assert (dark[..., 1] - dark[..., 0]).item() > 2 * (light[..., 1] - light[..., 0]).item()
    assert companded(torch.full((1, 1, 1, 1), -1.0)).item() == pytest.approx(math.sqrt(0.01))
