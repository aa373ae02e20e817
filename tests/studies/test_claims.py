"""Hypotheses: what the rows say of a claim follows the interval and its correction."""

from typing import Any

import numpy as np
import pytest

from cnnlab.studies.claims import Claim, Hypothesis, judge, read_hypotheses

SIZES = (50, "all")


def rows(shift: dict[str, float], seeds: int = 16, spread: float = 0.002) -> list[dict[str, Any]]:
    """An arm's accuracy is that of its seed, plus its shift, plus a little noise of its own."""
    generator = np.random.default_rng(0)
    found = []
    for size in SIZES:
        for seed in range(seeds):
            shared = generator.normal(0.9, 0.02)
            for arm, more in shift.items():
                value = shared + more + generator.normal(0, spread)
                found.append({"arm": arm, "seed": seed, "condition": f"{size} images", "train_size": size,
                              "accuracy": value, "steps": 100 * value, "approach": more, "lr": 0.1,
                              "corruptions": {}})  # fmt: skip
    return found


def claim(expect: str, quantity: str = "accuracy", control: str | None = "b", within: float = 1.0) -> Hypothesis:
    return Hypothesis("so it is", (Claim("a", control, quantity, expect, within, None),))


@pytest.mark.parametrize(
    ("shift", "expect", "state"),
    [
        (0.02, "better", "supported"),
        (0.02, "worse", "refuted"),
        (0.02, "same", "refuted"),
        (-0.02, "worse", "supported"),
        (-0.02, "better", "refuted"),
        (0.0, "same", "supported"),
        (0.0, "better", "undecided"),
        (0.01, "same", "undecided"),
    ],
)
def test_a_claim_about_accuracy(shift: float, expect: str, state: str) -> None:
    said, found = judge(claim(expect), rows({"a": shift, "b": 0.0}))
    assert found == state, said
    assert "50 images" in said
    assert "all images" in said


def test_fewer_steps_are_better() -> None:
    data = rows({"a": -0.02, "b": 0.0})
    assert judge(claim("better", "steps"), data)[1] == "supported"
    assert judge(claim("worse", "steps"), data)[1] == "refuted"


def test_a_claim_may_be_about_one_arm_alone_and_about_some_sizes() -> None:
    data = [row | {"approach": row["approach"] + 0.01 * row["seed"]} for row in rows({"a": 0.3, "b": 0.0})]
    assert judge(claim("better", "approach", None), data)[1] == "supported"
    one = Hypothesis("", (Claim("a", "b", "accuracy", "better", 1.0, ("50",)),))
    assert "all images" not in judge(one, data)[0]


def test_every_claim_has_to_hold_and_one_that_fails_refutes() -> None:
    data = rows({"a": 0.02, "b": 0.0})
    parts = [claim(expect).claims[0] for expect in ("better", "same")]
    assert judge(Hypothesis("", tuple(parts)), data)[1] == "refuted"


def test_an_interval_that_excludes_0_but_is_not_significant_after_correction_supports_nothing() -> None:
    generator = np.random.default_rng(3)
    data = []
    for number in range(40):
        for seed in range(8):
            # One of forty comparisons is off 0 by chance; its p is 2/256 at the least, times 40 above 0.05.
            difference = abs(generator.normal(0.01, 0.001)) if number == 0 else generator.normal(0, 0.01)
            for arm, value in (("a", difference), ("b", 0.0)):
                data.append(
                    {
                        "arm": arm,
                        "seed": seed,
                        "condition": str(number),
                        "train_size": number,
                        "accuracy": value,
                        "lr": 0.1,
                        "corruptions": {},
                    }
                )
    said, state = judge(Hypothesis("", (Claim("a", "b", "accuracy", "better", 1, None),)), data)
    assert state != "supported"
    assert "not significant after correction" in said


def test_arms_that_were_given_different_learning_rates_are_told_of() -> None:
    data = [row | {"lr": 0.1 if row["arm"] == "a" else 0.3} for row in rows({"a": 0.02, "b": 0.0})]
    assert judge(claim("better"), data)[0].count("(learning rates 0.1 and 0.3)") == 2
    assert "learning rates" not in judge(claim("better"), rows({"a": 0.02, "b": 0.0}))[0]


def test_one_seed_decides_nothing_and_no_rows_neither() -> None:
    assert judge(claim("better"), rows({"a": 0.02, "b": 0.0}, seeds=1))[1] == "undecided"
    assert judge(claim("better", "corrupted/contrast"), rows({"a": 0.0, "b": 0.0}))[1] == "undecided"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"text": "x"}, "text and claims"),
        ({"text": "x", "claims": [{"arm": "a", "quantity": "accuracy"}]}, "lacks its expect"),
        ({"text": "x", "claims": [{"arm": "c", "quantity": "accuracy", "expect": "same"}]}, "unknown arm 'c'"),
        ({"text": "x", "claims": [{"arm": "a", "quantity": "acuracy", "expect": "same"}]}, "did you mean 'accuracy'"),
        ({"text": "x", "claims": [{"arm": "a", "quantity": "steps", "expect": "bigger"}]}, "valid: better"),
        (
            {"text": "x", "claims": [{"arm": "a", "quantity": "steps", "expect": "same", "sizes": [7]}]},
            "unknown size '7'",
        ),
        ({"text": "x", "claims": [{"arm": "a", "quantity": "steps", "expect": "same", "size": [50]}]}, "'sizes'"),
    ],
)
def test_a_mistake_is_told(given: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_hypotheses([given], ["a", "b"], SIZES)
