"""The pictures of a study show the numbers they are given."""

import math

import numpy as np
import pytest
from matplotlib.colors import to_hex

from cnnlab.draw.intervals import bands_figure, forest_figure

ROWS = [("sobel", 1.2, 0.4, 2.0, True), ("shuffled", -0.2, -0.8, 0.4, False), ("frozen", -3.0, -4.0, -2.0, True)]
LINES = {"sobel": [(0, 0.1, 0.0, 0.2), (9, 0.5, 0.4, 0.6), (99, 0.9, 0.85, 0.95)], "plain": [(0, 0.1, 0.1, 0.1)]}


def bars(axis: object) -> dict[int, tuple[float, float]]:
    drawn = [line for line in axis.lines if line.get_linewidth() == 2]
    return {int(line.get_ydata()[0]): tuple(line.get_xdata()) for line in drawn}


def dots(axis: object) -> dict[int, object]:
    return {int(line.get_ydata()[0]): line for line in axis.lines if line.get_marker() == "o"}


def test_every_interval_lies_on_its_line_from_low_to_high_with_its_mean() -> None:
    figure = forest_figure({"100 images": ROWS, "all": ROWS[:2]})
    figure.canvas.draw()
    first, second = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["100 images", "all"]
    assert [text.get_text() for text in first.get_yticklabels()] == ["sobel", "shuffled", "frozen"]
    assert bars(first) == {0: (0.4, 2.0), 1: (-0.8, 0.4), 2: (-4.0, -2.0)}
    assert {line: float(dot.get_xdata()[0]) for line, dot in dots(first).items()} == {0: 1.2, 1: -0.2, 2: -3.0}
    assert set(bars(second)) == {0, 1}
    assert first.get_ylim()[0] > first.get_ylim()[1], "the first on top"


def test_the_colour_follows_the_interval_and_the_fill_the_correction() -> None:
    (axis,) = forest_figure({"": ROWS}).axes
    blue, grey, red = (dots(axis)[line].get_color() for line in range(3))
    assert len({blue, grey, red}) == 3
    assert dots(axis)[0].get_markerfacecolor() == blue
    assert to_hex(dots(axis)[1].get_markerfacecolor()) == "#ffffff"
    (turned,) = forest_figure({"": ROWS}, better="lower").axes
    assert [dots(turned)[line].get_color() for line in range(3)] == [red, grey, blue]


def test_one_seed_is_a_dot_without_a_bar_and_none_is_nothing() -> None:
    rows = [("one", 0.5, math.nan, math.nan, False), ("none", math.nan, math.nan, math.nan, False)]
    figure = forest_figure({"": rows})
    figure.canvas.draw()
    assert set(dots(figure.axes[0])) == {0}
    assert bars(figure.axes[0]) == {}


def test_a_line_and_its_band_hold_the_points() -> None:
    figure = bands_figure({"100 images": LINES}, "step", "accuracy", spread=True, styles={"plain": (3, "--")})
    figure.canvas.draw()
    (axis,) = figure.axes
    sobel, plain = axis.lines
    np.testing.assert_allclose(sobel.get_xydata(), [point[:2] for point in LINES["sobel"]])
    assert (plain.get_linestyle(), plain.get_color()) == ("--", "C3")
    corners = axis.collections[0].get_paths()[0].vertices
    for x, _, low, high in LINES["sobel"]:
        assert {low, high} <= set(corners[corners[:, 0] == x, 1])
    across = axis.transData.transform([[0, 0], [9, 0], [99, 0]])[:, 0]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["sobel", "plain"]
    assert list(axis.get_xticks()) == [0, 1, 10]


@pytest.mark.parametrize("panels", [{}, {"a": {}}, {"a": {"sobel": []}}, {"a": {"sobel": [(100, 1, 1, 1)]}, "b": {}}])
@pytest.mark.parametrize("spread", [True, False])
def test_little_or_nothing_can_be_drawn(panels: dict, spread: bool) -> None:
    bands_figure(panels, "step", spread=spread).canvas.draw()
    forest_figure({title: [] for title in panels}).canvas.draw()


@pytest.mark.parametrize("panels", [1, 3])
@pytest.mark.parametrize("arms", [2, 34])
def test_the_names_of_all_arms_are_inside_of_the_picture(arms: int, panels: int) -> None:
    lines = {f"derivatives/permuted@frozen {number}": [(0, 1, 0, 2), (9, 2, 1, 3)] for number in range(arms)}
    figure = bands_figure({f"{number} images": lines for number in range(panels)}, "step")
    figure.canvas.draw()
    (legend,) = figure.legends
    names, whole = legend.get_window_extent(), figure.bbox
    assert len(legend.get_texts()) == arms
    assert whole.x0 <= names.x0
    assert names.x1 <= whole.x1
    assert whole.y0 <= names.y0
    assert all(axis.get_window_extent().height > 100 for axis in figure.axes)
