"""Laws and oracles of Gabor kernels and quadrature pairs. n kernel side."""

import math

import cv2
import numpy as np
import pytest
import skimage.filters
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.filters import bank
from cnnlab.filters.gabor import SIGMA_PER_WAVELENGTH, coordinates, wave_packet

QUICK = settings(deadline=None, max_examples=40)


@QUICK
@given(
    size=st.integers(1, 9).map(lambda half: 2 * half + 1),
    wavelength=st.floats(3, 12),
    sigma=st.floats(1, 5),
    aspect=st.floats(0.3, 2),
    phase=st.floats(-3, 3),
    orientations=st.integers(1, 6),
)
def test_gabor_is_opencvs_with_the_phase_negated(size, wavelength, sigma, aspect, phase, orientations) -> None:
    for k in range(orientations):
        angle = math.pi * k / orientations
        ours = wave_packet(size, wavelength, sigma, aspect, angle, phase, zero_mean=False)
        theirs = cv2.getGaborKernel((size, size), sigma, angle, wavelength, aspect, -phase, ktype=cv2.CV_64F)
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_the_peak_form_without_zero_mean_is_opencvs_kernel() -> None:
    parameters = {"wavelength": 5.0, "sigma": 2.0, "aspect": 0.5, "phase": 0.4, "size": 11}
    ours = bank("gabor", orientations=3, zero_mean=False, normalise="peak", **parameters)
    theirs = cv2.getGaborKernel((11, 11), 2.0, math.pi / 3, 5.0, 0.5, -0.4, ktype=cv2.CV_64F)
    np.testing.assert_allclose(ours.kernels[1, 0], theirs, atol=1e-12)


@pytest.mark.parametrize("phase", [0.0, -math.pi / 2, 1.0])
def test_gabor_is_scikit_images_times_the_area_of_its_envelope(phase: float) -> None:
    for k in range(4):
        angle = math.pi * k / 4
        theirs = skimage.filters.gabor_kernel(1 / 6, theta=angle, sigma_x=2.0, sigma_y=4.0, offset=phase).real
        height, width = (side // 2 for side in theirs.shape)
        size = 2 * max(height, width) + 1
        ours = wave_packet(size, 6.0, 2.0, 0.5, angle, phase, zero_mean=False) / (2 * math.pi * 2.0 * 4.0)
        middle = size // 2
        cropped = ours[middle - height : middle + height + 1, middle - width : middle + width + 1]
        np.testing.assert_allclose(cropped, theirs, atol=1e-12)


@QUICK
@given(wavelength=st.floats(2.5, 10), orientations=st.integers(1, 8), phase=st.floats(-3, 3))
def test_the_response_to_a_constant_is_zero_whatever_the_phase(wavelength, orientations, phase) -> None:
    kernels = bank("gabor", wavelength=wavelength, orientations=orientations, phase=phase).kernels
    torch.testing.assert_close(kernels.sum(dim=(1, 2, 3)), torch.zeros(orientations).double(), atol=1e-12, rtol=0)


def test_without_zero_mean_an_even_kernel_responds_to_a_constant() -> None:
    assert bank("gabor", orientations=1, sigma=1.0, zero_mean=False).kernels.sum().item() > 0.5


def test_the_odd_phase_responds_positively_to_a_ramp_along_its_direction() -> None:
    kernels = bank("gabor", wavelength=12, sigma=2.0, orientations=8, phase=-math.pi / 2).kernels[:, 0]
    for k, kernel in enumerate(kernels):
        along, across = coordinates(kernel.shape[-1], math.pi * k / 8)
        assert (kernel * along).sum() > 0.5
        assert abs((kernel * across).sum()) < 0.03 * (kernel * along).sum()  # the square window is not round


def test_each_orientation_responds_most_to_its_own_grating() -> None:
    kernels = bank("quadrature", wavelength=5.0, orientations=6).kernels[:, 0]
    waves = torch.stack(
        [torch.exp(2j * math.pi * coordinates(kernels.shape[-1], math.pi * k / 6)[0] / 5) for k in range(6)]
    )
    responses = torch.einsum("khw,ghw->kg", kernels.to(waves.dtype), waves).abs()
    assert responses[0::2].argmax(dim=1).tolist() == list(range(6))
    assert responses[1::2].argmax(dim=1).tolist() == list(range(6))


@QUICK
@given(
    wavelength=st.floats(2.5, 12),
    orientations=st.integers(1, 6),
    aspect=st.floats(0.5, 1.5),
    shift=st.floats(0, 6.3),
    amplitude=st.floats(0.1, 3),
)
def test_the_norm_of_a_pair_is_the_amplitude_of_its_own_wave_at_every_phase(
    wavelength, orientations, aspect, shift, amplitude
) -> None:
    pairs = bank("quadrature", wavelength=wavelength, orientations=orientations, aspect=aspect)
    for k, vector in enumerate(pairs.vectors):
        along, _ = coordinates(pairs.kernels.shape[-1], math.pi * k / orientations)
        wave = 1.7 + amplitude * torch.cos(2 * math.pi * along / wavelength + shift)
        norm = torch.linalg.vector_norm((pairs.kernels[list(vector), 0] * wave).sum(dim=(-2, -1)))
        assert norm.item() == pytest.approx(amplitude, rel=1e-9)


def test_a_pair_is_even_and_odd_and_named_so() -> None:
    pairs = bank("quadrature", orientations=3)
    assert pairs.names[2:4] == ("quadrature_t60_even", "quadrature_t60_odd")
    assert pairs.vectors == ((0, 1), (2, 3), (4, 5))
    rotated = pairs.kernels.flip((-2, -1))
    torch.testing.assert_close(rotated[0::2], pairs.kernels[0::2])
    torch.testing.assert_close(rotated[1::2], -pairs.kernels[1::2])


def test_the_default_sigma_has_a_bandwidth_of_one_octave() -> None:
    """Half amplitude at 2/3 and 4/3 of the centre frequency: a ratio of 2 (Daugman 1985)."""
    wavelength = 8.0
    sigma = SIGMA_PER_WAVELENGTH * wavelength
    x = torch.arange(-60, 61, dtype=torch.float64)
    envelope = torch.exp(-(x**2) / (2 * sigma**2)) * torch.exp(2j * math.pi * x / wavelength)

    def gain(relative: float) -> float:
        return (envelope * torch.exp(-2j * math.pi * x * relative / wavelength)).sum().abs().item()

    assert gain(2 / 3) / gain(1) == pytest.approx(0.5, abs=1e-6)
    assert gain(4 / 3) / gain(1) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("how", ["l1", "l2", "grating"])
def test_the_normalisations_hold(how: str) -> None:
    for k, kernel in enumerate(bank("gabor", orientations=5, normalise=how).kernels[:, 0]):
        along, _ = coordinates(kernel.shape[-1], math.pi * k / 5)
        measured = {
            "l1": kernel.abs().sum(),
            "l2": kernel.square().sum().sqrt(),
            "grating": (kernel * torch.exp(2j * math.pi * along / 4)).sum().abs(),
        }
        assert measured[how].item() == pytest.approx(1)


def test_several_wavelengths_are_groups_named_by_wavelength() -> None:
    several = bank("gabor", wavelength=(4, 6.5), orientations=2, size=9)
    assert several.names == ("gabor_w4_t0", "gabor_w4_t90", "gabor_w6.5_t0", "gabor_w6.5_t90")


def test_a_wave_that_vanishes_on_the_pixel_grid_is_refused() -> None:
    with pytest.raises(ValueError, match=r"quadrature: wavelength=2.0 is not valid"):
        bank("quadrature", wavelength=2)
