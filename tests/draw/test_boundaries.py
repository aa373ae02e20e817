"""The precision-recall figure shows the numbers it is given, and its names do not overlap."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.draw.boundaries import APART, LEVELS, Curve, precision_recall, spread

CURVES = [
    Curve("one", [0.9, 0.5, 0.1], [0.3, 0.6, 0.9], (0.6, 0.55), 0.574),
    Curve("other", [0.8, 0.2], [0.2, 0.7], (0.5, 0.5), 0.5),
]
PUBLISHED = [("Sobel", 0.539), ("HED", 0.788), ("human", 0.803), ("PiDiNet", 0.807)]


def test_each_detector_has_its_curve_and_its_best_point_and_stands_in_the_legend() -> None:
    (axis,) = precision_recall(CURVES, human=(0.7, 0.9)).axes
    drawn = [np.array(line.get_xydata()) for line in axis.lines]
    for curve in CURVES:
        wanted = np.stack([curve.recall, curve.precision], axis=1)
        assert any(line.shape == wanted.shape and np.allclose(line, wanted) for line in drawn)
        assert any(line.shape == (1, 2) and np.allclose(line, [curve.best]) for line in drawn)
    texts = [text.get_text() for text in axis.get_legend().get_texts()]
    assert texts == ["one  F = 0.574", "other  F = 0.500", "human agreement (leave one annotator out)  F = 0.787"]


@pytest.mark.parametrize("f", [*LEVELS, *(f for _, f in PUBLISHED)])
def test_lines_of_equal_f_have_that_f(f: float) -> None:
    (axis,) = precision_recall([], PUBLISHED).axes
    found = [line.get_xydata().T for line in axis.lines if len(line.get_xdata()) == 200]
    means = [2 * recall * precision / (recall + precision) for recall, precision in found]
    (line,) = [number for number, mean in enumerate(means) if np.allclose(mean, f)]
    recall, precision = found[line]
    assert recall[-1] == pytest.approx(1)
    assert precision[0] == pytest.approx(1)


def test_published_names_stand_beside_the_ends_of_their_lines_without_overlapping() -> None:
    figure = precision_recall(CURVES, PUBLISHED)
    figure.canvas.draw()
    texts = [text for text in figure.axes[0].texts if any(text.get_text().startswith(name) for name, _ in PUBLISHED)]
    assert [text.get_text() for text in texts] == [f"{name} {f:.3f}" for name, f in PUBLISHED]
    boxes = sorted((text.get_window_extent() for text in texts), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(boxes))
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_places_are_spread_as_little_as_needed(places: list[float]) -> None:
    found = spread(places, APART)
    order = np.argsort(places, kind="stable")
    gaps = np.diff(np.array(found)[order])
    assert (gaps >= APART - 1e-9).all()
    if len(places) > 1 and (np.diff(np.array(places)[order]) >= APART).all():
        np.testing.assert_allclose(found, places, atol=1e-9)
    assert sum(found) == pytest.approx(sum(places), abs=1e-6)  # none is moved for nothing


def test_nothing_to_draw_and_a_single_point_can_be_drawn() -> None:
    precision_recall([]).canvas.draw()
    figure = precision_recall([Curve("point", [0.5], [0.5], (0.5, 0.5), 0.5)] * 9)
    figure.canvas.draw()
    assert len(figure.axes[0].get_legend().get_texts()) == 9
