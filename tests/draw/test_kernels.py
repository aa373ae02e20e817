"""Kernels on a picture: every tile shows its kernel, zero is white, one scale for all."""

import io

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from cnnlab._colour import DIVERGING
from cnnlab.draw.kernels import SHOWN, kernel_grid


def tiles(figure: Figure) -> list[np.ndarray]:
    """What the tiles show, row by row, without the colour bars and empty places."""
    bars = {id(bar.ax) for bar in colour_bars(figure)}
    axes = [axis for part in figure.subfigs for axis in part.axes if id(axis) not in bars]
    return [np.asarray(axis.images[0].get_array()) for axis in axes if axis.images]


def colour_bars(figure: Figure) -> list:
    return [image.colorbar for part in figure.subfigs for axis in part.axes for image in axis.images if image.colorbar]


def pixels(figure: Figure) -> np.ndarray:
    file = io.BytesIO()
    figure.savefig(file, dpi=60)
    return np.asarray(Image.open(file).convert("RGB"))


@pytest.mark.parametrize("count", [1, 5, 16, 17, 40])
def test_every_kernel_is_shown_once_and_in_order(count: int) -> None:
    before, after = (torch.randn(count, 1, 3, 3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    figure = kernel_grid({"before": before, "after": after})
    shown = tiles(figure)
    assert len(shown) == 2 * count
    np.testing.assert_allclose(np.stack(shown), torch.cat([before, after])[:, 0].numpy(), atol=1e-6)
    assert [part.get_suptitle() for part in figure.subfigs] == ["before", "after"]


def test_the_scale_is_one_and_symmetric_so_that_zero_is_white() -> None:
    small, large = torch.full((2, 1, 3, 3), 0.1), torch.full((2, 1, 3, 3), -3.0)
    figure = kernel_grid({"small": small, "large": large})
    limits = {image.get_clim() for part in figure.subfigs for axis in part.axes for image in axis.images}
    assert (-3.0, 3.0) in limits
    assert {image.norm(0.0) for part in figure.subfigs for axis in part.axes[:2] for image in axis.images} == {0.5}
    middle = mpl.colormaps[DIVERGING](0.5)
    assert min(middle[:3]) > 0.95


def test_kernels_of_zeros_can_be_drawn() -> None:
    assert pixels(kernel_grid({"zeros": torch.zeros(4, 1, 3, 3)})).std() > 0


def test_colour_kernels_have_a_second_tile_with_mid_grey_for_zero() -> None:
    kernels = torch.zeros(2, 3, 3, 3)
    kernels[0, 0, 1, 1] = 2.0
    shown = tiles(kernel_grid({"colour": kernels}))
    assert [tile.shape for tile in shown] == [(3, 3), (3, 3), (3, 3, 3), (3, 3, 3)]
    assert shown[2][1, 1].tolist() == [1.0, 0.5, 0.5]
    np.testing.assert_array_equal(shown[3], np.full((3, 3, 3), 0.5))


def test_only_so_many_are_shown_and_the_title_says_so() -> None:
    figure = kernel_grid({"many": torch.randn(SHOWN + 36, 1, 3, 3)})
    assert len(tiles(figure)) == SHOWN
    assert f"the first {SHOWN} of {SHOWN + 36}" in figure.subfigs[0].get_suptitle()


@pytest.mark.parametrize("shape", [(8, 1, 3, 3), (64, 3, 7, 7), (1, 2, 5, 5), (3, 1, 1, 9)])
def test_any_shape_renders_without_a_warning(shape: tuple[int, ...]) -> None:
    picture = pixels(kernel_grid({"one": torch.randn(shape)}))
    assert picture.shape[0] > 20
    assert picture.std() > 5
