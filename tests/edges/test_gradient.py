"""Gradients: parity with OpenCV, scikit-image and scipy, exact symmetry, the orientation error. H W image."""

import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import filters as skimage_filters
from torch import Tensor

from cnnlab.edges.borders import BORDERS, pad
from cnnlab.edges.gradient import Gradient
from cnnlab.filters import bank

CV_BORDERS = {
    "reflect": cv2.BORDER_REFLECT_101, "replicate": cv2.BORDER_REPLICATE, "zeros": cv2.BORDER_CONSTANT,
    "circular": cv2.BORDER_WRAP,
}  # fmt: skip
SCIPY_BORDERS = {"reflect": "mirror", "replicate": "nearest", "zeros": "constant", "circular": "wrap"}
RAMPS = ["central", "central(accuracy=6)", "prewitt", "sobel", "sobel(size=7)", "scharr", "farid", "roberts"]
RAMPS += ["gaussian(sigma=1.5, order=1)"]


def noise(height: int = 23, width: int = 31, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width))


def gradients(expression: str, image_HW: np.ndarray, border: str = "reflect") -> list[np.ndarray]:
    dy, dx = Gradient(bank(expression), border)(torch.from_numpy(image_HW)[None, None])
    return [dy[0, 0, 0].numpy(), dx[0, 0, 0].numpy()]


@pytest.mark.parametrize("border", [border for border in BORDERS if border != "circular"])
@pytest.mark.parametrize("size", [3, 5, 7])
def test_integer_sobel_is_opencvs_with_every_border_that_it_has(size: int, border: str) -> None:
    dy, dx = gradients(f'sobel(size={size}, normalise="integers")', noise(), border)
    for ours, (x, y) in ((dy, (0, 1)), (dx, (1, 0))):
        theirs = cv2.Sobel(noise(), cv2.CV_64F, x, y, ksize=size, borderType=CV_BORDERS[border])
        np.testing.assert_allclose(ours, theirs, atol=1e-10)


@pytest.mark.parametrize("border", ["reflect", "replicate", "zeros"])
def test_integer_scharr_is_opencvs(border: str) -> None:
    dy, dx = gradients('scharr(normalise="integers")', noise(), border)
    for ours, (x, y) in ((dy, (0, 1)), (dx, (1, 0))):
        theirs = cv2.Scharr(noise(), cv2.CV_64F, x, y, borderType=CV_BORDERS[border])
        np.testing.assert_allclose(ours, theirs, atol=1e-10)


@pytest.mark.parametrize("border", ["reflect", "replicate", "zeros"])
@pytest.mark.parametrize("expression", RAMPS)
def test_every_bank_is_opencvs_filter2d_with_its_kernels(expression: str, border: str) -> None:
    """filter2D correlates with its anchor at n // 2, as ours."""
    kernels = bank(expression)
    kernel_dy, kernel_dx = kernels.kernels[:, 0].numpy()
    if expression == "roberts":  # turned from its diagonals
        kernel_dy, kernel_dx = (kernel_dy + kernel_dx) / 2**0.5, (kernel_dy - kernel_dx) / 2**0.5
    for ours, kernel in zip(gradients(expression, noise(), border), (kernel_dy, kernel_dx), strict=True):
        theirs = cv2.filter2D(noise(), cv2.CV_64F, np.ascontiguousarray(kernel), borderType=CV_BORDERS[border])
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("size", [3, 5, 7])
def test_the_taps_are_proportional_to_opencvs_getderivkernels(size: int) -> None:
    """Ours are scaled to answer 1 to a unit ramp; OpenCV's are the integers."""
    gradient = Gradient(bank(f"sobel(size={size})"))
    difference, smoothing = (taps[:, 0] for taps in cv2.getDerivKernels(1, 0, size, ktype=cv2.CV_64F))
    ratio = difference[-1] / gradient.difference_Sn[0, -1].item()
    np.testing.assert_allclose(gradient.difference_Sn[0] * ratio, difference, atol=1e-12)
    np.testing.assert_allclose(gradient.smoothing_Sn[0] * smoothing.sum(), smoothing, atol=1e-12)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("name", ["sobel", "scharr", "prewitt"])
