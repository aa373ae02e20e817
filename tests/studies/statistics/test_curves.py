"""The area under a learning curve, steps to a threshold, and runs that never get there."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.duration.survfunc import SurvfuncRight

from cnnlab.studies.statistics.curves import Reached, area_under_curve, race, restricted, steps_to, survival

STEPS = [0, 1, 3, 10, 30, 100, 300]


def runs(times: list[float], censored: list[float] = ()) -> list[Reached]:
    return [Reached(float(t), False) for t in times] + [Reached(float(t), True) for t in censored]


# Freireich et al. 1963, Blood 21: weeks in remission under 6-mercaptopurine, the example of most textbooks, such as
# Kleinbaum & Klein 2012, Survival Analysis, table 2.1, from where the shares are.
REMISSION = runs([6, 6, 6, 7, 10, 13, 16, 22, 23], [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35])
SHARES = {6: 0.8571, 7: 0.8067, 10: 0.7529, 13: 0.6902, 16: 0.6275, 22: 0.5378, 23: 0.4482}


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


def test_the_textbooks_remissions() -> None:
    found = survival(REMISSION)
    table = dict(zip(found.steps, found.share, strict=True))
    assert {week: round(table[week], 4) for week in SHARES} == SHARES
    assert found.median == 23
    assert found.horizon == 35


@pytest.mark.parametrize("seed", range(4))
def test_kaplan_meier_is_statsmodels(seed: int) -> None:
    generator = np.random.default_rng(seed)
    step_S, censored_S = generator.integers(1, 20, 30), generator.random(30) < 0.4
    found = survival([Reached(float(t), bool(c)) for t, c in zip(step_S, censored_S, strict=True)])
    expected = SurvfuncRight(step_S.astype(float), ~censored_S)
    table = dict(zip(found.steps, found.share, strict=True))
    for step, share in zip(expected.surv_times, expected.surv_prob, strict=True):
        assert table[step] == pytest.approx(share, abs=1e-12)
    assert found.median == expected.quantile(0.5)


def test_without_censoring_the_restricted_mean_is_the_mean_and_the_median_a_run() -> None:
    found = survival(runs([4, 8, 2, 6]))
    assert (found.mean, found.median) == (5, 4)
    assert survival(runs([4, 8, 2, 6]), horizon=5).mean == (4 + 5 + 2 + 5) / 4
    assert survival(runs([4, 8, 2, 6]), horizon=100).mean == 5


def test_runs_censored_at_the_end_count_as_the_end() -> None:
    times = runs([40, 90], [100, 100])
    found = survival(times)
    assert found.mean == np.mean(restricted(times, 100)) == 82.5
    assert found.median == 90
    never = survival(runs([], [100, 100]))
    assert (never.median, never.mean, never.steps) == (None, 100, ())


def test_an_early_censored_run_raises_the_mean_above_what_was_seen_of_it() -> None:
    assert survival(runs([40, 90], [10])).mean > np.mean([40, 90, 10])


def test_a_run_that_never_arrives_is_later_than_one_that_does() -> None:
    arrived, never, stopped = Reached(50, False), Reached(100, True), Reached(20, True)
    assert race([arrived], [never]).sooner == 1
    assert race([never], [arrived]).later == 1
    assert race([never], [never]).undecided == 1
    assert race([arrived], [arrived]).undecided == 1
    assert race([arrived], [stopped]).undecided == 1  # it might have arrived at step 30
    assert race([arrived], [Reached(50, True)]).sooner == 1


def test_the_sign_test_is_binomial_over_the_decided_seeds() -> None:
    a = runs([1] * 9 + [5]) + runs([], [9, 9])
    b = runs([3] * 9 + [4]) + runs([], [9, 9])
    found = race(a, b)
    assert (found.sooner, found.later, found.undecided) == (9, 1, 2)
    assert found.p == pytest.approx(2 * (1 + 10) / 2**10)
    turned = race(b, a)
    assert (turned.sooner, turned.later, turned.p) == (1, 9, found.p)
    assert math.isnan(race(runs([3]), runs([3])).p)


def test_equal_arms_race_to_false_alarms_at_no_more_than_the_level() -> None:
    generator = np.random.default_rng(0)
    p = []
    for _ in range(800):
        times = generator.exponential(60, (2, 16))
        a, b = ([Reached(min(t, 100), bool(t > 100)) for t in arm] for arm in times)
        p.append(race(a, b).p)
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 800)
    assert np.mean(np.array(p) <= 0.5) > 0.25


def test_the_restricted_mean_agrees_with_the_area_under_scipys_curve() -> None:
    found = survival(REMISSION, horizon=23)
    curve = stats.ecdf(
        stats.CensoredData.right_censored(*zip(*[(r.step, r.censored) for r in REMISSION], strict=True))
    ).sf
    weeks = np.arange(0, 23, 0.01)
    assert found.mean == pytest.approx(float(curve.evaluate(weeks).mean() * 23), abs=0.01)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: area_under_curve([1], [1]), "2 or more steps"),
        (lambda: area_under_curve([1, 2], [1]), "one value each"),
        (lambda: area_under_curve([2, 1], [1, 1]), "must grow"),
        (lambda: area_under_curve([-1, 1], [1, 1]), "from 0 or above"),
        (lambda: steps_to(0.5, [1, 2], [0.1, math.nan]), "not finite"),
        (lambda: survival([]), "no runs"),
        (lambda: race(runs([1]), []), "equally many seeds, got 1 and 0"),
        (lambda: restricted(runs([5], [10]), 20), r"the runs \[1\] were stopped before step 20"),
    ],
)
def test_a_mistake_is_told(call: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
