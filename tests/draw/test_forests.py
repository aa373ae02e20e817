"""A forest shows every interval where it lies."""

import math
from collections.abc import Sequence

import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from cnnlab.draw.forests import Compared, Forest, axis_of, forest_figure

ROWS = [("sobel", 1.2, 0.4, 2.0, True), ("shuffled", -0.2, -0.8, 0.4, False), ("frozen", -3.0, -4.0, -2.0, True)]


def forest(rows: Sequence[tuple[str, float, float, float, bool]], *conditions: str, better: str = "higher") -> Forest:
    found = [
        Compared(name, "plain", condition, mean, low, high, 16, "", low > 0 or high < 0, holds)
        for condition in conditions or ("",)
        for name, mean, low, high, holds in rows
    ]
    return Forest("accuracy", "points", 1.0, better, "", found)


def axis_about(ends: list[float], relevant: float) -> object:
    rows = [Compared("a", "b", "", end, end, end, 1, "", True, True) for end in ends]
    return axis_of(Forest("accuracy", "points", relevant, "higher", "", rows))


def bars(axis: Axes) -> dict[int, tuple[float, float]]:
    drawn = [line for line in axis.lines if line.get_linewidth() == 2]
    return {int(line.get_ydata()[0]): tuple(line.get_xdata()) for line in drawn}


def dots(axis: Axes) -> dict[int, object]:
    return {int(line.get_ydata()[0]): line for line in axis.lines if line.get_marker() == "o"}


def test_every_interval_lies_on_its_line_from_low_to_high_with_its_mean() -> None:
    figure = forest_figure(forest(ROWS, "100 images", "all"))
    figure.canvas.draw()
    first, second = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["100 images", "all"]
    names = ["sobel against plain", "shuffled against plain", "frozen against plain"]
    assert [text.get_text() for text in first.get_yticklabels()] == names
    assert bars(first) == bars(second) == {0: (0.4, 2.0), 1: (-0.8, 0.4), 2: (-4.0, -2.0)}
    assert {line: float(dot.get_xdata()[0]) for line, dot in dots(first).items()} == {0: 1.2, 1: -0.2, 2: -3.0}
    assert first.get_ylim()[0] > first.get_ylim()[1], "the first on top"


def test_the_colour_follows_the_interval_and_the_fill_the_correction() -> None:
    (axis,) = forest_figure(forest(ROWS)).axes
    blue, grey, red = (dots(axis)[line].get_color() for line in range(3))
    assert len({blue, grey, red}) == 3
    assert dots(axis)[0].get_markerfacecolor() == blue
    assert to_hex(dots(axis)[1].get_markerfacecolor()) == "#ffffff"
    (turned,) = forest_figure(forest(ROWS, better="lower")).axes
    assert [dots(turned)[line].get_color() for line in range(3)] == [red, grey, blue]


def test_one_seed_is_a_dot_without_a_bar_and_none_is_nothing() -> None:
    rows = [("one", 0.5, math.nan, math.nan, False), ("none", math.nan, math.nan, math.nan, False)]
    figure = forest_figure(forest(rows))
    figure.canvas.draw()
    assert set(dots(figure.axes[0])) == {0}
    assert bars(figure.axes[0]) == {}
    forest_figure(forest([])).canvas.draw()


@pytest.mark.parametrize("ends", [[], [0.0], [math.nan], [-1e-9, 1e-9], [5, 6], [-1e6, 3]])
def test_any_axis_holds_zero_and_ticks_in_order(ends: list[float]) -> None:
    axis = axis_about(ends, 1.0)
    assert axis.low < -0.99 < 0.99 < axis.high
    assert [place for place, _ in axis.ticks] == sorted(place for place, _ in axis.ticks)
    assert all(0 <= place <= 100 for place, _ in axis.ticks)
    assert "0" in [words for _, words in axis.ticks]


@pytest.mark.parametrize("ends", [[], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 5.0], [math.nan], [-3.0, 0.0, 0.0]])
def test_an_axis_has_a_width_also_where_no_difference_matters_and_most_are_0(ends: list[float]) -> None:
    axis = axis_about(ends, 0.0)
    assert axis.low < axis.high
    assert all(axis.low <= end <= axis.high for end in ends if math.isfinite(end))
    assert axis.ticks
