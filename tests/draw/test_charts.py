"""A chart shows the numbers it is given, in matplotlib and in SVG alike."""

import math
import re

import numpy as np
import pytest

from cnnlab.draw.chart_figures import chart_figure
from cnnlab.draw.chart_svg import frame_of, readings, svg
from cnnlab.draw.charts import Chart, Line, Point, learning_curves, lines_of, plain, x_ticks

LOSS = {"training": [plain(1, 2.0), plain(2, 0.5)], "validation": [plain(1, 2.5), plain(2, 0.7)]}
BANDS = {"sobel": [(0, 0.1, 0.0, 0.2), (9, 0.5, 0.4, 0.6), (99, 0.9, 0.85, 0.95)], "plain": [(0, 0.1, 0.1, 0.1)]}
ROWS = [
    {"epoch": "0", "train/loss": "2.0", "val/loss": "2.5", "train/accuracy": "0.2"},
    {"epoch": "0", "train/step_loss": "3.0"},
    {"epoch": "1", "train/loss": "0.5", "val/loss": "0.7", "train/accuracy": "0.9"},
]
ODD = [
    [],
    [plain(1, 0.5)],
    [plain(1, math.nan), plain(2, 0.0)],
    [plain(1, 1e-9), plain(2, 1e9)],
    [plain(1, 3.0), plain(2, 3.0)],
    [plain(1, -2.0)],
    [(0, math.nan, 0, 0), (1, 1.0, math.nan, math.nan)],
    [(3, 1, 1, 1), (4, 1, 1, 1)],
]


def a_chart(lines: dict[str, list[Point]], **more: object) -> Chart:
    return Chart("loss", "epoch", "loss", lines_of(lines), **more)


def drawn(text: str, kind: str = "line") -> list[list[tuple[float, float]]]:
    """The places of every path of this class."""
    paths = re.findall(rf'class="{kind}[^"]*" d="([^"]*)"', text)
    return [[(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path)] for path in paths]


def test_learning_curves_are_the_numbers_of_the_rows_by_epoch_from_1() -> None:
    loss, accuracy = learning_curves([("run", ROWS)], {"test/accuracy": 0.85, "test/loss": math.nan})
    assert {line.name: [point[:2] for point in line.points] for line in loss.lines} == {
        "training": [(1, 2.0), (2, 0.5)],
        "validation": [(1, 2.5), (2, 0.7)],
    }
    assert [line.name for line in accuracy.lines] == ["training"]
    assert (loss.mark, accuracy.mark) == (None, 0.85)
    assert loss.table() == [(1, [2.0, 2.5]), (2, [0.5, 0.7])]
    assert learning_curves([("run", [{"epoch": "0", "benchmark/ods": "0.7"}])]) == []


def test_several_runs_have_a_colour_each_and_training_is_dashed_also_where_their_names_are_alike() -> None:
    loss, accuracy = learning_curves([("run", ROWS), ("run", ROWS)])
    assert [(line.colour, line.broken) for line in loss.lines] == [(0, "dashed"), (0, ""), (1, "dashed"), (1, "")]
    assert [line.number for line in loss.lines] == [0, 1, 2, 3]
    assert [line.name for line in accuracy.lines] == ["run, training"] * 2


@pytest.mark.parametrize(("lowest", "logarithmic"), [(0.1, True), (0.0, False), (-1.0, False)])
def test_a_loss_has_a_logarithmic_axis_where_it_can(lowest: float, logarithmic: bool) -> None:
    chart = a_chart({"training": [plain(1, 2.0), plain(2, lowest)]}, log_y=True)
    (axis,) = chart_figure([chart]).axes
    assert (axis.get_yscale() == "log") == frame_of(chart).logarithmic == logarithmic


