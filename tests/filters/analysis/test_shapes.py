"""The search of shapes against slow and plain ones: a loop over the grid, SciPy's least squares, the formula."""

import math

import numpy as np
import pytest
import scipy.optimize
import torch
from torch import Tensor

from cnnlab.filters.analysis import shapes
from cnnlab.filters.analysis.properties import properties
from cnnlab.filters.analysis.shapes import FREE_GABOR, GABOR, GAUSSIAN_1, GAUSSIAN_2, LOG, Shape, fit
from cnnlab.filters.analysis.spectrum import spectrum, tunings


def smooth_kernels(count: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Random, and as smooth as trained ones: white noise has many equally poor fits."""
    noise = torch.randn(count, 1, height + 2, width + 2, generator=torch.Generator().manual_seed(seed)).double()
    return torch.nn.functional.avg_pool2d(noise, 3, 1)[:, 0]


def left_over(shape: Shape, parameters: Tensor, kernel_hw: Tensor) -> np.ndarray:
    """What the best coefficients leave of the kernel, by plain linear algebra."""
    columns = shape.parts(parameters.view(1, -1), *kernel_hw.shape)[0].T.numpy()
    target = kernel_hw.flatten().numpy()
    return target - columns @ np.linalg.lstsq(columns, target, rcond=None)[0]


def limits(shape: Shape, side: int) -> tuple[Tensor, np.ndarray, np.ndarray]:
    ranges = [shapes._range(name, side) for name in shape.parameters]
    grid = torch.cartesian_prod(*(values for values, _, _ in ranges)).view(-1, len(ranges))
    return grid, *(np.array([one[end] for one in ranges]) for end in (1, 2))


@pytest.mark.parametrize("shape", [GAUSSIAN_1, GAUSSIAN_2, LOG, GABOR, FREE_GABOR], ids=lambda shape: shape.name)
def test_the_search_gets_as_far_as_scipys_least_squares_from_the_same_starts(shape: Shape) -> None:
    kernels = smooth_kernels(4, 7, 5)
    grid, low, high = limits(shape, 7)
    starts = shapes._best_of_grid(shape, grid, kernels, 2)
    ours, oracle = fit(shape, kernels, starts=2).r2, []
    for kernel, row in zip(kernels, starts, strict=True):
        ends = [
            scipy.optimize.least_squares(
                lambda given, kernel=kernel: left_over(shape, torch.tensor(given), kernel),
                np.clip(grid[index].numpy(), low + 1e-9, high - 1e-9),
                bounds=(low, high),
            )
            for index in row
        ]
        oracle.append(1 - min(2 * end.cost for end in ends) / float(kernel.square().sum()))
    behind = torch.tensor(oracle) - ours
    assert float(behind.max()) < 0.02
    assert float(behind.mean()) < 0.003


@pytest.mark.parametrize("shape", [GAUSSIAN_2, GABOR], ids=lambda shape: shape.name)
def test_the_start_is_the_best_point_of_the_grid(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = smooth_kernels(2, 5, 4)
    grid = limits(shape, 5)[0][::3]
    rest = np.array([[(left_over(shape, point, kernel) ** 2).sum() for point in grid] for kernel in kernels])
    for at_once in (2**18, 100):  # in one piece and in many
        monkeypatch.setattr(shapes, "_AT_ONCE", at_once)
        chosen = shapes._best_of_grid(shape, grid, kernels, 3).numpy()
        found = np.take_along_axis(rest, chosen, 1)
        np.testing.assert_allclose(found, np.sort(rest, 1)[:, :3], rtol=1e-4)


def test_kernels_fitted_together_are_fitted_as_each_alone() -> None:
    kernels = smooth_kernels(5, 5, 5)
    together = fit(FREE_GABOR, kernels)
    for index in range(5):
        alone = fit(FREE_GABOR, kernels[index : index + 1])
        torch.testing.assert_close(together.r2[index], alone.r2[0], rtol=0, atol=1e-5)


def test_a_fit_stays_within_its_bounds_and_finds_parameters_that_lie_on_them() -> None:
    edge = torch.tensor([[0.3, math.log(2.0), math.log(1.5), math.log(4.0), 7 / 3, 0.0]], dtype=torch.float64)
    kernel = FREE_GABOR.parts(edge, 7, 7)[0, 0].view(1, 7, 7)
    found = fit(FREE_GABOR, torch.cat([kernel, smooth_kernels(5, 7, 7)]))
    _, low, high = limits(FREE_GABOR, 7)
    assert float(found.r2[0]) > 0.99
    assert (found.parameters >= torch.tensor(low)).all()
    assert (found.parameters <= torch.tensor(high)).all()


def test_the_gabor_pair_is_the_written_formula() -> None:
    angle, wavelength, sigma, aspect, y, x = 0.7, 3.3, 1.2, 0.6, 0.4, -0.9
    given = torch.tensor([[angle, math.log(wavelength), math.log(sigma), math.log(aspect), y, x]], dtype=torch.float64)
    down, across = np.mgrid[-2:3, -3:4] - np.array([y, x])[:, None, None]
    u = across * math.cos(angle) + down * math.sin(angle)
    v = down * math.cos(angle) - across * math.sin(angle)
    envelope = np.exp(-(u**2 + (aspect * v) ** 2) / (2 * sigma**2))
    wave = 2 * math.pi * u / wavelength
    even, odd = FREE_GABOR.parts(given, 5, 7)[0].view(2, 5, 7).numpy()
    np.testing.assert_allclose(even, envelope * np.cos(wave), atol=1e-12)
    np.testing.assert_allclose(odd, envelope * np.sin(wave), atol=1e-12)


def test_kernels_tuned_together_prefer_what_each_prefers_alone() -> None:
    kernels = torch.randn(7, 2, 5, 4, generator=torch.Generator().manual_seed(3)).double()
    kernels[2] = 1.0  # prefers the constant
    kernels[4, 0] = 0.0
    spectra = spectrum(kernels)
    together = tunings(kernels, spectra)
    alone = [tunings(kernels[index : index + 1], spectra[index : index + 1]) for index in range(len(kernels))]
    assert together == [tuning for (tuning,) in alone]
    assert together[2].frequency == 0.0


def test_a_table_takes_one_thread_and_gives_the_others_back(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = [4]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    properties(torch.ones(1, 1, 3, 3))
    assert threads == [4, 1, 4]
