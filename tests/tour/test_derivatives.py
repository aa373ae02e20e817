"""What the tour says of derivatives holds: orders of accuracy, exact agreement with OpenCV, directions."""

import math

import cv2
import numpy as np
import pytest
import torch

from cnnlab.edges.colour import in_space
from cnnlab.filters import bank
from cnnlab.tour.contours import contours
from cnnlab.tour.derivatives import a_row, accuracy
from cnnlab.tour.photograph import photograph


@pytest.fixture(scope="module")
def photo_CHW() -> torch.Tensor:
    return photograph()


@pytest.mark.parametrize(("order", "taps"), [(2, 3), (4, 5)])
def test_the_error_falls_with_the_order_of_accuracy(order: int, taps: int) -> None:
    found = accuracy(order)
    assert found.taps == taps
    assert found.slope == pytest.approx(order, abs=0.02)
    constant = {2: 1 / 6, 4: 1 / 30}[order]  # of Taylor's remainder; the root mean square of cos is near 1 / sqrt 2
    near = int((found.h - 0.1).abs().argmin())
    assert float(found.error[near]) == pytest.approx(constant * float(found.h[near]) ** order / math.sqrt(2), rel=0.1)


@pytest.mark.parametrize("order", [2, 4])
def test_rounding_takes_over_where_theory_says(order: int) -> None:
    """The rounding error eps / h meets h^order: h near eps^(1 / (order + 1)), and below it the error grows as 1 / h."""
    found = accuracy(order)
    expected = torch.finfo(torch.float64).eps ** (1 / (order + 1))
    assert expected / 10 < found.best < expected * 10
    assert float(found.error[found.h < 1e-11].min()) > 1e3 * float(found.error.min())


def test_another_function_has_the_same_orders() -> None:
    assert accuracy(2, torch.exp, torch.exp).slope == pytest.approx(2, abs=0.02)
    assert accuracy(2, torch.sin, torch.sin).slope == pytest.approx(0, abs=0.02), "a wrong derivative is never reached"


def test_the_row_and_its_difference(photo_CHW: torch.Tensor) -> None:
    row, value_W, slope_W = a_row(photo_CHW)
    grey_HW = in_space(photo_CHW[None], "grey")[0, 0]
    torch.testing.assert_close(value_W, grey_HW[row])
    torch.testing.assert_close(slope_W[1:-1], (grey_HW[row, 2:] - grey_HW[row, :-2]) / 2)


def test_prewitt_is_exactly_what_opencv_filters(photo_CHW: torch.Tensor) -> None:
    kernel = np.array([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]], np.float32)
    np.testing.assert_array_equal(bank("prewitt(normalise=integers)[dx]").kernels[0, 0].numpy(), kernel)
    dx_HW, dy_HW, _, _ = contours(photo_CHW)
    grey_HW = (255 * in_space(photo_CHW[None], "grey")).round()[0, 0].numpy()
    np.testing.assert_array_equal(dx_HW.numpy(), cv2.filter2D(grey_HW, cv2.CV_32F, kernel))
    np.testing.assert_array_equal(dy_HW.numpy(), cv2.filter2D(grey_HW, cv2.CV_32F, kernel.T.copy()))


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 120])
def test_a_ramp_has_the_magnitude_and_direction_it_was_made_with(degrees: int) -> None:
    angle = math.radians(degrees)
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    ramp = 0.5 + 0.01 * (math.cos(angle) * (x - 20) + math.sin(angle) * (y - 20))
    _, _, magnitude, direction = contours(ramp.expand(3, -1, -1))
    inner = slice(5, -5)
    # 6 pixels of difference a unit slope, in 0 to 255, rounded to whole intensities.
    assert float(magnitude[inner, inner].mean()) == pytest.approx(6 * 2.55, rel=0.03)
    vectors = torch.polar(torch.ones_like(direction), 2 * direction)[inner, inner].mean()
    assert float(vectors.angle() / 2) % math.pi == pytest.approx(angle % math.pi, abs=0.03)
