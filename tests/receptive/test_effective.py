"""Effective fields: the law of stacked uniform kernels, invariances, and the errors."""

import math

import pytest
import torch
from torch import Tensor, nn

from cnnlab.receptive import effective_field, random_inputs


def uniform_stack(count: int, kernel: tuple[int, int] = (3, 3)) -> nn.Module:
    """`count` convolutions with equal weights that sum to 1."""
    padding = (kernel[0] // 2, kernel[1] // 2)
    layers = [nn.Conv2d(1, 1, kernel, padding=padding, bias=False) for _ in range(count)]
    for layer in layers:
        nn.init.constant_(layer.weight, 1 / (kernel[0] * kernel[1]))
    return nn.Sequential(*layers)


class Gain(nn.Module):
    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, image: Tensor) -> Tensor:
        return image * self.gain


# Luo et al. 2016, NeurIPS, section 2: variance n (k² - 1) / 12.
@pytest.mark.parametrize(("count", "size", "std"), [(5, 11, 1.8257), (20, 41, 3.6515), (80, 161, 7.3030)])
def test_stacked_uniform_kernels_have_the_standard_deviation_of_the_law(count: int, size: int, std: float) -> None:
    found = effective_field(uniform_stack(count), "", torch.rand(1, 1, size + 2, size + 6))
    assert found.theoretical.size == (size, size)
    assert found.std == pytest.approx((math.sqrt(count * 8 / 12),) * 2, rel=1e-5)
    assert round(found.std[0], 4) == std
    assert found.centroid == pytest.approx(found.unit)


def test_rectangular_kernels_and_images_have_their_own_deviation_along_each_axis() -> None:
    found = effective_field(uniform_stack(6, (3, 7)), "5", torch.rand(1, 1, 21, 60), (9, 33))
    assert found.heat_HW.shape == (21, 60)
    assert found.std == pytest.approx((math.sqrt(6 * 8 / 12), math.sqrt(6 * 48 / 12)), rel=1e-5)
    assert found.centroid == pytest.approx((9, 33))


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 3, padding=1))


@pytest.mark.parametrize("gain", [1e6, 1e-6])
def test_the_scale_of_the_gradients_changes_nothing_but_the_energy(gain: float) -> None:
    plain = effective_field(network(), "3", random_inputs((3, 24, 32), 5))
    scaled = effective_field(nn.Sequential(network(), Gain(gain)), "1", random_inputs((3, 24, 32), 5))
    assert scaled.std == pytest.approx(plain.std, rel=1e-5)
    assert scaled.fraction == plain.fraction
    assert scaled.radius == pytest.approx(plain.radius, rel=1e-5)
    torch.testing.assert_close(scaled.heat_HW, plain.heat_HW * gain**2, rtol=1e-4, atol=0)


def test_the_energy_is_the_mean_of_squared_gradients_and_does_not_depend_on_the_batches() -> None:
    image = torch.cat(list(random_inputs((3, 24, 32), 5, seed=3, batch=2))).requires_grad_()
    expected = torch.zeros(24, 32, dtype=torch.float64)
    for one in image:
        value = network()(one[None])[:, :, 6, 8].sum()
        expected += torch.autograd.grad(value, image)[0].double().square().sum((0, 1)) / 5
    counts: list[int] = []
    found = effective_field(network(), "3", random_inputs((3, 24, 32), 5, seed=3, batch=2), progress=counts.append)
    torch.testing.assert_close(found.heat_HW, expected)
    assert (found.unit, found.count, counts) == ((6, 8), 5, [2, 4, 5])
    labelled = [(image.detach(), torch.zeros(5))]
    torch.testing.assert_close(effective_field(network(), "3", labelled).heat_HW, expected)


def test_nothing_is_outside_of_the_theoretical_field() -> None:
    found = effective_field(network(), "3", random_inputs((3, 24, 32), 3), (0, 15))
    box = found.theoretical.clipped(0, 15, 24, 32)
    outside = found.heat_HW.clone()
    outside[box.top : box.bottom + 1, box.left : box.right + 1] = 0
    assert outside.sum() == 0
    assert found.heat_HW[box.top, box.left : box.right + 1].sum() > 0


