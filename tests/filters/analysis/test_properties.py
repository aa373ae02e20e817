"""Laws and published values of the properties of kernels. K kernels, C channels, h by w sides."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.filters import bank
from cnnlab.filters.analysis.properties import principal_maps, properties
from cnnlab.filters.analysis.spectrum import frequencies, magnitude_at, spectrum
from cnnlab.filters.gabor import wave_packet

QUICK = settings(deadline=None, max_examples=25)


def one(expression: str):
    return properties(bank(expression).kernels)[0]


def random_kernels(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def odd_gabor(degrees: float) -> torch.Tensor:
    return wave_packet(15, 5.0, 2.5, 1.0, math.radians(degrees), -math.pi / 2, False)[None, None]


@pytest.mark.parametrize(("name", "degrees"), [("sobel[dx]", 0), ("sobel[dy]", 90)])
def test_sobel_is_rank_one_antisymmetric_with_its_peak_at_a_quarter_and_a_band_from_1_12_to_5_12(name, degrees) -> None:
    sobel = one(name)
    assert (sobel.rank, sobel.separability, sobel.antisymmetric) == (1, pytest.approx(1), pytest.approx(1))
    assert sobel.frequency == pytest.approx(0.25, abs=1e-5)
    assert sobel.orientation == pytest.approx(degrees, abs=1e-9)
    assert sobel.bandwidth == pytest.approx(math.log2(5), abs=1e-4)  # sin(2πf) = 1/2
    assert sobel.dc_fraction == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("neighbours", "fraction"), [(4, 0.9899), (8, 0.9330)])
def test_laplacians_are_symmetric_of_rank_two_without_orientation(neighbours: int, fraction: float) -> None:
    laplacian = one(f"laplacian(neighbours={neighbours})")
    assert (laplacian.rank, laplacian.orientation) == (2, None)
    assert laplacian.separability == pytest.approx(fraction, abs=5e-5)
    assert laplacian.symmetric == pytest.approx(1)


def test_roberts_is_rank_two_in_equal_parts_along_its_diagonal() -> None:
    for name, degrees in (("roberts[t45]", 45), ("roberts[t135]", 135)):
        roberts = one(name)
        assert (roberts.rank, roberts.separability) == (2, pytest.approx(0.5))
        assert roberts.orientation == pytest.approx(degrees, abs=1e-6)
        assert roberts.frequency == pytest.approx(math.sqrt(2) / 4, abs=1e-5)  # of a ridge of peaks the one at 45°


@pytest.mark.parametrize(("degrees", "rank", "fraction"), [(0, 1, 1.0), (30, 2, 0.5421), (45, 2, 0.5), (90, 1, 1.0)])
def test_an_odd_gabor_has_its_published_separability_orientation_and_frequency(degrees, rank, fraction) -> None:
    gabor = properties(odd_gabor(degrees))[0]
    assert gabor.rank == rank
    assert gabor.separability == pytest.approx(fraction, abs=5e-5)
    assert gabor.orientation == pytest.approx(degrees, abs=0.01)
    assert gabor.frequency == pytest.approx(0.2, abs=5e-4)
    assert gabor.antisymmetric == pytest.approx(1)
    assert gabor.selectivity > 0.85


def test_a_delta_has_no_orientation_frequency_or_bandwidth_and_a_box_prefers_the_constant() -> None:
    delta, box = one("identity"), one("box(size=5)")
    assert (delta.orientation, delta.frequency, delta.bandwidth) == (None, None, None)
    assert delta.selectivity == pytest.approx(0, abs=1e-12)
    assert (box.orientation, box.frequency, box.dc_fraction) == (None, 0.0, pytest.approx(1))
    assert delta.dc_fraction == pytest.approx(1 / 9)


@QUICK
@given(degrees=st.floats(0, 179.9), wavelength=st.floats(3.5, 6.5), phase=st.floats(-3, 3))
def test_a_gabor_prefers_its_own_wave_and_a_quarter_turn_turns_it(degrees, wavelength, phase) -> None:
    packet = wave_packet(21, wavelength, 3.0, 1.0, math.radians(degrees), phase, False)
    straight, rotated = properties(torch.stack([packet, torch.rot90(packet, -1)]).unsqueeze(1))
    difference = (straight.orientation - degrees + 90) % 180 - 90
    assert abs(difference) < 1.0
    assert straight.frequency == pytest.approx(1 / wavelength, rel=0.03)
    assert (rotated.orientation - straight.orientation - 90 + 90) % 180 == pytest.approx(90, abs=1e-6)
    assert rotated.selectivity == pytest.approx(straight.selectivity)


@QUICK
@given(seed=st.integers(0, 999), scale=st.floats(1e-30, 1e30), height=st.integers(1, 7), width=st.integers(1, 7))
def test_scale_and_sign_change_nothing_but_the_norm(seed: int, scale: float, height: int, width: int) -> None:
    kernels = random_kernels(2, 2, height, width, seed=seed)
    for before, after in zip(properties(kernels), properties(-scale * kernels), strict=True):
        assert after.norm == pytest.approx(scale * before.norm)
        for name in (
            "dc_fraction",
            "separability",
            "rank",
            "symmetric",
            "selectivity",
            "channel_fraction",
            "colour_fraction",
        ):
            assert getattr(after, name) == pytest.approx(getattr(before, name), abs=1e-9), name
        assert after.symmetric + after.antisymmetric == pytest.approx(1)
        assert 0 <= after.selectivity <= 1


def test_the_spectrum_is_that_of_numpy_and_keeps_the_energy() -> None:
    kernels = random_kernels(3, 1, 5, 4)
    theirs = np.fft.fftshift(np.abs(np.fft.fft2(kernels[:, 0].numpy(), s=(33, 33))), axes=(-2, -1))
    ours = spectrum(kernels, 33)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    torch.testing.assert_close(ours.square().mean((1, 2)), kernels.square().sum((1, 2, 3)))
    fy, fx = torch.meshgrid(frequencies(33), frequencies(33), indexing="ij")
    torch.testing.assert_close(magnitude_at(kernels[0], fy.flatten(), fx.flatten()), ours[0].flatten())


@pytest.mark.parametrize("resolution", [64, 3, 2.0])
def test_a_resolution_that_is_even_or_too_small_is_refused(resolution) -> None:
    with pytest.raises(ValueError, match="resolution"):
        spectrum(random_kernels(1, 1, 5, 5), resolution)


def test_channels_add_up_whatever_the_colours_and_however_many_they_are() -> None:
    shape = bank("sobel[dx]").kernels[0, 0]
    opponent = torch.stack([shape, -shape, 0 * shape])[None]
    many = (random_kernels(40, seed=3)[:, None, None] * shape)[None]
    for kernel, colour in ((opponent, 1.0), (many, None)):
        found = properties(kernel)[0]
        assert found.frequency == pytest.approx(0.25, abs=1e-5)
        assert found.orientation == pytest.approx(0, abs=1e-6)
        assert (found.rank, found.channel_fraction) == (1, pytest.approx(1))
        if colour is not None:
            assert found.colour_fraction == pytest.approx(colour)
    assert properties(shape.expand(1, 3, 3, 3))[0].colour_fraction == pytest.approx(0, abs=1e-12)


def test_the_principal_map_responds_to_grey_with_the_kernels_sign() -> None:
    shape = bank("sobel[dx]").kernels[0, 0]
    maps, fraction = principal_maps(torch.stack([shape, 2 * shape, 2 * shape])[None])
    torch.testing.assert_close(maps[0], 3 * shape)
    assert float(fraction) == pytest.approx(1)
    maps, _ = principal_maps(torch.stack([shape, -2 * shape, shape])[None])
    torch.testing.assert_close(maps[0], -math.sqrt(6) * shape)


def test_a_kernel_of_zeros_has_a_row_of_its_own() -> None:
    kernels = random_kernels(2, 1, 3, 3)
    kernels[0] = 0
    zero, alive = properties(kernels)
    assert (zero.norm, zero.rank, zero.separability, zero.orientation) == (0.0, 0, None, None)
    assert alive.norm > 0


@pytest.mark.parametrize("kernels", [torch.zeros(3, 3), torch.zeros(0, 1, 3, 3), torch.full((1, 1, 3, 3), math.nan)])
def test_what_is_no_kernel_is_refused(kernels: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="kernels must be"):
        properties(kernels)
