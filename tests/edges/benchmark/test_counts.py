"""Counts add up, go through JSON unchanged, and refuse what can't be counts."""

import json
from typing import Any

import numpy as np
import pytest

from cnnlab.edges.benchmark.counts import Counts, stacked

ONE = Counts(*np.array([[3, 1], [4, 1], [6, 2], [9, 9]]))


def test_they_go_through_json_unchanged() -> None:
    again = Counts.of(json.loads(json.dumps(ONE.plain())))
    for name in ("hits_T", "predicted_T", "found_T", "drawn_T"):
        np.testing.assert_array_equal(getattr(again, name), getattr(ONE, name))


@pytest.mark.parametrize(
    "change",
    [
        {"hits_T": [5, 1]},  # more than were predicted
        {"found_T": [10, 2]},
        {"hits_T": [-1, 0]},
        {"hits_T": [1]},
        {"hits_T": [0.5, 1.0]},
        {"hits_T": 3},
        {"others": [1, 2]},
    ],
)
def test_what_can_not_be_counts_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no counts"):
        Counts.of(ONE.plain() | change)


@pytest.mark.parametrize("content", [None, [], {}, "text", {"hits_T": [1]}])
def test_other_json_is_refused(content: Any) -> None:
    with pytest.raises(ValueError, match="no counts"):
        Counts.of(content)


def test_images_are_stacked_in_the_order_hits_predicted_found_drawn() -> None:
    np.testing.assert_array_equal(stacked([ONE, ONE])[1], [[3, 1], [4, 1], [6, 2], [9, 9]])


def test_images_with_other_thresholds_do_not_go_together() -> None:
    with pytest.raises(ValueError, match=r"\[1, 2\]"):
        stacked([ONE, Counts(*np.ones((4, 1), dtype=int))])
    with pytest.raises(ValueError, match="no image"):
        stacked([])
