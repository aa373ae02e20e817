"""Values against annotations."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Optional, Union

import pytest

from cnnlab.cli.values import fits, in_words

CASES = [
    (int, [0, -3], [1.0, "1", True, None, [1]]),
    (float, [0, 1.5, float("inf")], ["1.5", True, None]),
    (bool, [True, False], [0, 1, "true", None]),
    (str, ["", "x"], [1, None, True]),
    (int | None, [None, 3], ["three", 1.5]),
    (Optional[float], [None, 3, 1.5], ["x", True]),  # noqa: UP045
    (Union[int, str], [3, "x"], [None, 1.5]),  # noqa: UP007
    (Sequence[int], [[], [1, 2]], [3, "12", [1.5], ["a"], None]),
    (list[float] | None, [None, [1, 2.5]], [["x"], 2.5]),
    (tuple[float, float], [[1, 2]], [[1], [1, 2, 3], 1]),
    (tuple[int, ...], [[], [1, 2, 3]], [1]),
    (dict[str, int], [{}, {"a": 1}], [[], 3]),
    (Literal["auto", 16], ["auto", 16], ["aut", 32, None]),
    (Path, ["here"], [3]),
    (Any, [None, 3, "x", []], []),
    (Iterable[Any], [[1, "x"]], []),
]


@pytest.mark.parametrize(("wanted", "good", "bad"), CASES, ids=str)
def test_values_fit_or_do_not(wanted: Any, good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if not fits(value, wanted)] == []
    assert [value for value in bad if fits(value, wanted)] == []


def test_what_is_wanted_is_said_in_words() -> None:
    assert in_words(Union[int, float, None]) == "a number or null"  # noqa: UP007
    assert in_words(Literal["a", "b"] | None) == "a or b or null"
    assert in_words(tuple[float, float]) == "a list of 2"
    assert in_words(int | Sequence[int]) == "an integer or a list, each an integer"
