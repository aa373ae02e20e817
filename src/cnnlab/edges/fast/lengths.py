"""Lengths of gradients for a CPU, compiled: one walk down the rows, whose lines never leave the cache.

B batch, C channel, S scale, H W image, w a line with its border, n taps and lines at a time. `gradient.py` says what is
computed; here it is done in the same order, so that the response rotates and mirrors with the image to the last bit.
All that is compiled together stands in this one file: see `_compiled.py`.
"""

from itertools import pairwise, product

import numpy as np
import torch
from torch import Tensor

from cnnlab._compiled import COMPILED, compiled
from cnnlab.edges.borders import sources
from cnnlab.edges.fast.places import cut, side_by_side
from cnnlab.edges.fast.strips import recorded

Pair = tuple[np.ndarray, np.ndarray]


def walkable(image_BCHW: Tensor) -> bool:
    """Whether `lengths` serves: numba is there, the image on the CPU, nothing traced, recorded or transformed."""
    if not COMPILED or torch.compiler.is_compiling() or type(image_BCHW) is not Tensor or recorded(image_BCHW):
        return False
    plain = image_BCHW.dtype in (torch.float32, torch.float64) and 0 not in image_BCHW.shape
    return plain and image_BCHW.device.type == "cpu"


def lengths(image_BCHW: Tensor, taps: list[tuple[list[float], list[float]]], border: str) -> Tensor:
    """(B, C, S, H, W), by as many threads as torch uses. taps: (difference, smoothing) of each scale, of one length."""
    side, (height, width) = len(taps[0][0]), image_BCHW.shape[-2:]
    image_BCHW = image_BCHW.detach().contiguous()
    result = image_BCHW.new_empty(*image_BCHW.shape[:2], len(taps), height, width)
    source_h, source_w = (sources(size, side // 2, (side - 1) // 2, border).numpy() for size in (height, width))
    kind, ends = image_BCHW.numpy().dtype, cut(height)
    jobs = [
        (image_HW, (source_h, source_w), tuple(np.array(line, kind) for line in pair), (top, bottom), length_HW)
        for image_HW, length_SHW in zip(image_BCHW.flatten(0, 1).numpy(), result.flatten(0, 1).numpy(), strict=True)
        for (pair, length_HW), (top, bottom) in product(zip(taps, length_SHW, strict=True), pairwise(ends))
    ]
    side_by_side(_rows_of_three if side == 3 else _rows, jobs, len(ends) - 1)
    return result


@compiled
def _rows(image_HW: np.ndarray, sources_hw: Pair, taps: Pair, rows: tuple[int, int], length_HW: np.ndarray) -> None:
    """The rows from the first to before the last; n lines of the image are at hand, each read once."""
    (difference_n, smoothing_n), (first, last), width = taps, rows, image_HW.shape[1]
    side = len(difference_n)
    line_nw = np.empty((side, width + side - 1), length_HW.dtype)
    smooth_nW, smooth_w = np.empty((side, width), length_HW.dtype), np.empty(width + side - 1, length_HW.dtype)
    dy_W, dx_W = np.empty(width, length_HW.dtype), np.empty(width, length_HW.dtype)
    for y in range(first, last + side - 1):
        _read(image_HW, sources_hw, y, side // 2, line_nw[y % side])
        _smooth(line_nw[y % side], smoothing_n, smooth_nW[y % side])
        if y < first + side - 1:
            continue
        top = y - side + 1
        _across(line_nw, smoothing_n, top, smooth_w)
        _differences(smooth_nW, smooth_w, difference_n, top, dy_W, dx_W)
        length_W = length_HW[top]
        for x in range(width):
            length_W[x] = np.sqrt(dy_W[x] * dy_W[x] + dx_W[x] * dx_W[x])


@compiled
def _read(image_HW: np.ndarray, sources_hw: Pair, y: int, before: int, line_w: np.ndarray) -> None:
    """Line y of the image with its border; a source of -1 is 0."""
    (source_h, source_w), width = sources_hw, image_HW.shape[1]
    if source_h[y] < 0:
        line_w[:] = 0
        return
    row_W = image_HW[source_h[y]]
    line_w[before : before + width] = row_W
    for x in range(before):
        line_w[x] = row_W[source_w[x]] if source_w[x] >= 0 else 0
    for x in range(before + width, len(line_w)):
        line_w[x] = row_W[source_w[x]] if source_w[x] >= 0 else 0


@compiled
def _smooth(line_w: np.ndarray, smoothing_n: np.ndarray, smooth_W: np.ndarray) -> None:
    """Along a line, the two pixels at the same distance from the middle first."""
    side, width = len(smoothing_n), len(smooth_W)
    middle = smoothing_n[side // 2] if side % 2 else smoothing_n.dtype.type(0)
    for x in range(width):
        smooth_W[x] = line_w[x + side // 2] * middle
    for k in range((side + 1) // 2, side):
        tap, behind_W, before_W = smoothing_n[k], line_w[k : k + width], line_w[side - 1 - k : side - 1 - k + width]
        for x in range(width):
            smooth_W[x] += (behind_W[x] + before_W[x]) * tap


@compiled
def _across(line_nw: np.ndarray, smoothing_n: np.ndarray, top: int, smooth_w: np.ndarray) -> None:
    """The same across n lines."""
    side, width = len(smoothing_n), len(smooth_w)
    middle = smoothing_n[side // 2] if side % 2 else smoothing_n.dtype.type(0)
    middle_w = line_nw[(top + side // 2) % side]
    for x in range(width):
        smooth_w[x] = middle_w[x] * middle
    for k in range((side + 1) // 2, side):
        tap, behind_w, before_w = smoothing_n[k], line_nw[(top + k) % side], line_nw[(top + side - 1 - k) % side]
        for x in range(width):
            smooth_w[x] += (behind_w[x] + before_w[x]) * tap


@compiled
def _differences(
    smooth_nW: np.ndarray, smooth_w: np.ndarray, difference_n: np.ndarray, top: int, dy_W: np.ndarray, dx_W: np.ndarray
) -> None:
    """d/dy across the lines that are smooth in x, d/dx along the line that is smooth in y."""
    side, width = len(difference_n), len(dy_W)
    dy_W[:], dx_W[:] = 0, 0
    for k in range((side + 1) // 2, side):
        tap, down_W, up_W = difference_n[k], smooth_nW[(top + k) % side], smooth_nW[(top + side - 1 - k) % side]
        right_W, left_W = smooth_w[k : k + width], smooth_w[side - 1 - k : side - 1 - k + width]
        for x in range(width):
            dy_W[x] += (down_W[x] - up_W[x]) * tap
            dx_W[x] += (right_W[x] - left_W[x]) * tap


@compiled
def _rows_of_three(
    image_HW: np.ndarray, sources_hw: Pair, taps: Pair, rows: tuple[int, int], length_HW: np.ndarray
) -> None:
    """As `_rows` for kernels of 3 x 3, without copies of lines: smoothing anew costs less than fetching what was
    smoothed. Only the first and the last column need the border."""
    (source_h, source_w), (difference_n, smoothing_n), width = sources_hw, taps, image_HW.shape[1]
    zero_W, around_33 = np.zeros(width, image_HW.dtype), np.empty((3, 3), image_HW.dtype)
    for y in range(rows[0], rows[1]):
        above_W = image_HW[source_h[y]] if source_h[y] >= 0 else zero_W
        below_W = image_HW[source_h[y + 2]] if source_h[y + 2] >= 0 else zero_W
        here_W = image_HW[y]
        _lengths_of_three(above_W, here_W, below_W, smoothing_n, difference_n[2], length_HW[y, 1:-1])
        for x in (0, width - 1):
            for column in range(3):
                source = source_w[x + column]
                around_33[0, column] = above_W[source] if source >= 0 else 0
                around_33[1, column] = here_W[source] if source >= 0 else 0
                around_33[2, column] = below_W[source] if source >= 0 else 0
            at = length_HW[y, x : x + 1]
            _lengths_of_three(around_33[0], around_33[1], around_33[2], smoothing_n, difference_n[2], at)


@compiled
def _lengths_of_three(
    above_w: np.ndarray,
    here_w: np.ndarray,
    below_w: np.ndarray,
    smoothing_n: np.ndarray,
    tap: float,
    length_W: np.ndarray,
) -> None:
    middle, outer = smoothing_n[1], smoothing_n[2]
    for x in range(len(length_W)):
        up = above_w[x + 1] * middle + (above_w[x + 2] + above_w[x]) * outer
        down = below_w[x + 1] * middle + (below_w[x + 2] + below_w[x]) * outer
        left = here_w[x] * middle + (below_w[x] + above_w[x]) * outer
        right = here_w[x + 2] * middle + (below_w[x + 2] + above_w[x + 2]) * outer
        dy, dx = (down - up) * tap, (right - left) * tap
        length_W[x] = np.sqrt(dy * dy + dx * dx)
