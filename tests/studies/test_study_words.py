"""The words follow the interval."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.studies.statistics.contrasts import contrasts, family_p
from cnnlab.studies.statistics.curves import Race
from cnnlab.studies.statistics.paired import Difference, holm, paired_difference
from cnnlab.studies.words import p_words, race_words, verdict

ONE = Difference(1.2, 0.4, 2.0, 0.01, 0.01, 16, 1.5, 0.95, "BCa")


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
    with pytest.raises(ValueError, match="'higher' or 'lower', got 'more'"):
        verdict(ONE, better="more")


def test_an_interval_that_does_not_outlast_the_correction_says_so() -> None:
    assert verdict(ONE, corrected_p=0.02) == verdict(ONE)
    assert verdict(ONE, corrected_p=0.18).endswith("but not after correction for the number of comparisons (p = 0.18)")


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


def test_the_words_of_a_race() -> None:
    assert race_words(Race(13, 2, 1, 0.0074), "90 %") == (
        "reaches 90 % sooner in 13 of 16 seeds, later in 2, undecided in 1 (p = 0.007)"
    )
    assert (
        race_words(Race(0, 0, 16, math.nan), "99 %") == "which reaches 99 % first can't be told in any of the 16 seeds"
    )


def test_p_is_never_written_as_nothing() -> None:
    assert [p_words(p) for p in (1.0, 0.0995, 0.05, 1e-9, math.nan)] == [
        "p = 1.00", "p = 0.10", "p = 0.050", "p < 0.001", "no test",
    ]  # fmt: skip


def rows() -> list[dict]:
    """Two arms and a reference at two sizes; the value grows with the seed, which all arms share."""
    lift = {"reference": 0.0, "sobel": 0.02, "shuffled": 0.0}
    return [
        {"arm": arm, "seed": seed, "train_size": size, "accuracy": 0.5 + 0.01 * seed + lift[arm] * (100 / size)}
        for size in (100, 400)
        for arm in lift
        for seed in range(8)
    ]


def test_every_pair_is_compared_under_every_condition_with_what_the_seeds_share_gone() -> None:
    found = contrasts(rows(), [("sobel", "reference"), ("shuffled", "reference")], "accuracy", factor=100)
    assert [(one.arm, dict(one.condition)["train_size"]) for one in found] == [
        ("sobel", 100), ("shuffled", 100), ("sobel", 400), ("shuffled", 400),
    ]  # fmt: skip
    assert [one.difference.mean for one in found] == pytest.approx([2, 0, 0.5, 0])
    assert found[0].difference.sd == pytest.approx(0, abs=1e-9)
    assert [one.corrected_p for one in found] == holm([one.difference.p for one in found])


def test_a_seed_counts_where_both_arms_have_it() -> None:
    some = [row for row in rows() if not (row["arm"] == "sobel" and row["seed"] > 4)]
    some[0] = {**some[0], "accuracy": math.nan}
    some[1] = {**some[1], "accuracy": None}
    found = contrasts(some, [("sobel", "reference")], "accuracy")
    assert [one.difference.n for one in found] == [3, 5]
    apart = [row for row in rows() if (row["seed"] < 4) == (row["arm"] == "sobel")]
    assert contrasts(apart, [("sobel", "reference")], "accuracy") == []


@pytest.mark.parametrize(
    ("pair", "quantity", "words"),
    [
        (("sobl", "reference"), "accuracy", "no arm 'sobl' in the study: did you mean 'sobel'"),
        (("sobel", "reference"), "acuracy", "no column 'acuracy' in the study: did you mean 'accuracy'"),
    ],
)
def test_an_unknown_name_is_told(pair: tuple[str, str], quantity: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        contrasts(rows(), [pair], quantity)


def test_two_runs_of_one_seed_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="two runs of 'reference', seed 0"):
        contrasts([*rows(), rows()[0]], [("sobel", "reference")], "accuracy")


@pytest.mark.parametrize(("seeds", "student"), [(6, True), (8, True), (16, False)])
def test_a_large_difference_outlasts_the_correction_however_few_seeds(seeds: int, student: bool) -> None:
    generator = np.random.default_rng(0)
    rows = []
    for number in range(12):
        for seed in range(seeds):
            shared = generator.normal()
            rows.append({"arm": "a", "seed": seed, "train_size": number, "x": shared + 9 + generator.normal(0, 0.1)})
            rows.append({"arm": "b", "seed": seed, "train_size": number, "x": shared + generator.normal(0, 0.1)})
    found = contrasts(rows, [("a", "b")], "x")
    assert max(one.corrected_p for one in found) < 0.05
    started = family_p([one.difference for one in found])
    assert started == [one.difference.p_t if student else one.difference.p for one in found]
    # Without an effect it makes no more false alarms than it should.
    alarms = 0
    for _ in range(300):
        drawn = [paired_difference(generator.normal(size=seeds), [0.0] * seeds, resamples=99) for _ in range(10)]
        alarms += min(holm(family_p(drawn))) <= 0.05
    assert alarms <= 30  # 5 % of 300, and four standard deviations
