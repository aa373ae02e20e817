"""Thinning pixel by pixel, for a processor: the two rules of `thinning.py` in one walk down the rows. H W image.

Fields are (H, W), outside of them is 0. A place is y * W + x. Ties are (tie_HW, white_1, tied):
white_1 holds the value that stands for 1, 255 where the ties are a uint8 image, which is never copied so, else 1;
not `tied` means that there are none, and the field is not looked at.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from cnnlab.edges.compiled import compiled

_ROWS = 64  # so few at least for each thread


def places_along(
    strength_B1HW: Tensor, dy_B1HW: Tensor, dx_B1HW: Tensor, tie_B1HW: Tensor | None, least: float
) -> list[np.ndarray]:
    """Of each image the places that stay, in order; with as many threads as torch uses."""
    tie_B1HW, tied = (strength_B1HW, False) if tie_B1HW is None else (tie_B1HW, True)
    fields = [field.detach().contiguous()[:, 0].numpy() for field in (strength_B1HW, dy_B1HW, dx_B1HW, tie_B1HW)]
    strength_BHW, dy_BHW, dx_BHW, tie_BHW = fields
    kind = strength_BHW.dtype.type
    white_1 = np.full(1, 255 if tie_B1HW.dtype == torch.uint8 else 1, kind)
    height = strength_B1HW.shape[-2]
    strips = max(1, min(torch.get_num_threads(), height // _ROWS))
    ends = [height * strip // strips for strip in range(strips + 1)]
    jobs = [
        (strength_BHW[index], (dy_BHW[index], dx_BHW[index]), (tie_BHW[index], white_1, tied), kind(least), top, bottom)
        for index in range(len(strength_B1HW))
        for top, bottom in pairwise(ends)
    ]
    if strips == 1:
        return [places_in_rows(*job) for job in jobs]
    with ThreadPoolExecutor(strips) as threads:
        found = list(threads.map(lambda job: places_in_rows(*job), jobs))
    return [np.concatenate(found[start : start + strips]) for start in range(0, len(found), strips)]


@compiled
def ends(field_N: np.ndarray, width: int, place: int, dy: float, dx: float) -> tuple[float, float]:
    """The field where the normal leaves the ring around a place, ahead (to the right; down where it is steep), behind.

    Interpolated linearly, exact at both ends, as `torch.lerp`. Without branches: no processor could foretell them.
    """
    tall, broad = abs(dy), abs(dx)
    steep, falling = tall > broad, (dy > 0) == (dx > 0)
    straight = width if steep else 1
    corner = width + 1 if falling else (width - 1 if steep else 1 - width)
    share = min(tall, broad) / max(tall, broad) if max(tall, broad) > 0 else tall
    start, end = field_N[place + straight], field_N[place + corner]
    near, far = start + share * (end - start), end - (end - start) * (1 - share)
    ahead = near if share < 0.5 else far
    start, end = field_N[place - straight], field_N[place - corner]
    near, far = start + share * (end - start), end - (end - start) * (1 - share)
    return ahead, near if share < 0.5 else far


@compiled
def nine(field_HW: np.ndarray, white: float, y: int, x: int, nine_9: np.ndarray) -> np.ndarray:
    """The pixel and its neighbours, over white."""
    for index in range(9):
        row, column = y + index // 3 - 1, x + index % 3 - 1
        inside = 0 <= row < field_HW.shape[0] and 0 <= column < field_HW.shape[1]
        nine_9[index] = field_HW[row, column] / white if inside else 0
    return nine_9


@compiled
def loses(tied: bool, tie: float, other: float, sign: int) -> bool:
    """Of two equal strengths: that with the smaller tie; without ties that from which the other lies ahead."""
    return tie < other if tied else sign > 0


@compiled
def tie_agrees(
    around_9: np.ndarray, tied: bool, normal: tuple[float, float], level_ahead: bool, level_behind: bool
) -> bool:
    """Whether a pixel that is as strong as where its normal leaves the ring stays; its tie and those around it."""
    tie_ahead, tie_behind = ends(around_9, 3, 4, normal[0], normal[1])
    if level_ahead and loses(tied, around_9[4], tie_ahead, 1):
        return False
    return not (level_behind and loses(tied, around_9[4], tie_behind, -1))


@compiled
def look(
    strength_HW: np.ndarray, dy_HW: np.ndarray, dx_HW: np.ndarray, y: int, least: float, maybe_W: np.ndarray
) -> None:
    """Which pixels of row y may be candidates by rule 1. Without branches, so that it is compiled to vectors.

    A pixel is weaker than the interpolated strength if it is weaker than both strengths in between which that lies.
    The first and the last pixel of a row, and those of the first and last row, are left to the second look.
    """
    height, width = strength_HW.shape
    if y in (0, height - 1):
        maybe_W[:width] = (strength_HW[y] > 0) & (strength_HW[y] >= least)
        return
    above, here, below = strength_HW[y - 1], strength_HW[y], strength_HW[y + 1]
    dy_W, dx_W = dy_HW[y], dx_HW[y]
    for x in (0, width - 1):
        maybe_W[x] = (here[x] > 0) & (here[x] >= least)
    for x in range(1, width - 1):
        middle, tall, broad = here[x], abs(dy_W[x]), abs(dx_W[x])
        falling = (dy_W[x] > 0) == (dx_W[x] > 0)
        south_east, north_west = middle >= below[x + 1], middle >= above[x - 1]
        south_west, north_east = middle >= below[x - 1], middle >= above[x + 1]
        right = (middle >= here[x + 1]) | (falling & south_east) | (~falling & north_east)
        left = (middle >= here[x - 1]) | (falling & north_west) | (~falling & south_west)
        down = (middle >= below[x]) | (falling & south_east) | (~falling & south_west)
        up = (middle >= above[x]) | (falling & north_west) | (~falling & north_east)
        level, steep = (broad >= tall) & right & left, (tall > broad) & down & up
        maybe_W[x] = (middle > 0) & (middle >= least) & (level | steep)


@compiled
def outdone(
    strength_HW: np.ndarray,
    ties: tuple[np.ndarray, np.ndarray, bool],
    place: tuple[int, int],
    down: int,
    right: int,
    nine_9: np.ndarray,
) -> bool:
    """Whether rule 2 prefers the candidate so far down and right."""
    y, x = place
    middle, other = strength_HW[y, x], strength_HW[y + down, x + right]
    if middle != other:
        return not middle >= other
    tie_HW, white_1, tied = ties
    around_9 = nine(tie_HW, white_1[0], y, x, nine_9)
    return loses(tied, around_9[4], around_9[4 + 3 * down + right], down + right)


@compiled
def candidates_of_row(
    strength_HW: np.ndarray,
    normals: tuple[np.ndarray, np.ndarray],
    ties: tuple[np.ndarray, np.ndarray, bool],
    y: int,
    maybe_W: np.ndarray,
    nine_9: np.ndarray,
    x_N: np.ndarray,
) -> int:
    """Rule 1 for those that may be candidates: writes where they are in row y, and says how many."""
    (height, width), (tie_HW, white_1, tied) = strength_HW.shape, ties
    strength_N, dy_W, dx_W, count = strength_HW.reshape(-1), normals[0][y], normals[1][y], 0
    one = nine_9.dtype.type(1)
    some = 0
    for eight in np.flatnonzero(maybe_W.view(np.uint64)):  # without branches, as in `ends`
        for x in range(8 * eight, 8 * eight + 8):
            x_N[some] = x
            some += maybe_W[x]
    for x in x_N[:some]:
        if 0 < y < height - 1 and 0 < x < width - 1:
            ahead, behind = ends(strength_N, width, y * width + x, dy_W[x], dx_W[x])
        else:
            ahead, behind = ends(nine(strength_HW, one, y, x, nine_9), 3, 4, dy_W[x], dx_W[x])
        middle = strength_N[y * width + x]
        agrees = not ((middle < ahead) | (middle < behind))
        if agrees & ((middle == ahead) | (middle == behind)):
            around_9 = nine(tie_HW, white_1[0], y, x, nine_9)
            agrees = tie_agrees(around_9, tied, (dy_W[x], dx_W[x]), middle == ahead, middle == behind)
        x_N[count] = x
        count += agrees
    return count


@compiled
def places_in_rows(
    strength_HW: np.ndarray,
    normals: tuple[np.ndarray, np.ndarray],
    ties: tuple[np.ndarray, np.ndarray, bool],
    least: float,
    top: int,
    bottom: int,
) -> np.ndarray:
    """The places in rows from top to before bottom that stay. Candidates are sought one row further on both sides."""
    (dy_HW, dx_HW), (height, width) = normals, strength_HW.shape
    first, last = max(top - 1, 0), min(bottom + 1, height)
    candidate_hw = np.zeros((last - first + 2, width + 2), np.bool_)
    maybe_W, nine_9 = np.zeros(-(-width // 8) * 8, np.uint8), np.empty(9, strength_HW.dtype)
    x_N, end_h = np.empty((last - first) * width + 8, np.int32), np.zeros(last - first + 1, np.int64)
    for y in range(first, last):
        look(strength_HW, dy_HW, dx_HW, y, least, maybe_W)
        start, candidate_w = end_h[y - first], candidate_hw[y - first + 1]
        count = candidates_of_row(strength_HW, normals, ties, y, maybe_W, nine_9, x_N[start:])
        end_h[y - first + 1] = start + count
        for x in x_N[start : start + count]:
            candidate_w[x + 1] = True
    place_N, kept = np.empty(end_h[-1] + 1, np.int64), 0
    for y in range(top, bottom):
        above_w, here_w, below_w = candidate_hw[y - first], candidate_hw[y - first + 1], candidate_hw[y - first + 2]
        dy_W, dx_W = dy_HW[y], dx_HW[y]
        for x in x_N[end_h[y - first] : end_h[y - first + 1]]:
            tall, broad = abs(dy_W[x]), abs(dx_W[x])
            level, steep, stays = broad >= tall, tall >= broad, True
            beside = (level & (here_w[x] | here_w[x + 2])) | (steep & (above_w[x + 1] | below_w[x + 1]))
            if beside:
                for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                    if (steep if down else level) and candidate_hw[y - first + 1 + down, x + 1 + right]:
                        stays = stays and not outdone(strength_HW, ties, (y, x), down, right, nine_9)
            place_N[kept] = y * width + x
            kept += stays
    return place_N[:kept].copy()
