"""The confusion matrix: rows true, columns answers, every number in its place."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from cnnlab.draw.confusion import NUMBERED, confusion_matrix

COUNTS = torch.tensor([[8, 2, 0], [1, 0, 0], [0, 0, 0]])
NAMES = ["cat", "dog", "emu"]


def numbers(figure: Figure) -> dict[tuple[int, int], str]:
    return {
        (int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in figure.axes[0].texts
    }


def test_colour_is_the_share_of_the_true_class_and_a_class_without_images_has_none() -> None:
    image = confusion_matrix(COUNTS, NAMES).axes[0].images[0]
    np.testing.assert_allclose(image.get_array(), [[0.8, 0.2, 0], [1, 0, 0], [0, 0, 0]])
    assert image.get_clim() == (0, 1)


def test_numbers_are_images_at_row_true_and_column_answer() -> None:
    assert numbers(confusion_matrix(COUNTS, NAMES)) == {(0, 0): "8", (0, 1): "2", (1, 0): "1"}


def test_names_stand_on_both_axes_and_long_ones_are_cut() -> None:
    axis = confusion_matrix(COUNTS, ["cat", "dog", "a very long name of a class"]).axes[0]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["cat", "dog", "a very long nam…"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["cat", "dog", "a very long nam…"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("prediction", "true class")


@pytest.mark.parametrize("classes", [2, NUMBERED, NUMBERED + 1, 61, 100])
def test_any_number_of_classes_renders(classes: int) -> None:
    figure = confusion_matrix(torch.eye(classes, dtype=torch.int64) * 7, [f"class {n}" for n in range(classes)])
    figure.canvas.draw()
    assert len(numbers(figure)) == (classes if classes <= NUMBERED else 0)
    assert figure.get_figwidth() < 14