def test_a_uniform_map_has_the_moments_and_fractions_of_the_uniform_distribution() -> None:
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1))
    found = effective_field(pooled, "0", torch.rand(2, 3, 10, 20))
    assert found.std == pytest.approx((math.sqrt((100 - 1) / 12), math.sqrt((400 - 1) / 12)))
    assert found.fraction == {50: 0.5, 80: 0.8, 95: 0.95, 99: 0.99}
    assert found.centroid == pytest.approx((4.5, 9.5))
    assert found.radius[50] < found.radius[80] < found.radius[95] < found.radius[99] <= math.hypot(4.5, 9.5)


def test_a_single_pixel_has_radius_zero() -> None:
    found = effective_field(nn.Sequential(nn.Conv2d(3, 2, 1)), "0", torch.rand(1, 3, 7, 9))
    assert found.std == pytest.approx((0, 0), abs=1e-9)
    assert set(found.radius.values()) == {0.0}
    assert set(found.fraction.values()) == {1.0}


def test_radius_and_fraction_of_a_known_map() -> None:
    """Gradients 3 and 1 side by side: energies 0.9 and 0.1, weights 3/4 and 1/4."""
    conv = nn.Conv2d(1, 1, (1, 2), bias=False)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([3.0, 1.0]).view(1, 1, 1, 2))
    found = effective_field(conv, "", torch.rand(1, 1, 5, 8), (2, 4))
    assert found.centroid == pytest.approx((2, 4.25))
    assert found.std == pytest.approx((0, math.sqrt(3) / 4), abs=1e-9)
    assert found.radius == pytest.approx({50: 0.25, 80: 0.25, 95: 0.75, 99: 0.75})
    assert found.fraction == {50: 0.5, 80: 0.5, 95: 1.0, 99: 1.0}


class LastTokens(nn.Module):
    """(B, C, H, W) -> tokens in the order of rows."""

    def forward(self, image_BCHW: Tensor) -> Tensor:
        return image_BCHW.flatten(2).transpose(1, 2)


class ChannelsLast(nn.Module):
    def forward(self, image_BCHW: Tensor) -> Tensor:
        return image_BCHW.permute(0, 2, 3, 1)


@pytest.mark.parametrize("form", [LastTokens, ChannelsLast])
def test_the_unit_is_found_wherever_the_layer_keeps_its_map(form: type[nn.Module]) -> None:
    plain = effective_field(network(), "3", random_inputs((3, 24, 32), 2), (2, 11))
    moved = effective_field(nn.Sequential(network(), form()), "1", random_inputs((3, 24, 32), 2), (2, 11))
    torch.testing.assert_close(moved.heat_HW, plain.heat_HW)


def test_a_layer_without_a_map_is_summed_and_has_no_unit() -> None:
    head = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 6 * 8, 2))
    found = effective_field(head, "2", random_inputs((3, 8, 10), 2))
    assert found.unit is None
    with pytest.raises(ValueError, match="no map"):
        effective_field(head, "2", random_inputs((3, 8, 10), 2), (0, 0))


def test_noise_is_the_same_for_a_seed_and_zero_is_a_seed() -> None:
    one, again, other = (torch.cat(list(random_inputs((3, 4, 5), 10, seed, 4))) for seed in (0, 0, 1))
    assert one.shape == (10, 3, 4, 5)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


class Dead(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return (image - 100).relu()


def test_mistakes_say_what_is_wrong() -> None:
    noise = torch.rand(1, 3, 24, 32)
    with pytest.raises(ValueError, match="dead unit"):
        effective_field(Dead(), "", noise)
    with pytest.raises(ValueError, match=r"unknown layer '33' \(did you mean '3'\?\)"):
        effective_field(network(), "33", noise)
    with pytest.raises(ValueError, match="12 by 16"):
        effective_field(network(), "3", noise, (12, 0))
    with pytest.raises(ValueError, match="at least one input"):
        effective_field(network(), "3", [])
    with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
        effective_field(network(), "3", noise[0])
    with pytest.raises(ValueError, match="one size"):
        effective_field(network(), "3", [noise, noise[..., :30]])
    with pytest.raises(ValueError, match="not finite"):
        effective_field(Gain(math.inf), "", noise)
    with pytest.raises(ValueError, match="no gradient"):
        effective_field(nn.Sequential(Detached()), "0", noise)


class Detached(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.detach()
