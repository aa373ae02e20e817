"""A network as detector: lines one pixel wide, directions, tiles that leave no trace."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.edges.network import NetworkDetector
from cnnlab.nn.edge_net import EdgeNet


class Ridge(nn.Module):
    """Logits that are highest along a line through the middle, its normal at `angle`."""

    def __init__(self, angle: float = 0.0) -> None:
        super().__init__()
        self.angle = angle

    def forward(self, image_BCHW: Tensor) -> Tensor:
        height, width = image_BCHW.shape[-2:]
        y, x = torch.arange(height).sub(height // 2), torch.arange(width).sub(width // 2)
        across_HW = math.sin(self.angle) * y[:, None] + math.cos(self.angle) * x[None, :]
        return (3 - across_HW.square() / 4).expand(len(image_BCHW), 1, -1, -1)


class Blurred(nn.Module):
    """Logits by a strided convolution of 21 pixels: each sees 10 pixels around the corner of its block of 4."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.down = nn.Conv2d(3, 4, 21, stride=4, padding=10)
        self.out = nn.Conv2d(4, 1, 1)
        self.largest = 0

    def forward(self, image_BCHW: Tensor) -> Tensor:
        self.largest = max(self.largest, *image_BCHW.shape[-2:])
        logits = F.interpolate(self.out(self.down(image_BCHW).relu()), scale_factor=4)
        return logits[..., : image_BCHW.shape[-2], : image_BCHW.shape[-1]]


BLURRED = {"margin": 13, "grid": 4}


def noise(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize("step", range(16))
def test_the_orientation_is_that_of_the_normal(step: int) -> None:
    angle = step * math.pi / 16
    strength, orientation = NetworkDetector(Ridge(angle))(noise(1, 1, 65, 65))
    assert strength.shape == orientation.shape == (1, 1, 65, 65)
    assert 0 <= orientation.min() <= orientation.max() < math.pi
    off = (orientation[0, 0, 32, 32] - angle + math.pi / 2) % math.pi - math.pi / 2
    assert abs(float(off)) < math.radians(2)


@pytest.mark.parametrize("step", range(16))
def test_a_ridge_becomes_an_unbroken_thin_line(step: int) -> None:
    angle = step * math.pi / 16
    thin_HW = NetworkDetector(Ridge(angle)).thinned(noise(1, 1, 65, 65))[0, 0] > 0.5
    steep = abs(math.cos(angle)) >= abs(math.sin(angle)) - 1e-9  # the normal lies nearer to x: one pixel in each row
    counts = thin_HW.sum(1 if steep else 0)[12:-12]
    assert {int(count) for count in counts} <= {1, 2}  # two where a diagonal line steps
    thin_HW[:12] = thin_HW[-12:] = False  # near the border the map is cut off
    thin_HW[:, :12] = thin_HW[:, -12:] = False
    y, x = thin_HW.nonzero().T - 32
    assert (math.sin(angle) * y + math.cos(angle) * x).abs().max() < 1


def test_the_strength_is_the_probability_and_thinning_keeps_it_where_it_stays() -> None:
    network = Blurred()
    detector, image = NetworkDetector(network, **BLURRED), noise(2, 3, 21, 30)
    strength = detector(image).strength
    torch.testing.assert_close(strength, network(image).sigmoid())
    thin = detector.thinned(image)
    assert torch.equal(thin[thin > 0], strength[thin > 0])
    assert 0 < (thin > 0).float().mean() < 0.6


@pytest.mark.parametrize("size", [(64, 64), (21, 130), (67, 45), (3, 200)])
@pytest.mark.parametrize("tile", [4, 17, 32])
def test_tiles_give_what_the_whole_image_gives(size: tuple[int, int], tile: int) -> None:
    image = noise(1, 3, *size)
    whole = NetworkDetector(Blurred(), **BLURRED, tile=4096).probability(image)
    network = Blurred()
    tiled = NetworkDetector(network, **BLURRED, tile=tile).probability(image)
    torch.testing.assert_close(tiled, whole, atol=1e-6, rtol=0)
    assert network.largest <= max(tile, 4) + 2 * (BLURRED["margin"] + 3)


def test_beyond_its_reach_nothing_matters_to_strength_and_orientation() -> None:
    detector = NetworkDetector(Blurred(), **BLURRED)
    image = noise(1, 3, 64, 64).requires_grad_()
    strength, orientation = detector(image)
    (slope,) = torch.autograd.grad(strength[0, 0, 30, 33] + orientation[0, 0, 30, 33], image)
    away = slope[0].abs().sum(0).nonzero() - torch.tensor([30, 33])
    assert 13 < away.abs().max() <= detector.reach  # more than the network alone


def test_a_panorama_is_worked_on_in_parts_of_bounded_size() -> None:
    network = Blurred()
    strength = NetworkDetector(network, **BLURRED, tile=512).probability(torch.zeros(1, 3, 16, 30_000))
    assert strength.shape == (1, 1, 16, 30_000)
    assert network.largest <= 512 + 2 * (BLURRED["margin"] + 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_tiny_images_and_every_float(size: tuple[int, int], dtype: torch.dtype) -> None:
    detector = NetworkDetector(Blurred(), **BLURRED)
    strength, orientation = detector(noise(1, 3, *size, dtype=dtype))
    assert strength.dtype == orientation.dtype == detector.thinned(noise(1, 3, *size, dtype=dtype)).dtype == dtype
    assert strength.shape == orientation.shape == (1, 1, *size)
    assert strength.isfinite().all()
    assert orientation.isfinite().all()


def test_grey_is_shown_as_grey_in_colour_and_other_channels_are_refused() -> None:
    network = EdgeNet("scharr", widths=[4], dilations=[[1]], up_width=4)
    detector, grey = NetworkDetector(network), noise(1, 1, 12, 15)
    assert torch.equal(detector.probability(grey), detector.probability(grey.expand(-1, 3, -1, -1)))
    with pytest.raises(ValueError, match="3 channels, or grey; got 2"):
        detector(noise(1, 2, 12, 15))


def test_a_uint8_image_has_the_edges_of_its_255th() -> None:
    detector, image = NetworkDetector(Blurred(), **BLURRED), (noise(2, 3, 21, 30) * 255).to(torch.uint8)
    for ours, theirs in zip(detector(image), detector(image.float() / 255), strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(detector.thinned(image), detector.thinned(image.float() / 255))
    with pytest.raises(UsageError, match="float images in"):
        detector(image.int())


def test_a_flat_map_has_a_finite_orientation_and_slope() -> None:
    image = torch.full((1, 3, 20, 20), 0.5, requires_grad=True)
    strength, orientation = NetworkDetector(Blurred(), **BLURRED)(image)
    assert orientation.isfinite().all()
    assert torch.autograd.grad(strength.sum(), image)[0].isfinite().all()


def test_a_tile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="tile=0"):
        NetworkDetector(Blurred(), **BLURRED, tile=0)
