"""Shapes with known corners, and the search for the single filter that finds most of them.

H, W image, V corner (y, x), k kernel side, n pixel of a window.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from cnnlab.edges.borders import pad
from cnnlab.filters import bank

SIDE = 192  # pixels
FINER = 4  # drawn so many times as large, then averaged: smooth contours
NEAR = 5  # pixels from a corner that still count as at it; beyond twice as many nothing does
FAMILIES = (
    "central + central(order=2)", "prewitt", "sobel(orientations=8)", "sobel(size=5)", "sobel(size=7)", "kirsch",
    "laplacian", "laplacian(neighbours=8)", "log(sigma=(1, 2, 3))", "dog", "robinson", "frei_chen", "dct(size=5)",
    "gabor(orientations=8)", "quadrature", "steerable", "gaussian(sigma=(1, 2), order=2)", "box", "sharpen",
)  # fmt: skip


class Shapes(NamedTuple):
    """An image (H, W) in [0, 1] of bright and dark shapes on grey, and all their corners (V, 2) as (y, x)."""

    image: Tensor
    corners: Tensor


def shapes() -> Shapes:
    """Squares, a triangle, an L, a rectangle; a disc, which has no corner."""
    letter = [(108, 22), (108, 44), (148, 44), (148, 74), (170, 74), (170, 22)]
    bar = [(150, 104), (150, 172), (176, 172), (176, 104)]
    polygons = [
        (0.9, _regular(46, 46, 30, 4, 0.35)),
        (0.1, _regular(48, 140, 32, 3, -0.4)),
        (0.75, [(float(y), float(x)) for y, x in letter]),
        (0.2, [(float(y), float(x)) for y, x in bar]),
        (0.3, _regular(100, 92, 15, 4, 0.1)),
    ]
    picture = Image.new("L", (SIDE * FINER, SIDE * FINER), 128)
    draw = ImageDraw.Draw(picture)
    for intensity, points in [*polygons, (0.95, _regular(110, 150, 22, 96, 0.0))]:
        at = [((x + 0.5) * FINER - 0.5, (y + 0.5) * FINER - 0.5) for y, x in points]
        draw.polygon(at, fill=round(255 * intensity))
    fine_11HW = torch.from_numpy(np.array(picture, np.float32))[None, None] / 255
    image_HW = F.avg_pool2d(fine_11HW, FINER)[0, 0]
    return Shapes(image_HW, torch.tensor([point for _, points in polygons for point in points]))


def _regular(y: float, x: float, radius: float, count: int, first: float) -> list[tuple[float, float]]:
    angles = [first + 2 * math.pi * step / count for step in range(count)]
    return [(y + radius * math.sin(angle), x + radius * math.cos(angle)) for angle in angles]


class Detected(NamedTuple):
    """Responses (H, W) of a filter or a cascade, and which corners (V,) stand out."""

    name: str
    responses: Tensor
    stands_out: Tensor


def distances(scene: Shapes) -> Tensor:
    """(V, H, W): pixels from each corner to each place."""
    y_H1, x_W = torch.arange(SIDE)[:, None], torch.arange(SIDE)
    return torch.stack([((y_H1 - y).square() + (x_W - x).square()).sqrt() for y, x in scene.corners])


def standing_out(response_KHW: Tensor, scene: Shapes) -> Tensor:
    """(K, V): is the largest response within NEAR pixels of a corner larger than any further than 2 NEAR from all?"""
    distance_VHW = distances(scene)
    away_K = response_KHW[:, distance_VHW.amin(0) > 2 * NEAR].amax(1)
    at_KV = torch.stack([response_KHW[:, near_HW].amax(1) for near_HW in distance_VHW <= NEAR], dim=1)
    return at_KV > away_K[:, None]


def fitted_filter(scene: Shapes, side: int) -> Tensor:
    """(k, k): the filter whose responses, with a constant added, are nearest to 1 at corners and to 0 away from them.

    Least squares, corners and the rest weighing the same: there is no better one for this aim.
    """
    windows_Nn = F.unfold(_padded(scene.image, side), side)[0].T.double()
    distance_HW = distances(scene).amin(0)
    corner_N, counts_N = (distance_HW <= 2).flatten(), ((distance_HW <= 2) | (distance_HW > NEAR)).flatten()
    weight_N1 = torch.where(corner_N, 1 / corner_N.sum(), 1 / (~corner_N).sum()).double().sqrt()[:, None]
    matrix_Nn = (torch.cat([windows_Nn, torch.ones(len(windows_Nn), 1)], dim=1) * weight_N1)[counts_N]
    wanted_N1 = (corner_N[:, None] * weight_N1)[counts_N]
    normal_nn, aim_n1 = matrix_Nn.T @ matrix_Nn, matrix_Nn.T @ wanted_N1
    solution_n1 = torch.linalg.lstsq(normal_nn, aim_n1, driver="gelsd").solution
    return solution_n1[:-1].view(side, side).to(scene.image)


def single_filters(scene: Shapes) -> dict[str, Tensor]:
    """Name -> (k, k): fitted filters of several sizes, and every kernel of our families with both signs."""
    filters = {f"fitted {side} x {side}": fitted_filter(scene, side) for side in (3, 5, 9, 13)}
    for family in FAMILIES:
        kernels = bank(family)
        for name, kernel_1hw in zip(kernels.names, kernels.kernels.to(scene.image), strict=True):
            filters |= {name: kernel_1hw[0], f"minus {name}": -kernel_1hw[0]}
    return filters


def best_single_filter(scene: Shapes) -> tuple[Detected, int]:
    """The filter of which most corners stand out, of how many that were tried."""
    filters = single_filters(scene)
    best, most = None, -1
    for side in {len(kernel_hw) for kernel_hw in filters.values()}:
        names = [name for name, kernel_hw in filters.items() if len(kernel_hw) == side]
        kernel_K1hw = torch.stack([filters[name] for name in names])[:, None]
        response_KHW = F.conv2d(_padded(scene.image, side), kernel_K1hw)[0]
        stands_out_KV = standing_out(response_KHW, scene)
        index = int(stands_out_KV.sum(1).argmax())
        if int(stands_out_KV[index].sum()) > most:
            best, most = (
                Detected(names[index], response_KHW[index], stands_out_KV[index]),
                int(stands_out_KV[index].sum()),
            )
    assert best is not None
    return best, len(filters)


def _padded(image_HW: Tensor, side: int) -> Tensor:
    before, after = side // 2, (side - 1) // 2
    return pad(image_HW[None, None], before, after, before, after, "reflect")
