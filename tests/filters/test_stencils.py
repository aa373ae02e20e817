"""Laws and oracles of the stencil families. P partial derivatives, h by w and n kernel sides, HW an image."""

import math

import cv2
import numpy as np
import pytest
import scipy.ndimage
import skimage.filters
import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab.filters import bank
from cnnlab.filters.stencils import STENCILS, first_partials

PAIRS = ["central", "central(accuracy=4)", "central(accuracy=6)", "prewitt", "sobel", "sobel(size=5)"]
PAIRS += ["sobel(size=7)", "scharr", "farid", "farid(size=7)"]


def grid(kernel_hw: Tensor) -> tuple[Tensor, Tensor]:
    """(y, x) of every kernel entry, 0 at the centre."""
    y, x = (torch.arange(side, dtype=torch.float64) - (side - 1) / 2 for side in kernel_hw.shape)
    return torch.meshgrid(y, x, indexing="ij")


def correlated(image_HW: Tensor, kernels_K1hw: Tensor) -> Tensor:
    return F.conv2d(image_HW[None, None], kernels_K1hw)[0]


def impulse_kernel(operator) -> Tensor:
    """The 7 x 7 correlation kernel of a linear image operator of another library."""
    image = np.zeros((15, 15))
    image[7, 7] = 1
    return torch.from_numpy(operator(image)[4:11, 4:11][::-1, ::-1].copy()).double()


def padded(kernel_hw: Tensor) -> Tensor:
    margin = (7 - kernel_hw.shape[-1]) // 2
    return F.pad(kernel_hw, (margin,) * 4)


@pytest.mark.parametrize("expression", PAIRS)
def test_the_response_to_a_ramp_is_one_along_its_axis_and_zero_across_and_to_a_constant_zero(
    expression: str,
) -> None:
    pair = bank(expression)
    assert [name.rpartition("_")[2] for name in pair.names] == ["dy", "dx"]
    assert pair.vectors == ((0, 1),)
    y, x = grid(pair.kernels[0, 0])
    for polynomial, expected in ((torch.ones_like(x), [0, 0]), (y, [1, 0]), (x, [0, 1])):
        responses = (pair.kernels[:, 0] * polynomial).sum(dim=(-2, -1))
        torch.testing.assert_close(responses, torch.tensor(expected, dtype=torch.float64), atol=1e-14, rtol=0)


