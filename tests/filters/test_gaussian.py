"""Laws and oracles of Gaussian derivatives, Laplacians and differences of Gaussians. h by w kernel sides."""

import math

import numpy as np
import pytest
import scipy.ndimage
import skimage.filters
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cnnlab.filters import bank
from cnnlab.filters.gaussian import derivative_taps

QUICK = settings(deadline=None, max_examples=40)


def monomial(kernel_hw: Tensor, y_power: int, x_power: int) -> Tensor:
    """y^a x^b / (a! b!) on the kernel's grid."""
    y, x = (torch.arange(side, dtype=torch.float64) - side // 2 for side in kernel_hw.shape)
    return torch.outer(y**y_power, x**x_power) / (math.factorial(y_power) * math.factorial(x_power))


def assert_answers(kernel_hw: Tensor, polynomial_hw: Tensor, expected: float) -> None:
    """To rounding, measured against the sum of absolute terms."""
    terms = kernel_hw * polynomial_hw
    assert abs(terms.sum().item() - expected) < 1e-11 * max(1.0, terms.abs().sum().item())


def impulse_kernel(operator, size: int) -> np.ndarray:
    """The correlation kernel, size x size, of a linear image operator of another library."""
    image = np.zeros((2 * size + 1, 2 * size + 1))
    image[size, size] = 1
    inside = slice(size - size // 2, size + size // 2 + 1)
    return operator(image)[inside, inside][::-1, ::-1]


@QUICK
@given(sigma=st.floats(0.6, 6), order=st.integers(0, 5))
def test_a_derivative_responds_with_one_to_its_own_monomial_and_zero_to_the_others_up_to_its_order(
    sigma, order
) -> None:
    for index, kernel in enumerate(bank("gaussian", sigma=sigma, order=order).kernels[:, 0]):
        for degree in range(order + 1):
            for x_power in range(degree + 1):
                own = degree == order and x_power == index
                assert_answers(kernel, monomial(kernel, degree - x_power, x_power), float(own))


@QUICK
@given(sigma=st.floats(0.6, 4), order=st.integers(1, 4), orientations=st.integers(1, 9))
def test_an_oriented_derivative_responds_with_one_to_the_power_along_its_direction(sigma, order, orientations) -> None:
    oriented = bank("gaussian", sigma=sigma, order=order, orientations=orientations)
    for k, kernel in enumerate(oriented.kernels[:, 0]):
        y, x = monomial(kernel, 1, 0), monomial(kernel, 0, 1)
        along = x * math.cos(math.pi * k / orientations) + y * math.sin(math.pi * k / orientations)
        across = y * math.cos(math.pi * k / orientations) - x * math.sin(math.pi * k / orientations)
        assert_answers(kernel, along**order / math.factorial(order), 1.0)
        assert_answers(kernel, across**order / math.factorial(order), 0.0)


def test_the_names_run_from_y_to_x_and_carry_the_scale_if_there_are_several() -> None:
    assert bank("gaussian", order=3).names == tuple(f"gaussian_{d}" for d in ("dyyy", "dxyy", "dxxy", "dxxx"))
    several = bank("gaussian", sigma=(1, 2.5), order=1)
    assert several.names == ("gaussian_s1_dy", "gaussian_s1_dx", "gaussian_s2.5_dy", "gaussian_s2.5_dx")
    assert several.vectors == ((0, 1), (2, 3))


def test_several_scales_are_the_single_scales_in_the_largest_frame() -> None:
    several, small = bank("gaussian", sigma=(1, 2)), bank("gaussian", sigma=1)
    assert several.kernels.shape == (2, 1, 13, 13)
    assert torch.equal(several.kernels[0, 0, 3:10, 3:10], small.kernels[0, 0])
    assert several.kernels[0].sum().item() == pytest.approx(1)


@pytest.mark.parametrize("sigma", [0.8, 1.5, 3.0])
def test_the_gaussian_and_its_first_derivative_are_scipys_up_to_the_gain_of_sampling(sigma: float) -> None:
    size = 2 * int(4 * sigma + 0.5) + 1  # scipy's truncate=4
    smooth = bank("gaussian", sigma=sigma, size=size).kernels[0, 0].numpy()
    np.testing.assert_allclose(smooth, impulse_kernel(lambda im: scipy.ndimage.gaussian_filter(im, sigma), size))
    for kernel, order in zip(
        bank("gaussian", sigma=sigma, order=1, size=size).kernels[:, 0], ((1, 0), (0, 1)), strict=True
    ):
        theirs = impulse_kernel(lambda im, order=order: scipy.ndimage.gaussian_filter(im, sigma, order=order), size)
        gain = (theirs * monomial(kernel, *order).numpy()).sum()
        assert gain == pytest.approx(1, abs=0.01)
        np.testing.assert_allclose(kernel.numpy() * gain, theirs, atol=1e-14)


@pytest.mark.parametrize(("order", "tolerance"), [(2, 0.01), (3, 0.03)])
def test_higher_derivatives_come_close_to_scipys(order: int, tolerance: float) -> None:
    kernels = bank("gaussian", sigma=2.0, order=order, size=17).kernels[:, 0].numpy()
    for x_order, kernel in enumerate(kernels):
        orders = (order - x_order, x_order)
        theirs = impulse_kernel(lambda im, o=orders: scipy.ndimage.gaussian_filter(im, 2.0, order=o), 17)
        assert np.abs(kernel - theirs).max() < tolerance * np.abs(theirs).max()


def test_the_taps_tend_to_the_derivatives_of_the_gaussian_as_sigma_grows() -> None:
    sigma, size = 12.0, 145
    x = torch.arange(size, dtype=torch.float64) - size // 2
    gauss = torch.exp(-(x**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
    hermite = {1: x / sigma, 2: (x / sigma) ** 2 - 1, 3: (x / sigma) ** 3 - 3 * x / sigma}
    for order, polynomial in hermite.items():
        taps, exact = derivative_taps(sigma, order, size), polynomial * gauss / sigma**order
        torch.testing.assert_close(taps, exact, atol=1e-4 * exact.abs().max().item(), rtol=0)


def test_a_sigma_too_small_for_an_order_is_refused() -> None:
    with pytest.raises(ValueError, match=r"sigma=0.2 is too small for order 3 on 7 taps"):
        bank("gaussian", sigma=0.2, order=6)


LAPLACIANS = [
    "laplacian",
    "laplacian(neighbours=8)",
    "log",
    "log(sigma=0.4)",
    "log(sigma=2.5, size=9)",
    "dog",
    "dog(sigma=3, ratio=2)",
]


@pytest.mark.parametrize("expression", LAPLACIANS)
def test_a_laplacian_responds_with_two_to_half_the_squared_radius_and_zero_to_planes(expression: str) -> None:
    kernel = bank(expression).kernels[0, 0]
    for powers, expected in {(0, 0): 0, (1, 0): 0, (0, 1): 0, (1, 1): 0, (2, 0): 1, (0, 2): 1}.items():
        assert_answers(kernel, monomial(kernel, *powers), expected)
    assert_answers(kernel, monomial(kernel, 2, 0) + monomial(kernel, 0, 2), 2)


def test_the_integer_laplacians_are_the_classical_ones_and_scipys() -> None:
    four, eight = (bank("laplacian", neighbours=n, normalise="integers").kernels[0, 0] for n in (4, 8))
    assert four.tolist() == [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
    assert eight.tolist() == [[1, 1, 1], [1, -8, 1], [1, 1, 1]]
    np.testing.assert_array_equal(impulse_kernel(scipy.ndimage.laplace, 3), four)


@pytest.mark.parametrize(("sigma", "tolerance"), [(1.0, 0.04), (2.0, 0.01), (4.0, 0.01)])
def test_the_laplacian_of_gaussian_comes_close_to_scipys(sigma: float, tolerance: float) -> None:
    kernel = bank("log", sigma=sigma).kernels[0, 0].numpy()
    theirs = impulse_kernel(lambda im: scipy.ndimage.gaussian_laplace(im, sigma), len(kernel))
    assert np.abs(kernel - theirs).max() < tolerance * np.abs(theirs).max()


def test_the_difference_of_gaussians_is_scikit_images_up_to_a_negative_factor() -> None:
    kernel = bank("dog", sigma=1.0, ratio=1.6, size=13).kernels[0, 0].numpy()
    theirs = impulse_kernel(lambda im: skimage.filters.difference_of_gaussians(im, 1.0, 1.6), 13)
    factor = theirs[6, 6] / kernel[6, 6]
    assert factor < 0
    np.testing.assert_allclose(kernel * factor, theirs, atol=2e-4)  # they cut each Gaussian at its own 4 sigma


def test_the_difference_of_gaussians_resembles_the_laplacian_of_gaussian_between_its_scales() -> None:
    dog = bank("dog", sigma=2.0, ratio=1.6, size=21, normalise="l2").kernels
    similarity = {
        sigma: (dog * bank("log", sigma=sigma, size=21, normalise="l2").kernels).sum().item()
        for sigma in (1.5, 2.5, 4.0)
    }
    assert similarity[2.5] > 0.98
    assert similarity[2.5] == max(similarity.values())