def test_a_figure_has_a_panel_per_chart_and_a_line_with_its_band_per_line() -> None:
    chart = Chart("100 images", "step", "", [*lines_of(BANDS)[:1], Line("plain", BANDS["plain"], 1, 3, "dashed")], True)
    figure = chart_figure([chart, a_chart(LOSS, mark=0.85)], "accuracy")
    figure.canvas.draw()
    banded, bare = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["100 images", "loss"]
    sobel, plain_line = banded.lines
    np.testing.assert_allclose(sobel.get_xydata(), [point[:2] for point in BANDS["sobel"]])
    assert (plain_line.get_linestyle(), plain_line.get_color()) == ("--", "C3")
    corners = banded.collections[0].get_paths()[0].vertices
    for x, _, low, high in BANDS["sobel"]:
        assert {low, high} <= set(corners[corners[:, 0] == x, 1])
    across = banded.transData.transform([[0, 0], [9, 0], [99, 0]])[:, 0]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1])
    for line, points in zip(bare.lines, LOSS.values(), strict=False):
        np.testing.assert_allclose(line.get_xydata(), [point[:2] for point in points])
    assert set(bare.lines[-1].get_ydata()) == {0.85}
    assert [text.get_text() for text in bare.texts] == ["test 0.8500"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["sobel", "plain", "training", "validation"]


@pytest.mark.parametrize("panels", [1, 3])
@pytest.mark.parametrize("arms", [2, 34])
def test_the_names_of_all_lines_are_inside_of_the_figure(arms: int, panels: int) -> None:
    lines = {f"derivatives/permuted@frozen {number}": [(0, 1, 0, 2), (9, 2, 1, 3)] for number in range(arms)}
    figure = chart_figure([Chart(f"{number} images", "step", "", lines_of(lines)) for number in range(panels)])
    figure.canvas.draw()
    (legend,) = figure.legends
    names, whole = legend.get_window_extent(), figure.bbox
    assert len(legend.get_texts()) == arms
    assert whole.x0 <= names.x0
    assert names.x1 <= whole.x1
    assert whole.y0 <= names.y0
    assert all(axis.get_window_extent().height > 100 for axis in figure.axes)


def test_a_drawing_falls_where_its_values_fall_and_ends_at_the_right() -> None:
    text = svg(a_chart({"training": [plain(1, 1.0), plain(2, 0.1), plain(3, 0.01)]}, log_y=True), 6)
    (((x1, y1), (x2, y2), (x3, y3)),) = drawn(text)
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
    assert y2 - y1 == pytest.approx(y3 - y2, abs=0.2)  # equal factors, equal steps
    assert y1 < y3  # y grows down
    assert (x1, x3) == (52, 428)


def test_a_band_lies_about_its_line_and_the_script_gets_the_numbers() -> None:
    chart = Chart("accuracy", "step", "", [Line("sobel", BANDS["sobel"], number=3)], spread=True)
    (line,), (edge,) = drawn(svg(chart, 6)), drawn(svg(chart, 6), "band")
    assert line[1][0] - line[0][0] == pytest.approx(line[2][0] - line[1][0], abs=0.2)  # 1 + step: 1, 10, 100
    for (x, y), (x_low, low), (x_high, high) in zip(line, edge[:3], edge[:2:-1], strict=True):
        assert x == x_low == x_high
        assert low > y > high
    assert 'data-arm="3"' in svg(chart, 6)
    (read,) = readings(chart)
    assert read["arm"] == 3
    assert read["points"][1] == (line[1][0], "9", "0.5 (0.4 to 0.6)")


@pytest.mark.parametrize("points", ODD)
@pytest.mark.parametrize("spread", [True, False])
@pytest.mark.parametrize("log_y", [True, False])
def test_anything_can_be_drawn_inside_of_the_picture(points: list[Point], spread: bool, log_y: bool) -> None:
    chart = a_chart({"training": points}, spread=spread, log_y=log_y, mark=0.5)
    text = svg(chart, 6)
    assert "nan" not in text
    assert all(52 <= x <= 428 and 14 <= y <= 238 for places in drawn(text) for x, y in places)
    places = re.findall(r'<text x="([\d.]+)" y="([\d.]+)"', text)
    assert all(45 <= float(x) <= 428 and 14 <= float(y) <= 280 for x, y in places)
    chart_figure([chart]).canvas.draw()
    chart_figure([]).canvas.draw()


def test_ticks_of_epochs_are_integers_and_a_logarithmic_axis_begins_at_0() -> None:
    for epochs in (2, 3, 7, 30, 200):
        words = [words for _, words in x_ticks(a_chart({"": [plain(e, 0.0) for e in range(1, epochs + 1)]}))]
        assert all(word.isdigit() for word in words), words
        assert len(words) >= 2
    assert x_ticks(Chart("", "", "", lines_of(BANDS), spread=True))[0] == (0, "0")


def test_names_in_a_drawing_are_text() -> None:
    text = svg(Chart("<b>", "<i>", "", lines_of({"<img src=x>": [plain(1, 1.0)]})), 6)
    assert "&lt;b&gt; by &lt;i&gt;. &lt;img src=x&gt;: from 1 to 1" in text
    assert not re.search(r"<(b|i|img)\b", text)