@pytest.mark.parametrize("accuracy", [2, 4, 6])
def test_central_second_derivatives_respond_with_one_to_their_own_quadratic_and_zero_to_all_below(
    accuracy: int,
) -> None:
    second = bank("central", accuracy=accuracy, order=2)
    assert second.names == ("central_dyy", "central_dxy", "central_dxx")
    y, x = grid(second.kernels[0, 0])
    quadratics = torch.stack([torch.ones_like(x), y, x, y**2 / 2, x * y, x**2 / 2])
    responses = torch.einsum("khw,phw->kp", second.kernels[:, 0], quadratics)
    expected = torch.cat([torch.zeros(3, 3), torch.eye(3)], dim=1).double()
    torch.testing.assert_close(responses, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("accuracy", [2, 4, 6])
def test_the_error_of_a_central_difference_falls_with_its_accuracy_as_exponent(accuracy: int, order: int) -> None:
    dx = bank("central", accuracy=accuracy, order=order).kernels[-1, 0, accuracy // 2]
    steps = torch.tensor([0.2, 0.1, 0.05], dtype=torch.float64)
    place = torch.arange(-(accuracy // 2), accuracy // 2 + 1, dtype=torch.float64)
    point = 0.7
    derivative = math.cos(point) if order == 1 else -math.sin(point)
    estimates = torch.stack([(dx * torch.sin(point + h * place)).sum() / h**order for h in steps])
    errors = (estimates - derivative).abs().log()
    slopes = errors.diff() / steps.log().diff()
    torch.testing.assert_close(slopes, torch.full_like(slopes, accuracy), atol=0.05, rtol=0)


@pytest.mark.parametrize("expression", PAIRS)
def test_a_quarter_turn_of_the_image_exchanges_the_derivatives(expression: str) -> None:
    kernels = bank(expression).kernels
    image = torch.randn(20, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    dy, dx = correlated(image, kernels)
    rotated_dy, rotated_dx = correlated(torch.rot90(image), kernels)  # what grew along +x now grows along -y
    torch.testing.assert_close(rotated_dy, -torch.rot90(dx), atol=1e-13, rtol=0)
    torch.testing.assert_close(rotated_dx, torch.rot90(dy), atol=1e-13, rtol=0)


@pytest.mark.parametrize("size", [3, 5, 7])
def test_integer_sobel_is_opencvs(size: int) -> None:
    ours = bank("sobel", size=size, normalise="integers").kernels[:, 0]
    for kernel, (x_order, y_order) in zip(ours, ((0, 1), (1, 0)), strict=True):
        x_taps, y_taps = cv2.getDerivKernels(x_order, y_order, size)
        torch.testing.assert_close(kernel, torch.from_numpy(y_taps @ x_taps.T).double(), rtol=0, atol=0)


def test_integer_scharr_is_opencvs() -> None:
    x_taps, y_taps = cv2.getDerivKernels(1, 0, cv2.FILTER_SCHARR)
    dx = bank("scharr", normalise="integers").select("dx").kernels[0, 0]
    torch.testing.assert_close(dx, torch.from_numpy(y_taps @ x_taps.T).double(), rtol=0, atol=0)


@pytest.mark.parametrize("expression", ["scharr", "sobel(size=5)", "farid(size=7)"])
def test_correlation_on_an_image_is_opencvs_filter2d(expression: str) -> None:
    kernels = bank(expression).kernels
    image = np.random.default_rng(0).random((17, 23))
    side = kernels.shape[-1] // 2
    reflected = F.pad(torch.from_numpy(image)[None, None], (side,) * 4, mode="reflect")
    for ours, kernel in zip(F.conv2d(reflected, kernels)[0], kernels[:, 0].numpy(), strict=True):
        np.testing.assert_allclose(ours, cv2.filter2D(image, cv2.CV_64F, kernel), atol=1e-12)


@pytest.mark.parametrize(
    ("expression", "operators", "ramp_response"),
    [
        ("sobel", (skimage.filters.sobel_h, skimage.filters.sobel_v), 2),
        ("prewitt", (skimage.filters.prewitt_h, skimage.filters.prewitt_v), 2),
        ("scharr", (skimage.filters.scharr_h, skimage.filters.scharr_v), 2),
        (
            "farid",
            (skimage.filters.farid_h, skimage.filters.farid_v),
            0.9917894,
        ),  # response of the published taps
        ("sobel", (lambda im: scipy.ndimage.sobel(im, 0), lambda im: scipy.ndimage.sobel(im, 1)), 8),
        ("prewitt", (lambda im: scipy.ndimage.prewitt(im, 0), lambda im: scipy.ndimage.prewitt(im, 1)), 6),
    ],
)
def test_scipy_and_scikit_image_have_the_same_signs_and_another_scale(expression, operators, ramp_response) -> None:
    for kernel, operator in zip(bank(expression).kernels[:, 0], operators, strict=True):
        torch.testing.assert_close(impulse_kernel(operator), ramp_response * padded(kernel), atol=1e-6, rtol=0)


def test_roberts_is_scikit_images_times_its_scale_and_its_norm_the_magnitude() -> None:
    image = np.random.default_rng(1).random((12, 12))
    responses = correlated(torch.from_numpy(image), bank("roberts").kernels).numpy()
    inside = np.s_[:-1, :-1]
    for ours, operator in zip(
        responses, (skimage.filters.roberts_pos_diag, skimage.filters.roberts_neg_diag), strict=True
    ):
        np.testing.assert_allclose(ours * 2**0.5, operator(image)[inside], atol=1e-12)
    magnitude = np.linalg.norm(responses, axis=0)
    np.testing.assert_allclose(magnitude[1:, 1:], skimage.filters.roberts(image)[1:-1, 1:-1], atol=1e-12)


def test_roberts_responds_with_one_to_a_ramp_along_each_diagonal_and_its_steered_pair_along_the_axes() -> None:
    diagonal, axes = bank("roberts"), bank("roberts(orientations=2)")
    y, x = grid(diagonal.kernels[0, 0])
    ramps = torch.stack([(x + y) / 2**0.5, (y - x) / 2**0.5])
    eye = torch.eye(2, dtype=torch.float64)
    torch.testing.assert_close(torch.einsum("khw,rhw->kr", diagonal.kernels[:, 0], ramps), eye)
    torch.testing.assert_close(torch.einsum("khw,rhw->kr", axes.kernels[:, 0], torch.stack([x, y])), eye)


@pytest.mark.parametrize("key", [key for key, stencil in STENCILS.items() if stencil.order == 1 and "farid" not in key])
def test_the_integer_form_gives_back_the_cited_taps(key: str) -> None:
    stencil, size = STENCILS[key], len(STENCILS[key].difference)
    family, _, number = key.partition("_")
    parameters = {"central": {"accuracy": size - 1}, "sobel": {"size": size}}.get(family, {})
    dy, dx = bank(family, normalise="integers", **parameters).kernels[:, 0]
    smoothing = F.pad(torch.tensor(stencil.smoothing), ((size - len(stencil.smoothing)) // 2,) * 2).double()
    cited = torch.outer(torch.tensor(stencil.difference).double(), smoothing)
    assert torch.equal(dy, cited)
    assert torch.equal(dx, cited.T)
    assert number in ("", str(size), str(size - 1))


@pytest.mark.parametrize("orientations", [1, 3, 8])
@pytest.mark.parametrize("expression", PAIRS)
def test_an_oriented_derivative_responds_with_one_to_a_ramp_along_it_and_zero_across(
    expression: str, orientations: int
) -> None:
    name, _, rest = expression.rstrip(")").partition("(")
    oriented = bank(f"{name}({rest}{', ' if rest else ''}orientations={orientations})")
    assert len(oriented) == orientations
    y, x = grid(oriented.kernels[0, 0])
    for k, kernel in enumerate(oriented.kernels[:, 0]):
        cos, sin = math.cos(math.pi * k / orientations), math.sin(math.pi * k / orientations)
        assert (kernel * (x * cos + y * sin)).sum().item() == pytest.approx(1, abs=1e-13)
        assert (kernel * (y * cos - x * sin)).sum().item() == pytest.approx(0, abs=1e-13)


@pytest.mark.parametrize("expression", ["sobel(", "farid(size=7, ", "gaussian(order=1, "])
def test_the_axes_among_the_orientations_are_the_pair_itself(expression: str) -> None:
    oriented, pair = bank(f"{expression}orientations=4)"), bank(f"{expression})")
    assert torch.equal(oriented[0, 2].kernels, pair["dx", "dy"].kernels)


@pytest.mark.parametrize(("key", "ramp_response"), [("farid_5", 0.991798), ("farid_7", 0.999934)])
def test_the_published_farid_taps_add_up_as_printed(key: str, ramp_response: float) -> None:
    """Table I: the prefilter sums to 1 within rounding to six places."""
    stencil = STENCILS[key]
    half = len(stencil.difference) // 2
    assert sum(stencil.smoothing) == pytest.approx(1, abs=2e-6)
    assert sum(k * tap for k, tap in enumerate(stencil.difference, -half)) == pytest.approx(ramp_response, abs=1e-9)
    # Both estimate the same Fourier curve: the derivative's response is jω times the prefilter's.
    for frequency in (0.3, 0.6, 0.9, 1.2):
        prefilter = sum(tap * math.cos(frequency * k) for k, tap in enumerate(stencil.smoothing, -half))
        derivative = sum(tap * math.sin(frequency * k) for k, tap in enumerate(stencil.difference, -half))
        assert derivative / (frequency * prefilter) == pytest.approx(1, abs=0.03 if half == 2 else 0.006)


def test_farid_is_more_isotropic_than_sobel_of_the_same_side() -> None:
    """The error of the estimated direction of a grating of wavelength 4 (Farid & Simoncelli's point)."""

    def worst_angle_error(key: str) -> float:
        dy, dx = first_partials(key)
        y, x = grid(dy)
        errors = []
        for angle in np.linspace(0, math.pi / 2, 19):
            wave = torch.sin(math.pi / 2 * (x * math.cos(angle) + y * math.sin(angle)))
            errors.append(math.atan2((dy * wave).sum(), (dx * wave).sum()) - angle)
        return max(map(abs, errors))

    assert worst_angle_error("farid_5") < worst_angle_error("sobel_5") / 3
    assert worst_angle_error("scharr") < worst_angle_error("sobel_3") / 3
