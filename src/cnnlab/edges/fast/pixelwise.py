"""Loops over pixels for a CPU, compiled: the two rules of `thinning.py` in one walk down the rows. H W image.

h, w: with a border, or a few rows. S rows at a time. Fields are (H, W), outside of them is 0. A place is y * W + x.
Ties are (tie_HW, white_1, tied): white_1 holds the value that stands for 1, 255 where the ties are a uint8 image, which
is never copied so, else 1; not `tied` means that there are none, and the field is not looked at.

All that is compiled together stands in this one file: see `_compiled.py`.
"""

import numpy as np

from cnnlab._compiled import compiled

Pair = tuple[np.ndarray, np.ndarray]
Ties = tuple[np.ndarray, np.ndarray, bool]
NO, YES, ASK = np.uint8(0), np.uint8(1), np.uint8(2)  # ASK is one more than YES
ASKS = np.uint64(0x0202020202020202)  # in any of eight verdicts


@compiled
def ends(field_N: np.ndarray, width: int, place: int, dy: float, dx: float) -> tuple[float, float]:
    """The field where the normal leaves the ring around a place, ahead (to the right; down where it is steep), behind.

    Interpolated linearly, exact at both ends, as `torch.lerp`. Without branches: no CPU could foretell them.
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
    strength_HW: np.ndarray, dy_HW: np.ndarray, dx_HW: np.ndarray, y: int, least: float, verdict_W: np.ndarray
) -> None:
    """Rule 1 for row y: NO, YES, or ASK: equal to an end, or at the border. Without branches: compiled to vectors.

    The interpolation is that of `ends`, with the neighbours chosen by the octant of the normal.
    """
    height, width = strength_HW.shape
    if y in (0, height - 1):
        verdict_W[:width] = ((strength_HW[y] > 0) & (strength_HW[y] >= least)) * ASK
        return
    above, here, below = strength_HW[y - 1], strength_HW[y], strength_HW[y + 1]
    dy_W, dx_W = dy_HW[y], dx_HW[y]
    one, half = here.dtype.type(1), here.dtype.type(0.5)
    for x in range(1, width - 1):
        middle, tall, broad = here[x], abs(dy_W[x]), abs(dx_W[x])
        steep, falling = tall > broad, (dy_W[x] > 0) == (dx_W[x] > 0)
        north_west, north, north_east = above[x - 1], above[x], above[x + 1]
        south_west, south, south_east = below[x - 1], below[x], below[x + 1]
        west, east = here[x - 1], here[x + 1]
        longer = max(tall, broad)
        share = min(tall, broad) / (longer if longer > 0 else one)
        start, end = south if steep else east, south_east if falling else (south_west if steep else north_east)
        ahead = start + share * (end - start) if share < half else end - (end - start) * (one - share)
        start, end = north if steep else west, north_west if falling else (north_east if steep else south_west)
        behind = start + share * (end - start) if share < half else end - (end - start) * (one - share)
        stands = (middle > 0) & (middle >= least) & ~((middle < ahead) | (middle < behind))
        level = (middle == ahead) | (middle == behind)
        verdict_W[x] = stands * (YES + level)
    for x in (0, width - 1):
        verdict_W[x] = ((here[x] > 0) & (here[x] >= least)) * ASK


@compiled
def outdone(
    strength_HW: np.ndarray, ties: Ties, place: tuple[int, int], down: int, right: int, nine_9: np.ndarray
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
def is_candidate(strength_HW: np.ndarray, normals: Pair, ties: Ties, y: int, x: int, nine_9: np.ndarray) -> bool:
    """Rule 1 in full, for a pixel at the border or as strong as an end of its normal."""
    middle, normal = strength_HW[y, x], (normals[0][y, x], normals[1][y, x])
    ahead, behind = ends(nine(strength_HW, nine_9.dtype.type(1), y, x, nine_9), 3, 4, normal[0], normal[1])
    if (middle < ahead) | (middle < behind):
        return False
    if not ((middle == ahead) | (middle == behind)):
        return True
    tie_HW, white_1, tied = ties
    return tie_agrees(nine(tie_HW, white_1[0], y, x, nine_9), tied, normal, middle == ahead, middle == behind)


@compiled
def candidates_of_row(
    strength_HW: np.ndarray,
    normals: Pair,
    ties: Ties,
    y: int,
    verdict_W: np.ndarray,
    nine_9: np.ndarray,
    x_N: np.ndarray,
) -> int:
    """Rule 1 for row y, after its verdicts: writes where the candidates are, and says how many.

    What is asked for is settled first; the many are gathered without branches, eight at a time.
    """
    eight_W, some, asked = verdict_W.view(np.uint64), 0, np.uint64(0)
    for index, eight in enumerate(eight_W):
        x_N[some] = 8 * index
        some += eight != 0
        asked |= eight & ASKS
    if asked:
        for start in x_N[:some]:
            for x in range(start, start + 8):
                if verdict_W[x] == ASK:
                    verdict_W[x] = is_candidate(strength_HW, normals, ties, y, x, nine_9)
    start_N, count = x_N[:some].copy(), 0
    for start in start_N:
        for x in range(start, start + 8):
            x_N[count] = x
            count += verdict_W[x]
    return count


@compiled
def places_in_rows(
    strength_HW: np.ndarray, normals: Pair, ties: Ties, least: float, top: int, bottom: int
) -> np.ndarray:
    """The places in rows from top to before bottom that stay. Candidates are sought one row further on both sides."""
    (dy_HW, dx_HW), (height, width) = normals, strength_HW.shape
    first, last = max(top - 1, 0), min(bottom + 1, height)
    candidate_hw = np.zeros((last - first + 2, width + 2), np.bool_)
    verdict_W, nine_9 = np.zeros(-(-width // 8) * 8, np.uint8), np.empty(9, strength_HW.dtype)
    x_N, end_h = np.empty((last - first) * width + 8, np.int32), np.zeros(last - first + 1, np.int64)
    for y in range(first, last):
        look(strength_HW, dy_HW, dx_HW, y, least, verdict_W)
        start, candidate_w = end_h[y - first], candidate_hw[y - first + 1]
        count = candidates_of_row(strength_HW, normals, ties, y, verdict_W, nine_9, x_N[start:])
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


@compiled
def strips_of_rows(
    padded_hw: np.ndarray,
    ties: Ties,
    numbers: tuple[float, float, float],
    least: float,
    top: int,
    bottom: int,
    pixels: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Places and strengths in the rows from top to before bottom, so many pixels at a time."""
    (height, width), (tie_HW, white_1, tied) = (padded_hw.shape[0] - 2, padded_hw.shape[1] - 2), ties
    step = min(max(pixels // width, 1), bottom - top)
    shape = (step + 4, width)
    strength_SW, dy_SW = np.empty(shape, white_1.dtype), np.empty(shape, white_1.dtype)
    dx_SW = np.empty(shape, white_1.dtype)
    place_N, strength_N = np.empty((bottom - top) * width, np.int64), np.empty((bottom - top) * width, white_1.dtype)
    count = 0
    for start in range(top, bottom, step):
        end = min(start + step, bottom)
        first, last = max(start - 2, 0), min(end + 2, height)  # thinning looks two rows further
        rows = last - first
        strength_hW, dy_hW, dx_hW = strength_SW[:rows], dy_SW[:rows], dx_SW[:rows]
        gradient_of_rows(padded_hw, numbers, first, last, strength_hW, dy_hW, dx_hW)
        tie_hW = (tie_HW[first:last], white_1, tied)
        found_N = places_in_rows(strength_hW, (dy_hW, dx_hW), tie_hW, least, start - first, end - first)
        for place in found_N:
            place_N[count] = place + first * width
            strength_N[count] = strength_hW[place // width, place % width]
            count += 1
    return place_N[:count].copy(), strength_N[:count].copy()


@compiled
def gradient_of_rows(
    padded_hw: np.ndarray,
    numbers: tuple[float, float, float],
    first: int,
    last: int,
    strength_hW: np.ndarray,
    dy_hW: np.ndarray,
    dx_hW: np.ndarray,
) -> None:
    """Strength, and the normal times any number, of the rows from first to before last. Compiled to vectors.

    Smoothed before it is differentiated, pairs first: the response rotates and mirrors with the image to the last bit.
    """
    outer, middle, scale = numbers
    kind, width = strength_hW.dtype.type, strength_hW.shape[1]
    smooth_w = np.empty(width + 2, strength_hW.dtype)
    for y in range(first, last):
        above_w, here_w, below_w = padded_hw[y], padded_hw[y + 1], padded_hw[y + 2]
        strength_W, dy_W, dx_W = strength_hW[y - first], dy_hW[y - first], dx_hW[y - first]
        for x in range(width + 2):
            smooth_w[x] = (kind(above_w[x]) + kind(below_w[x])) * outer + kind(here_w[x]) * middle
        for x in range(width):
            north = (kind(above_w[x]) + kind(above_w[x + 2])) * outer + kind(above_w[x + 1]) * middle
            south = (kind(below_w[x]) + kind(below_w[x + 2])) * outer + kind(below_w[x + 1]) * middle
            down, right = south - north, smooth_w[x + 2] - smooth_w[x]
            dy_W[x], dx_W[x] = down, right
            strength_W[x] = np.sqrt(down * down + right * right) * scale