def test_scikit_images_gradients_are_twice_ours_with_every_border_by_another_name(name: str, border: str) -> None:
    """Same signs. scikit-image's own default border repeats the outermost pixel, which none of ours does."""
    for axis, ours in enumerate(gradients(name, noise(), border)):
        theirs = getattr(skimage_filters, name)(noise(), axis=axis, mode=SCIPY_BORDERS[border])
        np.testing.assert_allclose(ours * 2, theirs, atol=1e-12)


@pytest.mark.parametrize("border", BORDERS)
def test_scikit_images_farid_is_ours_times_two_up_to_the_last_digits_of_its_taps(border: str) -> None:
    """The published taps, with more digits, answer 0.992 to a ramp; ours are scaled to 1."""
    for axis, ours in enumerate(gradients("farid", noise(), border)):
        theirs = skimage_filters.farid(noise(), axis=axis, mode=SCIPY_BORDERS[border])
        scale = (ours * theirs).sum() / (ours**2).sum()
        np.testing.assert_allclose(ours * scale, theirs, atol=2e-6)
        assert scale == pytest.approx(0.992, abs=1e-3)


def test_the_length_of_roberts_is_scikit_images_one_pixel_down_and_right() -> None:
    """The answer belongs to the middle of four pixels: ours stands at their lower right, theirs at the upper left."""
    theirs = skimage_filters.roberts(noise())
    ours = Gradient(bank("roberts")).magnitude(torch.from_numpy(noise())[None, None])[0, 0, 0].numpy()
    np.testing.assert_allclose(ours[1:, 1:], theirs[:-1, :-1], atol=1e-12)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("sigma", [1.0, 2.5])
def test_gaussian_derivatives_are_scipys_up_to_their_gain(sigma: float, border: str) -> None:
    """scipy samples the derivative; ours answers exactly 1 to a ramp. Same sign, same border by another name."""
    for axis, ours in enumerate(gradients(f"gaussian(sigma={sigma}, order=1)", noise(), border)):
        order = (1, 0) if axis == 0 else (0, 1)
        theirs = ndimage.gaussian_filter(
            noise(),
            sigma,
            order=order,
            mode=SCIPY_BORDERS[border],
            radius=len(bank("gaussian", sigma=sigma).kernels[0, 0]) // 2,
        )
        np.testing.assert_allclose(ours, theirs * (ours * theirs).sum() / (theirs**2).sum(), atol=1e-12)
        assert (ours * theirs).sum() / (theirs**2).sum() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (2, 3), (5, 4)])
def test_borders_of_images_smaller_than_the_kernel_are_numpys(border: str, height: int, width: int) -> None:
    modes = {"reflect": "reflect", "replicate": "edge", "zeros": "constant", "circular": "wrap"}
    image_HW = noise(height, width)
    padded = pad(torch.from_numpy(image_HW)[None, None], 6, 5, 4, 7, border)[0, 0]
    np.testing.assert_array_equal(padded.numpy(), np.pad(image_HW, ((6, 5), (4, 7)), mode=modes[border]))


@pytest.mark.parametrize("expression", RAMPS)
def test_a_ramp_has_slope_one_along_itself_and_zero_across(expression: str) -> None:
    ramp_HW = np.broadcast_to(np.arange(30.0), (30, 30)).copy()
    dy, dx = gradients(expression, ramp_HW)
    np.testing.assert_allclose(dy[8:-8, 8:-8], 0, atol=1e-12)
    np.testing.assert_allclose(dx[8:-8, 8:-8], 1, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    quarters=st.integers(0, 3),
    mirrored=st.booleans(),
    border=st.sampled_from(BORDERS),
    expression=st.sampled_from(["sobel", "farid", "gaussian(sigma=(1, 2), order=1)"]),
    seed=st.integers(0, 2**31),
)
def test_magnitudes_turn_and_mirror_with_the_image_to_the_last_bit(
    height: int, width: int, quarters: int, mirrored: bool, border: str, expression: str, seed: int
) -> None:
    image = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed))
    gradient = Gradient(bank(expression), border)

    def moved(field: Tensor) -> Tensor:
        return torch.rot90(field.flip(-1) if mirrored else field, quarters, (-2, -1))

    assert torch.equal(gradient.magnitude(moved(image)), moved(gradient.magnitude(image)))


