"""One-to-one matching of boundary pixels. H height, W width, R rows: predicted pixels, C columns: drawn ones.

Martin, Fowlkes, Malik, PAMI 2004: a predicted pixel may stand for one drawn pixel within a distance. As many as
possible are matched, and of all ways to do so one with the least sum of distances: an assignment in which a pixel
without a partner costs more than all the distances together. It is solved exactly, by shortest augmenting paths with
prices (Jonker & Volgenant, Computing 1987), on the pairs within the distance alone. Ties are broken by the order
of the pixels.
"""

import heapq
import math
from dataclasses import dataclass

import numpy as np

from cnnlab._choices import UsageError
from cnnlab._compiled import compiled

Ints = np.ndarray  # of int32 or int64
UNITS = 1000  # of the integer costs, to the pixel: sums are exact and ties are ties
ALONE = 2**40  # the cost of a predicted pixel without a partner: a billion pixels of distance
NOBODY = -1
FAR = 2**62


@dataclass(frozen=True, eq=False)
class Drawing:
    """A drawn map, ready to be matched. Maps lie padded by the distance and flattened, P places."""

    shape: tuple[int, int]
    margin: int
    columns: int
    column_P: np.ndarray  # int32, the number of the drawn pixel at a place, or NOBODY
    near_P: np.ndarray  # bool, whether a drawn pixel is within the distance
    steps: np.ndarray  # int64, from a place to those within the distance, nearest first
    costs: np.ndarray  # int64, of a partner there


def prepare(drawn_HW: np.ndarray, distance: float) -> Drawing:
    """drawn_HW: (H, W) bool. distance: in pixels, the largest between partners, itself included.

    Raises ValueError for a map that is not two-dimensional and bool, and for a negative distance.
    """
    _check(drawn_HW)
    if not 0 <= distance < math.inf:
        raise UsageError(f"distance={distance}: pixels, 0 or more")
    margin = int(distance)
    offsets, costs = disc(distance)
    padded_HW = np.pad(drawn_HW, margin)
    steps = offsets[:, 0] * padded_HW.shape[1] + offsets[:, 1]
    places = np.flatnonzero(padded_HW)
    column_P = np.full(padded_HW.size, NOBODY, dtype=np.int32)
    column_P[places] = np.arange(places.size)
    near_P = np.zeros(padded_HW.size, dtype=bool)
    for step in steps:
        near_P[places + step] = True
    return Drawing(drawn_HW.shape, margin, places.size, column_P, near_P, steps, costs)


def matched(predicted_HW: np.ndarray, drawing: Drawing) -> tuple[np.ndarray, np.ndarray]:
    """Which predicted pixels have a partner, and which drawn ones: two maps (H, W) bool with equally many pixels.

    predicted_HW: (H, W) bool, of the drawing's size; ValueError if it isn't.
    """
    _check(predicted_HW)
    if predicted_HW.shape != drawing.shape:
        raise UsageError(f"maps to match are of one size; got {predicted_HW.shape} and {drawing.shape}")
    padded_HW = np.pad(predicted_HW, drawing.margin)
    # What lies near to no drawn pixel has no part in it.
    places = np.flatnonzero(padded_HW.reshape(-1) & drawing.near_P)
    column_R = _assign(places, drawing.column_P, drawing.steps, drawing.costs, drawing.columns)
    has_R = column_R != NOBODY
    partners = [np.zeros(padded_HW.size, dtype=bool) for _ in range(2)]
    partners[0][places[has_R]] = True
    partners[1][np.flatnonzero(drawing.column_P != NOBODY)[column_R[has_R]]] = True
    inside = tuple(slice(drawing.margin, drawing.margin + side) for side in drawing.shape)
    return partners[0].reshape(padded_HW.shape)[inside], partners[1].reshape(padded_HW.shape)[inside]


def disc(distance: float) -> tuple[np.ndarray, np.ndarray]:
    """The offsets (n, 2) int64 of all pixels within the distance, nearest first, and what they cost."""
    reach = range(-int(distance), int(distance) + 1)
    inside = [(dy * dy + dx * dx, dy, dx) for dy in reach for dx in reach if dy * dy + dx * dx <= distance * distance]
    squares, dy, dx = np.array(sorted(inside), dtype=np.int64).T
    return np.stack([dy, dx], axis=1), np.rint(UNITS * np.sqrt(squares)).astype(np.int64)


def _check(map_HW: np.ndarray) -> None:
    if map_HW.ndim != 2 or map_HW.dtype != bool:
        raise UsageError(f"a map to match is (H, W) and bool; got {map_HW.dtype} of shape {map_HW.shape}")


@compiled
def _assign(starts: Ints, column_P: Ints, steps: Ints, costs: Ints, columns: int) -> Ints:
    """The column of each row, or NOBODY. starts: the places of the rows."""
    first, column, cost = _pairs(starts, column_P, steps, costs)
    rows = starts.size
    price_R = np.zeros(rows, dtype=np.int64)  # a pair's reduced cost, cost - price of row - price of column, is >= 0
    price_C = np.zeros(columns, dtype=np.int64)  # <= 0, and 0 for a column without a row
    column_R = np.full(rows, NOBODY, dtype=np.int32)
    row_C = np.full(columns, NOBODY, dtype=np.int32)
    reached = np.full(columns, FAR, dtype=np.int64)  # how far a column is from the row that looks for a place
    before = np.empty(columns, dtype=np.int32)  # the row through which it was reached
    done = np.zeros(columns, dtype=np.bool_)
    for row in _first_come(first, column, cost, price_R, price_C, column_R, row_C):
        _augment(row, first, column, cost, price_R, price_C, column_R, row_C, reached, before, done)
    return column_R


