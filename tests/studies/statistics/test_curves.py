"""The area under a learning curve, steps to a threshold, and runs that never get there."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight

from cnnlab.studies.statistics.curves import Reached, area_under_curve, median_steps, steps_to

STEPS = [0, 1, 3, 10, 30, 100, 300]


def runs(times: list[float], censored: list[float] = ()) -> list[Reached]:
    return [Reached(float(t), False) for t in times] + [Reached(float(t), True) for t in censored]


@given(st.floats(-1, 1), st.floats(0.1, 3), st.floats(-1, 1))
def test_the_area_is_linear_in_the_curve_and_a_flat_curve_has_its_height(
    height: float, factor: float, other: float
) -> None:
    curve = np.sqrt(np.arange(len(STEPS)))
    assert area_under_curve(STEPS, [height] * len(STEPS)) == pytest.approx(height)
    assert area_under_curve(STEPS, factor * curve + other) == pytest.approx(
        factor * area_under_curve(STEPS, curve) + other
    )


def test_the_area_of_a_line_over_the_logarithm_is_its_middle() -> None:
    steps = np.expm1(np.linspace(0, 5, 11))
    assert area_under_curve(steps, np.linspace(0, 1, 11)) == pytest.approx(0.5)
    assert area_under_curve([0, 9, 99], [0.0, 0.0, 1.0]) == pytest.approx(0.25)  # a decade each, worked by hand


def test_the_start_counts() -> None:
    early, late = [0.1, 0.5, 0.8, 0.9, 0.9, 0.9, 0.9], [0.1, 0.1, 0.2, 0.5, 0.9, 0.9, 0.9]
    gap = area_under_curve(STEPS, early) - area_under_curve(STEPS, late)
    on_the_steps = np.mean(np.interp(range(301), STEPS, early) - np.interp(range(301), STEPS, late))
    assert gap > 5 * on_the_steps > 0


def test_a_threshold_is_reached_at_the_first_step_seen_at_it_or_above() -> None:
    curve = [0.1, 0.4, 0.9, 0.85, 0.95, 0.9, 0.97]
    assert steps_to(0.9, STEPS, curve) == Reached(3, False)
    assert steps_to(0.05, STEPS, curve) == Reached(0, False)
    assert steps_to(0.96, STEPS, curve) == Reached(300, False)
    assert steps_to(0.99, STEPS, curve) == Reached(300, True)


@given(st.lists(st.floats(0, 1), min_size=7, max_size=7), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_is_never_reached_sooner(curve: list[float], one: float, other: float) -> None:
    low, high = (steps_to(threshold, STEPS, curve) for threshold in sorted((one, other)))
    assert (low.censored, low.step) <= (high.censored, high.step)


def test_the_median_is_the_step_by_which_half_of_the_runs_have_arrived() -> None:
    assert median_steps(runs([4, 8, 2, 6])) == 4
    assert median_steps(runs([4, 8, 2])) == 4
    assert median_steps(runs([40, 90], [100, 100])) == 90
    assert median_steps(runs([40], [100, 100])) is None
    assert median_steps([]) is None


@pytest.mark.parametrize("seed", range(4))
def test_the_median_is_that_of_kaplan_and_meier(seed: int) -> None:
    step_S = np.random.default_rng(seed).integers(1, 20, 31)
    expected = SurvfuncRight(np.minimum(step_S, 12).astype(float), step_S < 12)
    ours = median_steps([Reached(float(min(step, 12)), bool(step >= 12)) for step in step_S])
    assert (math.nan if ours is None else ours) == pytest.approx(expected.quantile(0.5), nan_ok=True)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: area_under_curve([1], [1]), "2 or more steps"),
        (lambda: area_under_curve([1, 2], [1]), "one value each"),
        (lambda: area_under_curve([2, 1], [1, 1]), "must grow"),
        (lambda: area_under_curve([-1, 1], [1, 1]), "from 0 or above"),
        (lambda: steps_to(0.5, [1, 2], [0.1, math.nan]), "not finite"),
    ],
)
def test_a_mistake_is_told(call: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
