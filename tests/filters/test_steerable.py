"""Laws of steerable filters and of rotation. n kernel side, angles in radians from +x towards +y."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cnnlab.filters import FilterBank, bank
from cnnlab.filters.gabor import coordinates
from cnnlab.filters.rotation import resampled, steered
from cnnlab.filters.steerable import even_at, odd_at

QUICK = settings(deadline=None, max_examples=40)
ANGLE, SIGMA = st.floats(-7, 7), st.floats(0.7, 4)


def largest_difference(left: Tensor, right: Tensor) -> float:
    return ((left - right).abs().max() / right.abs().max()).item()


@QUICK
@given(angle=ANGLE, sigma=SIGMA)
def test_steering_the_basis_equals_building_the_filter_at_that_angle(angle: float, sigma: float) -> None:
    basis = bank("steerable", sigma=sigma)
    built = even_at(angle, sigma, basis.kernels.shape[-1])
    assert largest_difference(steered(basis.kernels[:, 0], angle), built) < 1e-12


def test_the_oriented_bank_is_the_filter_built_at_each_angle() -> None:
    oriented = bank("steerable", orientations=7, sigma=1.3, size=11)
    for k, kernel in enumerate(oriented.kernels[:, 0]):
        assert largest_difference(kernel, even_at(math.pi * k / 7, 1.3, 11)) < 1e-12


@QUICK
@given(angle=ANGLE, sigma=SIGMA)
def test_four_odd_filters_steer_to_every_angle_with_the_papers_weights(angle: float, sigma: float) -> None:
    """H2 has the harmonics 1 and 3: four angles kπ/4 with (cos(θ - kπ/4) + cos 3(θ - kπ/4)) / 2."""
    basis = [odd_at(math.pi * k / 4, sigma, 13) for k in range(4)]
    offsets = [angle - math.pi * k / 4 for k in range(4)]
    weights = [(math.cos(offset) + math.cos(3 * offset)) / 2 for offset in offsets]
    total = sum(weight * kernel for weight, kernel in zip(weights, basis, strict=True))
    assert largest_difference(total, odd_at(angle, sigma, 13)) < 1e-12


def test_the_responses_of_the_axes_of_the_basis_are_one_exactly_and_of_the_mixed_kernel_nearly() -> None:
    for sigma, tolerance in ((0.7, 0.03), *((sigma, 0.01) for sigma in (0.8, 0.9, 1.0, 1.4, 2.1, 5.0))):
        dyy, dxy, dxx = bank("steerable", sigma=sigma).kernels[:, 0]
        x, y = coordinates(dxx.shape[-1], 0.0)
        assert (dxx * x**2 / 2).sum().item() == pytest.approx(1, abs=1e-12)
        assert (dyy * y**2 / 2).sum().item() == pytest.approx(1, abs=1e-12)
        assert (dxx * y**2 / 2).sum().item() == pytest.approx(0, abs=1e-12)
        assert (dxy * x * y).sum().item() == pytest.approx(1, abs=tolerance)
        assert dxx.sum().item() == pytest.approx(0, abs=1e-13)


def test_the_pair_is_the_published_g2_and_h2_with_a_positive_response_to_growth() -> None:
    """Tables III and V: 0.9213 (2x² - 1) e and 0.9780 (x³ - 2.254 x) e with e = exp(-x² - y²)."""
    spacing = 0.5  # of the paper's unit per pixel
    pair = bank("steerable_pair", orientations=1, sigma=1 / (spacing * math.sqrt(2)), size=15)
    x, y = (axis * spacing for axis in coordinates(15, 0.0))
    gauss = torch.exp(-(x**2) - y**2)
    published = (0.9213 * (2 * x**2 - 1) * gauss, -0.9780 * (x**3 - 2.254 * x) * gauss)
    for ours, theirs in zip(pair.kernels[:, 0], published, strict=True):
        energy = theirs.square().sum().item() * spacing**2
        assert energy == pytest.approx(1, abs=0.01)
        assert largest_difference(ours, theirs * spacing / energy**0.5) < 1e-3


def test_the_norm_of_a_steerable_pair_hardly_depends_on_the_phase_of_a_grating() -> None:
    pairs = bank("steerable_pair", orientations=6, sigma=2.0)
    for k, vector in enumerate(pairs.vectors):
        along, _ = coordinates(pairs.kernels.shape[-1], math.pi * k / 6)
        phases = torch.linspace(0, math.pi, 13, dtype=torch.float64).view(-1, 1, 1)
        waves = torch.cos(along / 2.0 * math.sqrt(2) + phases)
        norms = torch.einsum("khw,phw->kp", pairs.kernels[list(vector), 0], waves).norm(dim=0)
        assert norms.min() > 0.9 * norms.max()


def test_the_odd_of_a_pair_responds_positively_to_growth_along_its_direction() -> None:
    pairs = bank("steerable_pair", orientations=5)
    for k in range(5):
        along, _ = coordinates(pairs.kernels.shape[-1], math.pi * k / 5)
        assert (pairs.kernels[2 * k + 1, 0] * torch.sin(along)).sum() > 0.5


@pytest.mark.parametrize("expression", ["sobel", "kirsch", "log", "dct(size=4)", "gabor"])
def test_four_quarter_turns_are_the_identity_and_one_moves_x_onto_y(expression: str) -> None:
    kernels = bank(expression).kernels
    assert torch.equal(resampled(kernels, 2 * math.pi), kernels)
    thrice = resampled(resampled(resampled(kernels, math.pi / 2), math.pi / 2), math.pi / 2)
    assert torch.equal(resampled(thrice, math.pi / 2), kernels)
    dy, dx = bank("sobel").kernels.unsqueeze(1)
    assert torch.equal(resampled(dx, math.pi / 2), dy)
    assert torch.equal(resampled(dy, math.pi / 2), -dx)


@pytest.mark.parametrize("degrees", [10, 30, 45, 77, 110, 200])
def test_interpolated_rotation_comes_close_to_building_a_smooth_kernel_at_that_angle(degrees: float) -> None:
    angle = math.radians(degrees)
    rotated = resampled(even_at(0.0, 3.0, 25)[None, None], angle)[0, 0]
    assert largest_difference(rotated, even_at(angle, 3.0, 25)) < 0.03


@QUICK
@given(angle=ANGLE)
def test_interpolated_rotation_keeps_the_sum_of_every_kernel(angle: float) -> None:
    kernels = bank("sobel + box + dct").kernels
    sums = resampled(kernels, angle).sum(dim=(-2, -1))
    torch.testing.assert_close(sums, kernels.sum(dim=(-2, -1)), atol=1e-12, rtol=0)


@pytest.mark.parametrize("family", ["sobel", "scharr", "central", "gaussian(order=1)"])
def test_a_rotated_gradient_pair_is_steered_exactly(family: str) -> None:
    name = family.partition("(")[0]
    expected = bank(f"{name}(orientations=6{', order=1' if 'order' in family else ''})")
    rotated = bank(family).rotated(6)
    assert rotated.names == expected.names
    torch.testing.assert_close(rotated.kernels, expected.kernels)


def test_rotation_turns_kernels_outside_pairs_one_by_one() -> None:
    rotated = (bank("sobel") + bank("laplacian")).rotated(2)
    assert rotated.names == ("sobel_t0", "sobel_t90", "laplacian_t0", "laplacian_t90")
    torch.testing.assert_close(rotated.kernels[2], rotated.kernels[3])
    with pytest.raises(ValueError, match="at least 1, got 0"):
        rotated.rotated(0)
    flat = FilterBank(torch.ones(1, 1, 1, 3).double(), ("flat",), "test")
    with pytest.raises(ValueError, match="only square kernels"):
        flat.rotated(2)