@settings(max_examples=15, deadline=None)
@given(a=st.floats(-3, 3), b=st.floats(-3, 3), border=st.sampled_from(BORDERS), shift=st.integers(0, 9))
def test_it_is_linear_and_with_a_circular_border_commutes_with_shifts(
    a: float, b: float, border: str, shift: int
) -> None:
    one, two = torch.from_numpy(np.stack([noise(seed=1), noise(seed=2)]))[:, None, None]
    gradient = Gradient(bank("scharr"), border)
    mixed = torch.stack(gradient(a * one + b * two))
    torch.testing.assert_close(mixed, a * torch.stack(gradient(one)) + b * torch.stack(gradient(two)))
    around = Gradient(bank("scharr"), "circular")
    assert torch.equal(around.magnitude(one.roll(shift, -1)), around.magnitude(one).roll(shift, -1))


@pytest.mark.parametrize(("expression", "degrees"), [
    ("central", 3.83), ("prewitt", 3.94), ("sobel", 1.80), ("scharr", 0.29), ("farid", 0.16),
    ("gaussian(sigma=1, order=1, size=9)", 0.00),
])  # fmt: skip
def test_the_orientation_error_on_a_plane_wave_of_1_2_radians_a_pixel(expression: str, degrees: float) -> None:
    """The largest of directions 5 degrees apart. On its default 7 taps the Gaussian derivative is 0.08 off."""
    y_HW, x_HW = torch.meshgrid(*[torch.arange(31, dtype=torch.float64)] * 2, indexing="ij")
    true_A = torch.linspace(0, math.pi / 2, 19, dtype=torch.float64)[:, None, None]
    wave_A1HW = torch.cos(1.2 * (true_A.sin() * y_HW + true_A.cos() * x_HW) + 0.3)[:, None]
    dy, dx = (field[:, 0, 0, 15, 15] for field in Gradient(bank(expression))(wave_A1HW))
    off_A = torch.rad2deg(torch.atan(dy / dx) - true_A[:, 0, 0] + math.pi / 2) % 180 - 90
    assert off_A.abs().max().item() == pytest.approx(degrees, abs=0.006)


def test_strips_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnlab.edges.gradient.walkable", lambda image: False)  # the walk has no strips
    image = torch.rand(2, 3, 41, 33)
    gradient = Gradient(bank("sobel(size=5)"))
    whole = gradient.magnitude(image)
    for pixels in (1, 3000, 10000):
        monkeypatch.setattr("cnnlab.edges.fast.strips._PIXELS", pixels)
        assert torch.equal(gradient.magnitude(image), whole)


def test_the_buffers_are_the_taps_and_loading_them_changes_the_answer() -> None:
    sobel, scharr = Gradient(bank("sobel")), Gradient(bank("scharr"))
    assert [name for name, _ in sobel.named_buffers()] == ["difference_Sn", "smoothing_Sn"]
    assert list(sobel.parameters()) == []
    image = torch.rand(1, 1, 9, 9)
    assert not torch.equal(sobel.magnitude(image), scharr.magnitude(image))
    sobel.load_state_dict(scharr.state_dict())
    assert torch.equal(sobel.magnitude(image), scharr.magnitude(image))


@pytest.mark.parametrize("expression", ["laplacian", "quadrature", "gaussian", "frei_chen"])
def test_a_bank_that_is_no_gradient_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="pair"):
        Gradient(bank(expression))


def test_an_unknown_border_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'reflect'"):
        Gradient(bank("sobel"), "reflct")
