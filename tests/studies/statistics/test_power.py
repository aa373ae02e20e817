"""Power against statsmodels, published numbers and simulation."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from cnnlab.studies.statistics.power import minimum_detectable, power_of, seeds_needed, spread_interval


@settings(max_examples=40, deadline=None)
@given(st.floats(0.1, 3), st.integers(3, 200), st.floats(0.001, 0.2))
def test_the_power_is_that_of_statsmodels(size: float, seeds: int, alpha: float) -> None:
    expected = TTestPower().power(size, seeds, alpha)
    assume(math.isfinite(expected))  # its far tail is NaN for large effects
    assert power_of(seeds, size, 1.0, alpha) == pytest.approx(expected, abs=3e-7)


@pytest.mark.parametrize(
    ("size", "power", "alpha"), [(0.2, 0.8, 0.05), (0.5, 0.9, 0.01), (1.3, 0.8, 0.05), (0.8, 0.95, 0.05)]
)
def test_the_seeds_are_those_of_statsmodels_rounded_up(size: float, power: float, alpha: float) -> None:
    expected = TTestPower().solve_power(effect_size=size, power=power, alpha=alpha)
    assert seeds_needed(1.0, size, power, alpha) == math.ceil(expected)


def test_a_published_example() -> None:
    # UCLA, "Power analysis for paired sample t-test, G*Power data analysis examples": a mean difference of 5 with a
    # standard deviation of 5 needs 10 pairs for a power of 0.8, which then is 0.803.
    assert seeds_needed(5.0, 5.0) == 10
    assert power_of(10, 5.0, 5.0) == pytest.approx(0.803, abs=5e-4)


def test_simulated_studies_find_the_effect_as_often_as_the_power_says() -> None:
    seeds = seeds_needed(2.0, 1.5)
    values = np.random.default_rng(0).normal(1.5, 2.0, (4000, seeds))
    found = np.mean(stats.ttest_1samp(values, 0, axis=1).pvalue <= 0.05)
    assert found == pytest.approx(power_of(seeds, 1.5, 2.0), abs=3 * math.sqrt(0.16 / 4000))
    assert found > 0.78


@given(st.floats(0.01, 50), st.floats(0.1, 10))
@settings(max_examples=30, deadline=None)
def test_one_seed_less_would_not_do_and_only_the_ratio_counts(sd: float, difference: float) -> None:
    seeds = seeds_needed(sd, difference)
    assert power_of(seeds, difference, sd) >= 0.8
    assert seeds == 2 or power_of(seeds - 1, difference, sd) < 0.8
    assert seeds_needed(2 * sd, -2 * difference) == seeds


@pytest.mark.parametrize("seeds", [2, 3, 8, 16, 500])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 18])
def test_the_smallest_difference_seen_has_just_the_power_asked_for(seeds: int, alpha: float) -> None:
    difference = minimum_detectable(seeds, 0.7, alpha=alpha)
    assert power_of(seeds, difference, 0.7, alpha) == pytest.approx(0.8, abs=1e-6)
    assert minimum_detectable(2 * seeds, 0.7, alpha=alpha) < difference


def test_without_spread_two_seeds_suffice_and_a_tiny_effect_needs_too_many() -> None:
    assert seeds_needed(0.0, 1.0) == 2
    assert minimum_detectable(16, 0.0) == 0
    assert minimum_detectable(1, 1.0) == math.inf
    assert seeds_needed(1.0, 1e-9) is None
    assert power_of(16, 1e6, 1.0) == 1.0


def test_the_spread_of_16_seeds_lies_within_74_and_155_percent() -> None:
    # Factors sqrt(15 / 27.488) and sqrt(15 / 6.262), chi-square quantiles as in any table with 15 degrees of freedom.
    low, high = spread_interval(1.0, 16)
    assert (low, high) == pytest.approx((math.sqrt(15 / 27.488), math.sqrt(15 / 6.262)), abs=1e-4)
    sds = np.random.default_rng(1).normal(size=(3000, 16)).std(axis=1, ddof=1)
    inside = np.mean([spread_interval(sd, 16)[0] <= 1 <= spread_interval(sd, 16)[1] for sd in sds])
    assert inside == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 3000))
    assert spread_interval(1.0, 1) == (0.0, math.inf)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sd": -1, "difference": 1}, "spread must be finite"),
        ({"sd": math.nan, "difference": 1}, "spread must be finite"),
        ({"sd": 1, "difference": 0}, "not 0"),
        ({"sd": 1, "difference": 1, "power": 80}, "power must be between 0 and 1, got 80"),
        ({"sd": 1, "difference": 1, "power": 0.01}, "without any effect"),
    ],
)
def test_a_mistake_is_told(arguments: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        seeds_needed(**arguments)
