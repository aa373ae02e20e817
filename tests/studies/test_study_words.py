"""The words follow the interval."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.studies.rows import cells_of
from cnnlab.studies.statistics.contrasts import contrasts, family_p
from cnnlab.studies.statistics.paired import Difference, holm, paired_difference
from cnnlab.studies.words import p_words, verdict

ONE = Difference(1.2, 0.4, 2.0, 0.01, 0.01, 16, 1.5)


def interval(low: float, high: float) -> Difference:
    return replace(ONE, mean=(low + high) / 2, low=low, high=high)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.4, 2.0, "better by 1.2 points (0.4 to 2.0)"),
        (-2.0, -0.4, "worse by 1.2 points (0.4 to 2.0)"),
        (-0.52, 0.3, "no difference larger than 0.6 points"),
        (-0.2, 0.6, "no difference larger than 0.6 points"),
        (-0.4, 2.1, "undecided: between 0.4 points worse and 2.1 points better"),
        (-0.02, 0.01, "no difference larger than 0.02 points"),
        (0.01, 0.8, "better by 0.41 points (0.01 to 0.80)"),
        (2.0, 22.0, "better by 12.0 points (2.0 to 22.0)"),
    ],
)
def test_the_verdict_of_an_interval(low: float, high: float, words: str) -> None:
    assert verdict(interval(low, high)) == words


def test_the_verdict_of_less_than_an_interval() -> None:
    assert verdict(paired_difference([0.9] * 16, [0.9] * 16).times(100)) == "the same in all 16 seeds"
    assert (
        verdict(paired_difference([0.9], [0.85]).times(100)) == "+5.0 points in the only seed: nothing to judge it by"
    )
    assert verdict(paired_difference([0.91] * 4, [0.9] * 4).times(100)).startswith(
        "better by 1.00 points (1.00 to 1.00)"
    )


def test_lower_values_can_be_better_and_another_size_can_matter() -> None:
    assert verdict(ONE, "steps", better="lower") == "worse by 1.2 steps (0.4 to 2.0)"
    assert verdict(interval(-3, 2), relevant=5) == "no difference larger than 3.0 points"
    assert verdict(interval(-30, 2), relevant=None) == "no difference larger than 30.0 points"


def test_an_interval_that_is_not_significant_after_correction_says_so() -> None:
    assert verdict(ONE, corrected_p=0.02) == verdict(ONE)
    assert verdict(ONE, corrected_p=0.18).endswith(
        "but not significant after correction for the number of comparisons (p = 0.18)"
    )


@given(st.floats(-20, 20), st.floats(0.001, 20))
def test_no_words_claim_more_than_the_interval_or_deny_an_effect(low: float, width: float) -> None:
    found = interval(low, low + width)
    words = verdict(found)
    assert "no effect" not in words
    assert ("better by" in words) == (found.low > 0)
    assert ("worse by" in words) == (found.high < 0)
    if "larger than" in words:
        bound = float(re.search(r"larger than ([\d.]+) points", words)[1])
        assert max(-found.low, found.high) <= bound + 1e-9
        assert bound <= max(-found.low, found.high) + 0.1


@given(st.floats(0.001, 20), st.floats(0.001, 20))
def test_turning_the_arms_round_turns_the_words_round(low: float, width: float) -> None:
    swapped = verdict(interval(low, low + width).times(-1))
    assert swapped == verdict(interval(low, low + width)).replace("better", "worse")


def test_p_is_never_written_as_nothing() -> None:
    assert [p_words(p) for p in (1.0, 0.0995, 0.05, 1e-9, math.nan)] == [
        "p = 1.00", "p = 0.10", "p = 0.050", "p < 0.001", "no test",
    ]  # fmt: skip


def cells() -> dict[tuple[str, str], dict[int, float]]:
    """Two arms and a reference at two sizes; the value grows with the seed, which all arms share."""
    lift = {"reference": 0.0, "sobel": 0.02, "shuffled": 0.0}
    return {
        (arm, f"{size} images"): {seed: 50 + seed + lift[arm] * 100 * (100 / size) for seed in range(8)}
        for size in (100, 400)
        for arm in lift
    }


def test_every_pair_is_compared_under_every_condition_with_what_the_seeds_share_gone() -> None:
    found = contrasts(cells(), [("sobel", "reference"), ("shuffled", "reference")])
    assert [(one.arm, one.condition) for one in found] == [
        ("sobel", "100 images"), ("shuffled", "100 images"), ("sobel", "400 images"), ("shuffled", "400 images"),
    ]  # fmt: skip
    assert [one.difference.mean for one in found] == pytest.approx([2, 0, 0.5, 0])
    assert found[0].difference.sd == pytest.approx(0, abs=1e-9)
    assert [one.corrected_p for one in found] == holm([one.difference.p for one in found])


def test_a_seed_counts_where_both_arms_have_it() -> None:
    some = cells()
    some["sobel", "400 images"] = dict.fromkeys((0, 1, 7), 1.0)
    del some["reference", "100 images"][0]
    assert [one.difference.n for one in contrasts(some, [("sobel", "reference")])] == [7, 3]
    some["reference", "400 images"] = {3: 1.0}
    assert [one.condition for one in contrasts(some, [("sobel", "reference")])] == ["100 images"]


def test_cells_hold_what_was_measured() -> None:
    row = {"arm": "jet", "condition": "all images", "corruptions": {"corrupted": 0.5, "corrupted/contrast/3": 0.25}}
    rows = [{**row, "seed": 0, "accuracy": 0.9}, {**row, "seed": 1, "accuracy": math.nan}, {**row, "seed": 2}]
    assert cells_of(rows, "accuracy", 100) == {("jet", "all images"): {0: 90.0}}
    assert cells_of(rows, "corrupted/contrast/3") == {("jet", "all images"): {0: 0.25, 1: 0.25, 2: 0.25}}
    assert cells_of(rows, "corrupted/fog") == {}


@pytest.mark.parametrize(("seeds", "student"), [(6, True), (8, True), (16, False)])
def test_a_large_difference_is_significant_after_correction_however_few_seeds(seeds: int, student: bool) -> None:
    generator = np.random.default_rng(0)
    some: dict[tuple[str, str], dict[int, float]] = {}
    for number in range(12):
        for seed in range(seeds):
            shared = generator.normal()
            some.setdefault(("a", str(number)), {})[seed] = shared + 9 + generator.normal(0, 0.1)
            some.setdefault(("b", str(number)), {})[seed] = shared + generator.normal(0, 0.1)
    found = contrasts(some, [("a", "b")])
    assert max(one.corrected_p for one in found) < 0.05
    started = family_p([one.difference for one in found])
    assert started == [one.difference.p_t if student else one.difference.p for one in found]
    # Without an effect it makes no more false positives than it should.
    positives = 0
    for _ in range(300):
        drawn = [paired_difference(generator.normal(size=seeds), [0.0] * seeds, resamples=99) for _ in range(10)]
        positives += min(holm(family_p(drawn))) <= 0.05
    assert positives <= 30  # 5 % of 300, and four standard deviations
