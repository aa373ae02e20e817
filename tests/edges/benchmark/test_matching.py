"""The matching is the exact assignment: scipy's dense solver, which knows nothing of ours, finds no better one."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from cnnlab.edges.benchmark import matching
from cnnlab.edges.benchmark.matching import UNITS, disc, matched, prepare

DISTANCES = st.sampled_from([0.0, 0.9, 1.0, math.sqrt(2), 2.3, 3.0, 4.337, 6.0])


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    return draw(arrays(bool, shape)), draw(arrays(bool, shape))


def exact(predicted_HW: np.ndarray, drawn_HW: np.ndarray, distance: float) -> tuple[int, int]:
    """The most pairs, and the least sum of whole-number costs among all ways to have so many."""
    one, other = np.argwhere(predicted_HW), np.argwhere(drawn_HW)
    if not len(one) or not len(other):
        return 0, 0
    squares = ((one[:, None] - other[None]) ** 2).sum(axis=-1)
    allowed = squares <= distance * distance
    cost = np.rint(UNITS * np.sqrt(squares))
    rows, columns = linear_sum_assignment(np.where(allowed, cost, 1e9))
    kept = allowed[rows, columns]
    return int(kept.sum()), int(cost[rows, columns][kept].sum())


def ours(predicted_HW: np.ndarray, drawn_HW: np.ndarray, distance: float) -> tuple[int, int]:
    """The same numbers of the assignment itself, after checking that it is one."""
    drawing = prepare(drawn_HW, distance)
    padded_HW = np.pad(predicted_HW, drawing.margin)
    places = np.flatnonzero(padded_HW)
    column_R = matching._assign(places, drawing.column_P, drawing.steps, drawing.costs, drawing.columns)
    taken = column_R[column_R != matching.NOBODY]
    assert len(set(taken.tolist())) == len(taken)
    width = padded_HW.shape[1]
    starts, ends = places[column_R != matching.NOBODY], np.flatnonzero(drawing.column_P != matching.NOBODY)[taken]
    squares = (starts // width - ends // width) ** 2 + (starts % width - ends % width) ** 2
    assert (squares <= distance * distance).all()
    return len(taken), int(np.rint(UNITS * np.sqrt(squares)).sum())


@settings(max_examples=300, deadline=None)
@given(pairs(), DISTANCES)
def test_as_many_as_possible_at_the_least_distance(maps: tuple[np.ndarray, np.ndarray], distance: float) -> None:
    assert ours(*maps, distance) == exact(*maps, distance)


@pytest.mark.parametrize("seed", range(6))
def test_crowded_maps_too(seed: int) -> None:
    generator = np.random.default_rng(seed)
    density = generator.random(2) * 0.6
    maps = [generator.random((40, 50)) < share for share in density]
    assert ours(*maps, 4.337) == exact(*maps, 4.337)


@settings(max_examples=100, deadline=None)
@given(pairs(), DISTANCES)
def test_both_sides_have_equally_many_partners_and_order_does_not_matter(maps: tuple, distance: float) -> None:
    one_HW, other_HW = maps
    first, second = matched(one_HW, prepare(other_HW, distance))
    assert not (first & ~one_HW).any()
    assert not (second & ~other_HW).any()
    assert first.sum() == second.sum() == matched(other_HW, prepare(one_HW, distance))[0].sum()


def test_each_stands_for_one_only() -> None:
    three_HW, one_HW = np.zeros((2, 5, 5), dtype=bool)
    three_HW[2, 1:4] = one_HW[2, 2] = True
    first, second = matched(three_HW, prepare(one_HW, 2.0))
    assert first.sum() == second.sum() == 1
    assert first[2, 2]  # the nearest


def test_a_greedy_choice_is_undone_where_more_can_be_matched() -> None:
    # a is nearest to A, but only a reaches B as well: a-B and b-A are two pairs, a-A is one.
    predicted_HW, drawn_HW = np.zeros((2, 1, 12), dtype=bool)
    predicted_HW[0, [4, 7]] = True  # a, b
    drawn_HW[0, [2, 5]] = True  # B, A
    assert ours(predicted_HW, drawn_HW, 2.0) == (2, 4 * UNITS)


@pytest.mark.parametrize(("distance", "pixels"), [(0, 1), (1, 5), (math.sqrt(2), 9), (2, 13), (4.337, 61)])
def test_the_distance_itself_is_included(distance: float, pixels: int) -> None:
    offsets, costs = disc(distance)
    assert len(offsets) == len(costs) == pixels
    assert (np.diff(costs) >= 0).all()
    assert costs.max() <= UNITS * distance + 0.5


def test_the_same_map_is_matched_whole() -> None:
    map_HW = np.random.default_rng(0).random((30, 30)) < 0.5
    assert ours(map_HW, map_HW, 3.0) == (map_HW.sum(), 0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 2)])
def test_empty_maps_and_tiny_ones_pass(shape: tuple[int, int]) -> None:
    full, empty = np.ones(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for one, other, count in ((full, empty, 0), (empty, full, 0), (empty, empty, 0), (full, full, full.sum())):
        assert matched(one, prepare(other, 4.3))[0].sum() == count


def test_what_can_not_be_matched_is_refused() -> None:
    map_HW = np.ones((3, 3), dtype=bool)
    with pytest.raises(ValueError, match="one size"):
        matched(map_HW, prepare(map_HW[:2], 1.0))
    with pytest.raises(ValueError, match="and bool"):
        prepare(map_HW.astype(float), 1.0)
    for distance in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="distance="):
            prepare(map_HW, distance)
