"""Learning curves show the numbers they are given."""

import numpy as np
import pytest

from cnnlab.draw.curves import learning_curves

LOSS = {"training": [(1, 2.0), (2, 0.5)], "validation": [(1, 2.5), (2, 0.7)]}
ACCURACY = {"training": [(1, 0.2), (2, 0.9)]}


def test_one_panel_a_quantity_and_one_line_a_series() -> None:
    figure = learning_curves({"loss": LOSS, "accuracy": ACCURACY}, {"accuracy": 0.85})
    loss, accuracy = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["loss", "accuracy"]
    drawn = {line.get_label(): line.get_xydata() for line in loss.lines}
    assert drawn.keys() == LOSS.keys()
    for name, points in LOSS.items():
        np.testing.assert_allclose(drawn[name], points)
    curve, mark = accuracy.lines
    np.testing.assert_allclose(curve.get_xydata(), ACCURACY["training"])
    assert set(mark.get_ydata()) == {0.85}
    assert [text.get_text() for text in accuracy.get_legend().get_texts()] == ["training", "test 0.8500"]


@pytest.mark.parametrize(("lowest", "scale"), [(0.1, "log"), (0.0, "linear"), (-1.0, "linear")])
def test_a_loss_has_a_logarithmic_axis_where_it_can(lowest: float, scale: str) -> None:
    (axis,) = learning_curves({"loss": {"training": [(1, 2.0), (2, lowest)]}}).axes
    assert axis.get_yscale() == scale


def test_an_accuracy_has_a_linear_axis() -> None:
    (axis,) = learning_curves({"accuracy": ACCURACY}).axes
    assert axis.get_yscale() == "linear"


def test_epochs_are_whole_numbers() -> None:
    figure = learning_curves({"loss": LOSS})
    figure.canvas.draw()
    ticks = figure.axes[0].get_xticks()
    assert all(tick == round(tick) for tick in ticks)


@pytest.mark.parametrize("panels", [{"loss": {}}, {"loss": {"training": [(1, 2.0)]}}, {"loss": {}, "accuracy": {}}])
def test_little_or_nothing_can_be_drawn(panels: dict) -> None:
    figure = learning_curves(panels)
    figure.canvas.draw()
    assert len(figure.axes) == len(panels)
