"""Laws of the paired comparison: coverage, false alarms, and agreement with other programs. S seeds."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from cnnlab.studies.statistics.paired import EXACT, holm, paired_difference, sign_flip_p, smallest_p

numbers = st.floats(-50, 50).map(lambda x: round(x, 3))
pairs = st.lists(st.tuples(numbers, numbers), min_size=2, max_size=9)


def draw(shape: str, size: tuple[int, ...], seed: int) -> np.ndarray:
    """Values with mean 0: as accuracies of 360 images, normal, or skewed."""
    generator = np.random.default_rng(seed)
    if shape == "skewed":
        return generator.gamma(4, size=size) - 4
    values = generator.normal(size=size)
    return np.round(values * 3.6) / 3.6 if shape == "counts" else values


@pytest.mark.parametrize(
    ("shape", "seeds"), [("normal", 16), ("normal", 8), ("counts", 16), ("skewed", 16), ("normal", 4)]
)
def test_a_95_percent_interval_holds_the_truth_in_95_percent_of_studies(shape: str, seeds: int) -> None:
    studies = 600
    inside = 0
    for number, values_S in enumerate(draw(shape, (studies, seeds), seed=seeds)):
        found = paired_difference(values_S, np.zeros(seeds), seed=number, resamples=999)
        inside += found.low <= 0 <= found.high
    # Three standard errors of a share of 0.95; the skewed values are allowed what every interval loses on them.
    room = 3 * math.sqrt(0.95 * 0.05 / studies) + (0.02 if shape == "skewed" else 0)
    assert 0.95 - room <= inside / studies <= 0.95 + 3 * math.sqrt(0.95 * 0.05 / studies)


def test_without_widening_the_interval_would_not() -> None:
    values = draw("normal", (600, 8), seed=8)
    plain = stats.bootstrap((values,), np.mean, axis=1, n_resamples=999, rng=np.random.default_rng(0))
    inside = (plain.confidence_interval.low <= 0) & (plain.confidence_interval.high >= 0)
    assert inside.mean() < 0.95 - 3 * math.sqrt(0.95 * 0.05 / 600)


@pytest.mark.parametrize("seeds", [8, 16])
def test_a_level_of_5_percent_gives_5_percent_of_false_alarms(seeds: int) -> None:
    studies = 1500 if seeds == 8 else 700
    p = np.array([sign_flip_p(values_S) for values_S in draw("normal", (studies, seeds), seed=1)])
    # Of 2^8 patterns 12 have p <= 0.047: an exact test has the level that its steps allow.
    level = math.floor(0.05 * 2 ** (seeds - 1)) / 2 ** (seeds - 1)
    assert np.mean(p <= 0.05) == pytest.approx(level, abs=3 * math.sqrt(0.05 * 0.95 / studies))
    assert np.mean(p <= 0.5) == pytest.approx(0.5, abs=3 * math.sqrt(0.25 / studies))


@pytest.mark.parametrize("seeds", [2, 5, 9, 12])
def test_the_sign_flip_test_is_scipys_permutation_test(seeds: int) -> None:
    for seed in range(4):
        a_S = np.round(np.random.default_rng(seed).normal(0.5, 1, seeds), 1)  # with ties
        expected = stats.permutation_test(
            (a_S,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True
        )
        assert sign_flip_p(a_S) == pytest.approx(expected.pvalue)


def test_darwins_maize_has_fishers_p() -> None:
    # Darwin 1876; Fisher 1935, section 21: 863 of the 32768 patterns have a sum as large as 314 on one side.
    difference_S = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48])
    assert sign_flip_p(difference_S) == pytest.approx(2 * 863 / 32768)
    found = paired_difference(difference_S, np.zeros(15))
    assert found.mean == pytest.approx(314 / 15)
    assert found.p_t == pytest.approx(0.0497, abs=1e-4)


def test_beyond_the_exact_range_signs_are_drawn_and_agree() -> None:
    values_S = np.random.default_rng(0).normal(0.3, 1, EXACT + 1)
    drawn, t = sign_flip_p(values_S), stats.ttest_1samp(values_S, 0).pvalue
    assert drawn == pytest.approx(t, abs=0.03)
    assert drawn == sign_flip_p(values_S)
    assert sign_flip_p(values_S + 10) == pytest.approx(smallest_p(EXACT + 1))


@pytest.mark.parametrize("seeds", range(2, 12))
def test_the_smallest_p_is_that_of_seeds_which_all_agree(seeds: int) -> None:
    assert sign_flip_p(np.arange(1.0, seeds + 1)) == smallest_p(seeds)


@settings(max_examples=15, deadline=None)
@given(pairs, numbers)
def test_swapping_the_arms_turns_the_sign_and_what_both_share_does_not_count(values: list, both: float) -> None:
    a_S, b_S = np.array(values).T
    one = paired_difference(a_S, b_S, resamples=199)
    swapped = paired_difference(b_S, a_S, resamples=199)
    shifted = paired_difference(a_S + both, b_S + both, resamples=199)
    assert (swapped.mean, swapped.p) == pytest.approx((-one.mean, one.p))
    assert (shifted.mean, shifted.p) == pytest.approx((one.mean, one.p), abs=1e-9)
    assert (shifted.low, shifted.high) == pytest.approx((one.low, one.high), abs=1e-6)
    assert one.low <= one.mean + 1e-9
    assert one.mean <= one.high + 1e-9


def test_the_interval_moves_with_the_difference_and_grows_with_its_unit() -> None:
    a_S = np.random.default_rng(3).normal(0.9, 0.01, 16)
    one, higher = paired_difference(a_S, np.zeros(16)), paired_difference(a_S + 0.05, np.zeros(16))
    assert (higher.low, higher.high) == pytest.approx((one.low + 0.05, one.high + 0.05))
    points = one.times(100)
    assert (points.mean, points.low, points.sd) == pytest.approx((100 * one.mean, 100 * one.low, 100 * one.sd))
    turned = one.times(-1)
    assert (turned.low, turned.high, turned.p) == pytest.approx((-one.high, -one.low, one.p))


def test_a_wider_confidence_has_a_wider_interval_and_more_seeds_a_narrower() -> None:
    a_S = np.random.default_rng(0).normal(size=64)
    widths = [
        found.high - found.low
        for found in (
            paired_difference(a_S[:n], np.zeros(n), level) for n, level in ((64, 0.8), (64, 0.95), (12, 0.95))
        )
    ]
    assert widths == sorted(widths)


@pytest.mark.parametrize("seeds", [16, 40])
def test_the_interval_of_normal_differences_is_near_students(seeds: int) -> None:
    a_S = np.random.default_rng(5).normal(size=seeds)
    found = paired_difference(a_S, np.zeros(seeds))
    expected = stats.ttest_1samp(a_S, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.12 * (found.high - found.low))


@pytest.mark.parametrize("value", [0.0, 0.1, -2.0])
@pytest.mark.parametrize("seeds", [2, 5, 16])
def test_equal_differences_have_an_interval_of_one_point_and_no_warning(value: float, seeds: int) -> None:
    a_S = np.linspace(0.1, 0.7, seeds)
    found = paired_difference(a_S + value, a_S)
    assert (found.low, found.high) == pytest.approx((value, value))
    assert math.isnan(found.p_t)
    assert found.p == (1.0 if value == 0 else smallest_p(seeds))


def test_nearly_equal_differences_have_an_interval_too() -> None:
    found = paired_difference([1.0] * 15 + [1.0 + 1 / 360], [0.0] * 16)
    assert 1 <= found.low <= found.mean <= found.high
    assert math.isfinite(found.high)


def test_few_seeds_have_students_interval_and_one_has_none() -> None:
    found = paired_difference([1.0, 2.0, 4.0], [0.0, 0.0, 0.0])
    expected = stats.ttest_1samp([1.0, 2.0, 4.0], 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    single = paired_difference([0.9], [0.8])
    assert single.mean == pytest.approx(0.1)
    assert all(math.isnan(value) for value in (single.low, single.high, single.p, single.p_t, single.sd))


@pytest.mark.parametrize("number", [1, 2, 7, 18])
def test_holms_correction_is_that_of_statsmodels(number: int) -> None:
    p_values = np.round(np.random.default_rng(number).beta(0.3, 2, number), 2).tolist()  # small ones, with ties
    expected = multipletests(p_values, method="holm")[1]
    np.testing.assert_allclose(holm(p_values), expected, atol=1e-12)
    np.testing.assert_allclose(holm([*p_values, math.nan]), [*expected, math.nan], atol=1e-12)


def test_holm_keeps_false_alarms_among_many_at_5_percent() -> None:
    p = np.random.default_rng(0).uniform(size=(2000, 18))
    alarms = np.mean([min(holm(row)) <= 0.05 for row in p])
    assert alarms == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 2000))


def test_holms_order_is_kept() -> None:
    p_values = [0.04, 0.001, 0.2, 0.01]
    assert holm(p_values) == pytest.approx([0.08, 0.004, 0.2, 0.03])
    for order in itertools.permutations(range(4)):
        assert holm([p_values[i] for i in order]) == pytest.approx([holm(p_values)[i] for i in order])


@pytest.mark.parametrize(
    ("a_S", "b_S", "further", "words"),
    [
        ([1.0], [1.0, 2.0], {}, "one value per seed"),
        ([], [], {}, "one value per seed"),
        ([1.0, math.nan, 2.0], [1.0, 1.0, math.inf], {}, r"at the places \[1, 2\]"),
        ([1.0, 2.0], [1.0, 1.0], {"confidence": 95}, "between 0 and 1, got 95"),
    ],
)
def test_a_mistake_is_told(a_S: list, b_S: list, further: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        paired_difference(a_S, b_S, **further)
