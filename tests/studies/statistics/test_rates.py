"""Which learning rate an arm gets: its own where the seeds confirm it, that of all where they don't."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.studies.arms import read_arm
from cnnlab.studies.plan import Condition, Run, SearchPart
from cnnlab.studies.statistics.rates import choose_rates, expected_accuracy

RATES = (0.3, 1.0, 3.0)


ALL = Condition(None, 1)


def part(lr: float, accuracy: float, loss: float, arm: str = "jet", seed: int = 0) -> tuple[Run, SearchPart]:
    return Run(read_arm("jet"), ALL, seed, lr), {
        "arm": arm, "seed": seed, "lr": lr, "val_accuracy": accuracy, "val_loss": loss, "diverged": None,
        "seconds": 1.0,
    }  # fmt: skip


def parts_of(accuracy: np.ndarray, arms: list[str]) -> list[tuple[Run, SearchPart]]:
    return [
        part(lr, value, 1.0, arm, seed)
        for arm, table in zip(arms, accuracy, strict=True)
        for lr, line in zip(RATES, table, strict=True)
        for seed, value in enumerate(line)
    ]


def test_one_seed_and_one_arm_choose_by_the_mean_and_among_equals_by_the_loss() -> None:
    rows = [part(0.1, 0.8, 1), part(0.1, 0.8, 1, seed=1), part(0.3, 1.0, 1), part(0.3, 0.5, 1, seed=1)]
    assert choose_rates(rows) == {("jet", ALL): (0.1, 0.8)}
    rows = [part(0.1, 0.7, 0.9, "pca"), part(0.3, 0.7, 0.5, "pca"), part(1, 0.7, float("nan"), "pca")]
    rows += [part(0.1, 0.7, 0.4), part(0.3, 0.6, 0.4), part(1, 0.5, 0.4)]
    assert choose_rates(rows) == {("pca", ALL): (0.3, 0.7), ("jet", ALL): (0.1, 0.7)}


def test_a_lucky_seed_gives_no_arm_a_rate_of_its_own() -> None:
    """Thirty arms that are one and the same, at rates of which the last is as good and far noisier."""
    noise = np.random.default_rng(0).normal(size=(30, 3, 2)) * np.array([0.003, 0.003, 0.03])[:, None]
    accuracy = np.array([0.92, 0.95, 0.94])[:, None] + noise
    by_mean = accuracy.mean(axis=2).argmax(axis=1)
    assert (by_mean == 2).sum() >= 5  # the luck is there
    chosen = choose_rates(parts_of(accuracy, [str(number) for number in range(30)]))
    assert {lr for lr, _ in chosen.values()} == {1.0}


def test_an_arm_that_differs_gets_its_own_rate() -> None:
    noise = np.random.default_rng(1).normal(size=(12, 3, 3)) * 0.004
    accuracy = np.array([0.90, 0.95, 0.91])[:, None] + noise
    accuracy[7] = np.array([0.97, 0.90, 0.85])[:, None] + noise[7]
    chosen = choose_rates(parts_of(accuracy, [str(number) for number in range(12)]))
    assert {arm for (arm, _), (lr, _) in chosen.items() if lr != 1.0} == {"7"}
    assert chosen["7", ALL] == (0.3, pytest.approx(accuracy[7, 0].mean()))


def test_what_diverged_is_not_chosen_and_what_is_missing_is_not_invented() -> None:
    accuracy = np.array([[[0.8, 0.8], [0.9, 0.9], [np.nan, 0.1]], [[0.7, 0.7], [0.8, 0.8], [0.1, 0.1]]])
    rows = parts_of(accuracy, ["jet", "pca"])
    assert {lr for lr, _ in choose_rates(rows).values()} == {1.0}
    left = [(run, part) for run, part in rows if part["lr"] != 1.0 or part["arm"] != "pca"]
    assert choose_rates(left) == {("jet", ALL): (1.0, 0.9), ("pca", ALL): (0.3, pytest.approx(0.7))}
    assert choose_rates(rows[:1]) == {("jet", ALL): (0.3, 0.8)}


def test_choosing_so_is_better_than_by_the_mean() -> None:
    """The law behind it: the accuracy on new seeds at the chosen rate, over many tables drawn from the model."""
    draw = np.random.default_rng(2)
    gain = []
    for _ in range(200):
        truth = np.array([0.93, 0.95, 0.945]) + draw.normal(size=(12, 3)) * 0.004
        seen = truth[:, :, None] + draw.normal(size=(12, 3, 2)) * np.array([0.005, 0.005, 0.02])[:, None]
        ours, theirs = expected_accuracy(seen).argmax(axis=1), seen.mean(axis=2).argmax(axis=1)
        gain.append((truth[range(12), ours] - truth[range(12), theirs]).mean())
    assert np.mean(gain) > 4 * np.std(gain) / len(gain) ** 0.5


@given(st.integers(2, 6), st.integers(2, 4), st.integers(2, 4), st.integers(0, 99))
def test_what_a_seed_does_to_all_changes_nothing(arms: int, rates: int, seeds: int, number: int) -> None:
    draw = np.random.default_rng(number)
    accuracy = draw.normal(size=(arms, rates, seeds))
    shift = draw.normal(size=(1, 1, seeds))
    moved = expected_accuracy(accuracy + shift) - shift.mean()
    np.testing.assert_allclose(moved, expected_accuracy(accuracy), atol=1e-12)


@given(st.integers(2, 6), st.integers(2, 4), st.integers(0, 99))
def test_neither_the_order_of_arms_nor_that_of_rates_counts(arms: int, rates: int, number: int) -> None:
    draw = np.random.default_rng(number)
    accuracy = draw.normal(size=(arms, rates, 3)) * draw.uniform(0.1, 3, (1, rates, 1))
    rows, columns = draw.permutation(arms), draw.permutation(rates)
    there = expected_accuracy(accuracy[rows][:, columns])
    np.testing.assert_allclose(there, expected_accuracy(accuracy)[rows][:, columns], atol=1e-12)


def test_without_noise_it_is_the_mean() -> None:
    means = np.random.default_rng(3).normal(size=(5, 3))
    np.testing.assert_array_equal(expected_accuracy(np.repeat(means[:, :, None], 2, axis=2)), means)
    faint = means[:, :, None] + np.random.default_rng(4).normal(size=(5, 3, 3)) * 1e-4
    np.testing.assert_allclose(expected_accuracy(faint), means, atol=1e-3)
