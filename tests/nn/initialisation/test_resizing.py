"""Laws of kernels on another grid. K kernel, n side."""

import math

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cnnlab.filters.bank import bank
from cnnlab.nn.initialisation.resizing import embed, resample, rotate

FIRST = ("sobel", "scharr", "farid(size=5)", "sobel(size=7)")
SIDES = st.integers(3, 16)


def plane(size: tuple[int, int], power_y: int, power_x: int) -> Tensor:
    """y^power_y * x^power_x about the middle."""
    y = torch.arange(size[0], dtype=torch.float64) - (size[0] - 1) / 2
    x = torch.arange(size[1], dtype=torch.float64) - (size[1] - 1) / 2
    return torch.outer(y**power_y, x**power_x)


def answers(kernels_K1nn: Tensor, power_y: int, power_x: int) -> Tensor:
    size = tuple(kernels_K1nn.shape[-2:])
    return (kernels_K1nn * plane(size, power_y, power_x)).sum(dim=(1, 2, 3))


@settings(max_examples=40, deadline=None)
@given(
    expression=st.sampled_from(["sobel", "roberts", "laplacian"]),
    height=SIDES,
    width=SIDES,
    seed=st.integers(0, 99),
)
def test_an_embedded_kernel_answers_as_before(expression: str, height: int, width: int, seed: int) -> None:
    kernels = bank(expression).kernels
    embedded = embed(kernels, (height, width))
    assert embedded.shape == (len(kernels), 1, height, width)
    image = torch.rand(30, 30, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).numpy()
    inside = (slice(9, -9), slice(9, -9))
    for small, large in zip(kernels[:, 0], embedded[:, 0], strict=True):
        expected = cv2.filter2D(image, -1, small.numpy())  # anchors are n // 2, even or odd
        np.testing.assert_allclose(cv2.filter2D(image, -1, large.numpy())[inside], expected[inside], atol=1e-12)


@pytest.mark.parametrize("size", [(3, 5), (5, 3), (1, 1)])
def test_a_kernel_is_never_cut(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"5x5 does not fit into a convolution of {size[0]}x{size[1]}"):
        embed(bank("sobel(size=5)").kernels, size)


@settings(max_examples=40, deadline=None)
@given(expression=st.sampled_from(FIRST), side=SIDES)
def test_a_resampled_first_derivative_answers_to_ramps_as_before(expression: str, side: int) -> None:
    dy, dx = range(2)
    resampled = resample(bank(expression).kernels, (side, side))
    assert answers(resampled, 0, 0).abs().max() < 1e-12
    assert answers(resampled, 1, 0)[dy] == pytest.approx(1)
    assert answers(resampled, 0, 1)[dx] == pytest.approx(1)
    assert abs(answers(resampled, 0, 1)[dy]) < 1e-12
    assert abs(answers(resampled, 1, 0)[dx]) < 1e-12


@settings(max_examples=40, deadline=None)
@given(height=SIDES, width=SIDES)
def test_a_resampled_laplacian_answers_to_parabolas_as_before(height: int, width: int) -> None:
    kernel = bank("laplacian").kernels
    resampled = resample(kernel, (height, width))
    assert answers(resampled, 0, 0).abs().max() < 1e-12
    if height == width:
        assert answers(resampled, 2, 0).item() == pytest.approx(answers(kernel, 2, 0).item())
        assert answers(resampled, 0, 2).item() == pytest.approx(answers(kernel, 0, 2).item())


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 16), width=st.integers(1, 16))
def test_a_resampled_blur_keeps_its_sum(height: int, width: int) -> None:
    blur = torch.outer(torch.tensor([1.0, 2, 1]), torch.tensor([1.0, 4, 6, 4, 1])).double()[None, None] / 64
    assert resample(blur, (height, width)).sum().item() == pytest.approx(1)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2), (16, 16)])
def test_resampling_gives_finite_kernels_where_a_law_cannot_live_on(size: tuple[int, int]) -> None:
    kernels = bank("sobel + laplacian + central(order=2)").kernels
    resampled = resample(kernels, size)
    assert resampled.shape[-2:] == size
    assert resampled.isfinite().all()
    assert (resampled.flatten(1).norm(dim=1) <= 4 * kernels.flatten(1).norm(dim=1)).all()


def test_a_smaller_grid_averages_instead_of_picking_taps() -> None:
    comb = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    comb[..., ::2] = 1  # mean 5 / 9: picking every third tap would give stripes of another mean
    coarse = resample(comb, (3, 3)) / comb.sum()
    assert coarse.max() < 1.5 * coarse.min()


@pytest.mark.parametrize("quarters", [1, 2, 3, 4])
def test_quarter_turns_are_exact(quarters: int) -> None:
    kernels = torch.rand(3, 1, 5, 5, dtype=torch.float64)
    expected = torch.rot90(kernels, -quarters, dims=(2, 3))
    torch.testing.assert_close(rotate(kernels, 90.0 * quarters), expected)


@settings(max_examples=40, deadline=None)
@given(expression=st.sampled_from(FIRST), degrees=st.floats(-360, 360), side=st.sampled_from([7, 8, 9, 11]))
def test_a_turned_first_derivative_points_along_its_angle(expression: str, degrees: float, side: int) -> None:
    dx = (
        embed(bank(expression).kernels[1:], (side, side))
        if side % 2
        else resample(bank(expression).kernels[1:], (8, 8))
    )
    turned = rotate(dx, degrees)
    assert answers(turned, 0, 0).abs().item() < 1e-9
    assert answers(turned, 0, 1).item() == pytest.approx(math.cos(math.radians(degrees)), abs=0.03)
    assert answers(turned, 1, 0).item() == pytest.approx(math.sin(math.radians(degrees)), abs=0.03)


def test_rotation_of_a_laplacian_stays_blind_to_ramps_and_keeps_its_parabola() -> None:
    kernel = F.pad(bank("laplacian").kernels, (2, 2, 2, 2))
    turned = rotate(kernel, 30)
    for powers in ((0, 0), (1, 0), (0, 1)):
        assert answers(turned, *powers).abs().item() < 1e-12
    trace = answers(turned, 2, 0) + answers(turned, 0, 2)
    assert trace.item() == pytest.approx((answers(kernel, 2, 0) + answers(kernel, 0, 2)).item(), rel=1e-6)
