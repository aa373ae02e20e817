"""The picture of a search."""

import pytest

from cnnlab.draw.search import search_history


def test_the_trials_are_drawn_in_order_with_the_best_so_far() -> None:
    options = {"lr": [0.1, 0.01, 1.0], "model": ["a", "b", "a"]}
    figure = search_history([0.5, 0.4, 0.9], options, ["lr"], {"lr": 0.75})
    history, rate, model = figure.axes
    trials, best = history.get_lines()
    assert list(trials.get_ydata()) == [0.5, 0.4, 0.9]
    assert list(best.get_ydata()) == [0.5, 0.5, 0.9]
    assert rate.get_xscale() == "log"
    assert rate.get_title() == "lr, importance 0.75"
    assert list(rate.get_lines()[1].get_xdata()) == [1.0]  # the best one has a ring
    assert [tick.get_text() for tick in model.get_xticklabels()] == ["a", "b"]


def test_no_scores_are_no_picture() -> None:
    with pytest.raises(ValueError, match="no scores"):
        search_history([], {}, [], {})
