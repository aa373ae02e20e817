"""Which runs a study has, how they are grouped, and how a learning rate is chosen."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.studies.arms import read_arm
from cnnlab.studies.plan import (
    SEARCH_SEEDS,
    Condition,
    condition_words,
    read_conditions,
    read_seeds,
    run_groups,
    search_groups,
)

ARMS = [read_arm(text) for text in ("kaiming", "jet", "jet/permuted")]


def test_every_arm_meets_every_seed_under_every_condition_once() -> None:
    conditions = read_conditions([50, "all"], {50: 3, "all": 2}, None)
    groups = run_groups(ARMS, conditions, [0, 1, 5], {}, 4)
    runs = [(run.arm.name, run.condition.train_size, run.seed) for group in groups for run in group.runs]
    assert len(runs) == len(set(runs)) == 3 * 2 * 3
    assert len({group.name for group in groups}) == len(groups)
    for group in groups:
        assert len({run.condition for run in group.runs}) == 1


@given(st.integers(1, 40), st.integers(1, 12))
def test_groups_hold_at_most_so_many_and_nearly_equally_many(seeds: int, at_once: int) -> None:
    groups = run_groups(ARMS, [Condition(None, 1)], range(seeds), {}, at_once)
    sizes = [len(group.runs) for group in groups]
    assert max(sizes) <= at_once
    assert max(sizes) - min(sizes) <= 1
    order = [run.seed for group in groups for run in group.runs]
    assert all(a <= b for a, b in pairwise(order))  # one seed's arms lie together


def test_the_search_is_the_same_for_every_arm_and_on_other_seeds() -> None:
    groups = search_groups(ARMS, [Condition(50, 2)], [0.1, 0.3], 2, 100)
    seen: dict[str, list] = {}
    for run in groups[0].runs:
        seen.setdefault(run.arm.name, []).append((run.seed, run.lr))
    assert len({tuple(sorted(one)) for one in seen.values()}) == 1
    assert {seed for seed, _ in seen["jet"]} == {SEARCH_SEEDS, SEARCH_SEEDS + 1}
    with pytest.raises(ValueError, match="not an integer"):
        read_seeds([SEARCH_SEEDS])


def test_conditions_are_told_apart_by_what_differs() -> None:
    plain = read_conditions([50, "all"], {50: 3, "all": 2}, None)
    assert list(condition_words(plain).values()) == ["50 images", "all images"]
    crossed = read_conditions([1000], [2, 4], [0.1, 0.2])
    assert list(condition_words(crossed).values()) == [
        "1,000 images, 2 epochs, lr 0.1", "1,000 images, 2 epochs, lr 0.2",
        "1,000 images, 4 epochs, lr 0.1", "1,000 images, 4 epochs, lr 0.2",
    ]  # fmt: skip


@pytest.mark.parametrize("seeds", [0, -1, [], "all", [0, 0], [-1], [True], 1.5, 5000])
def test_seeds_that_cannot_be(seeds: Any) -> None:
    with pytest.raises(ValueError, match="seed"):
        read_seeds(seeds)


@pytest.mark.parametrize(
    ("sizes", "epochs", "words"),
    [
        ([], 1, "train_sizes"),
        ([0], 1, "train_sizes"),
        (["some"], 1, "neither a number"),
        ([50], 0, "epochs"),
        ([50], {"all": 2}, "none for train_sizes 50"),
        ([50, 50], 1, "given twice"),
        ([50], [2, 2], "given twice"),
    ],
)
def test_conditions_that_cannot_be(sizes: Any, epochs: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_conditions(sizes, epochs, None)
