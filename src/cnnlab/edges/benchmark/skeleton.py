"""Thinning of a binary map to lines one pixel wide. H height, W width, N the 256 neighbourhoods of a pixel.

Lam, Lee, Suen, PAMI 1992, page 879, after Guo & Hall, CACM 1989 (algorithm A1): two alternating passes, in each of
which all pixels that fulfil its conditions go at once, until none goes. This is what MATLAB calls bwmorph thin.
"""

import numpy as np

from cnnlab._choices import UsageError
from cnnlab._compiled import compiled

# The neighbours x1 ... x8, from east, against the clock; bit i of a neighbourhood is neighbour i.
OFFSETS = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))


def thinned(map_HW: np.ndarray) -> np.ndarray:
    """(H, W) bool -> the same, thinned until nothing changes. Beyond the border there is nothing.

    Raises ValueError unless the map is two-dimensional and bool.
    """
    if map_HW.ndim != 2 or map_HW.dtype != bool:
        raise UsageError(f"a map to thin is (H, W) and bool; got {map_HW.dtype} of shape {map_HW.shape}")
    padded = np.pad(map_HW, 1).astype(np.uint8)
    steps = np.array([dy * padded.shape[1] + dx for dy, dx in OFFSETS], dtype=np.int64)
    _thin(padded.reshape(-1), steps, GOES_2N)
    return padded[1:-1, 1:-1].astype(bool)


def _passes() -> np.ndarray:
    """(2, N) bool: whether a pixel with that neighbourhood goes in the first, in the second pass."""
    goes_2N = np.zeros((2, 256), dtype=bool)
    for code in range(256):
        x = [bool(code >> bit & 1) for bit in range(8)]
        x = [False, *x, x[0]]  # so that the indices are the paper's, with x9 = x1
        crossings = sum(not x[2 * i - 1] and (x[2 * i] or x[2 * i + 1]) for i in range(1, 5))
        pairs = min(
            sum(x[2 * k - 1] or x[2 * k] for k in range(1, 5)), sum(x[2 * k] or x[2 * k + 1] for k in range(1, 5))
        )
        if crossings == 1 and 2 <= pairs <= 3:
            goes_2N[0, code] = not ((x[2] or x[3] or not x[8]) and x[1])
            goes_2N[1, code] = not ((x[6] or x[7] or not x[4]) and x[5])
    return goes_2N


GOES_2N = _passes()


@compiled
def _thin(pixels: np.ndarray, steps: np.ndarray, goes_2N: np.ndarray) -> None:
    """Thin a padded, flattened map in place. A pixel is looked at again only after a neighbour went."""
    todo = np.flatnonzero(pixels)
    waiting = np.full(pixels.size, 3, dtype=np.uint8)  # bit p: is among the candidates of pass p
    queues = np.empty((2, pixels.size), dtype=np.int64)
    counts = np.array([todo.size, todo.size])
    queues[:, : todo.size] = todo
    gone = np.empty(todo.size, dtype=np.int64)
    turn = 0
    while counts[0] + counts[1] > 0:
        number = 0
        for place in range(counts[turn]):
            pixel = queues[turn, place]
            waiting[pixel] &= 2 - turn
            if pixels[pixel]:
                code = 0
                for bit in range(8):
                    code |= pixels[pixel + steps[bit]] << bit
                if goes_2N[turn, code]:
                    gone[number] = pixel
                    number += 1
        counts[turn] = 0
        for place in range(number):
            pixels[gone[place]] = 0
        for place in range(number):
            for bit in range(8):
                other = gone[place] + steps[bit]
                if pixels[other]:
                    for later in range(2):
                        if not waiting[other] >> later & 1:
                            waiting[other] |= 1 << later
                            queues[later, counts[later]] = other
                            counts[later] += 1
        turn = 1 - turn