@compiled
def _pairs(starts: Ints, column_P: Ints, steps: Ints, costs: Ints) -> tuple[Ints, Ints, Ints]:
    """The pairs within the distance, as rows of a sparse matrix: first[row] : first[row + 1], nearest first."""
    first = np.zeros(starts.size + 1, dtype=np.int64)
    for row in range(starts.size):
        number = 0
        for step in steps:
            number += column_P[starts[row] + step] != NOBODY
        first[row + 1] = first[row] + number
    column = np.empty(first[-1], dtype=np.int32)
    cost = np.empty(first[-1], dtype=np.int64)
    for row in range(starts.size):
        pair = first[row]
        for place in range(steps.size):
            found = column_P[starts[row] + steps[place]]
            if found != NOBODY:
                column[pair] = found
                cost[pair] = costs[place]
                pair += 1
    return first, column, cost


@compiled
def _first_come(
    first: Ints, column: Ints, cost: Ints, price_R: Ints, price_C: Ints, column_R: Ints, row_C: Ints
) -> Ints:
    """Each row takes its cheapest column if that is free, and bids its price down to where the second best is as
    good. Returns the rows that found it taken; a row that nothing is cheaper for than to stay alone is done."""
    left = np.empty(column_R.size, dtype=np.int64)
    number = 0
    for row in range(column_R.size):
        chosen, best, second = _best(row, first, column, cost, price_C, row_C)
        price_R[row] = second
        if chosen == NOBODY:
            continue
        if row_C[chosen] != NOBODY:
            price_R[row] = best
            left[number] = row
            number += 1
            continue
        price_C[chosen] -= second - best
        column_R[row] = chosen
        row_C[chosen] = row
    return left[:number]


@compiled
def _best(row: int, first: Ints, column: Ints, cost: Ints, price_C: Ints, row_C: Ints) -> tuple[int, int, int]:
    """The cheapest column of a row, a free one if there are several, with its reduced cost and the second best's."""
    chosen, best, second = NOBODY, ALONE, ALONE
    for pair in range(first[row], first[row + 1]):
        reduced = cost[pair] - price_C[column[pair]]
        if reduced < best:
            chosen, best, second = column[pair], reduced, best
        elif reduced < second:
            second = reduced
            if second == best and row_C[chosen] != NOBODY and row_C[column[pair]] == NOBODY:
                chosen = column[pair]
    return chosen, best, second


@compiled
def _augment(
    row: int, first: Ints, column: Ints, cost: Ints, price_R: Ints, price_C: Ints, column_R: Ints, row_C: Ints,
    reached: Ints, before: Ints, done: np.ndarray,
) -> None:  # fmt: skip
    """Find the shortest way from a row without a column to a free column, or to a row that is better left alone,
    set the prices so that no reduced cost is negative, and exchange partners along the way."""
    end, last, shortest, touched = _way(row, first, column, cost, price_R, price_C, row_C, reached, before, done)
    price_R[row] += shortest
    for stop in touched:
        if done[stop]:
            price_R[row_C[stop]] += shortest - reached[stop]
            price_C[stop] -= shortest - reached[stop]
            done[stop] = False
        reached[stop] = FAR
    if end == NOBODY and last != row:
        end = column_R[last]
        column_R[last] = NOBODY
    while end != NOBODY:
        taker = before[end]
        given = column_R[taker]
        row_C[end], column_R[taker] = taker, end
        end = given


@compiled
def _way(
    row: int, first: Ints, column: Ints, cost: Ints, price_R: Ints, price_C: Ints, row_C: Ints,
    reached: Ints, before: Ints, done: np.ndarray,
) -> tuple[int, int, int, list[np.int64]]:  # fmt: skip
    """Dijkstra over the columns, in reduced costs. Returns the free column at the end of the shortest way, or
    NOBODY and the row to be left alone, the length, and the columns in `reached` that are to be cleared."""
    heap = [(np.int64(0), np.int64(0))][:0]
    touched = [np.int64(0)][:0]
    end, last, shortest = NOBODY, row, ALONE - price_R[row]
    here, way = row, np.int64(0)
    while True:
        for pair in range(first[here], first[here + 1]):
            other = column[pair]
            length = way + cost[pair] - price_R[here] - price_C[other]
            if length < shortest and length < reached[other]:
                if reached[other] == FAR:
                    touched.append(np.int64(other))
                reached[other] = length
                before[other] = here
                if row_C[other] == NOBODY:
                    end, last, shortest = other, NOBODY, length
                else:
                    heapq.heappush(heap, (length, np.int64(other)))
        while heap and (done[heap[0][1]] or heap[0][0] > reached[heap[0][1]]):
            heapq.heappop(heap)
        if not heap or heap[0][0] >= shortest:
            return end, last, shortest, touched
        way, stop = heapq.heappop(heap)
        done[stop] = True
        here = row_C[stop]
        if way + ALONE - price_R[here] < shortest:
            end, last, shortest = NOBODY, here, way + ALONE - price_R[here]
