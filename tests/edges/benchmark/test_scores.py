"""ODS, OIS, AP and R50 on curves that can be worked out by hand."""

import numpy as np
import pytest

from cnnlab.edges.benchmark.bootstrap import SCORES, draws, interval, resampled
from cnnlab.edges.benchmark.counts import Counts
from cnnlab.edges.benchmark.scores import average_precision, best, f_measure, recall_at_half, summarise


def counts(hits: list[int], predicted: list[int], found: list[int], drawn: int) -> Counts:
    return Counts(*(np.array(column) for column in (hits, predicted, found, [drawn] * len(hits))))


EASY = counts([8, 2], [10, 2], [8, 2], 10)  # P 0.8, 1; R 0.8, 0.2; F 0.8, 1/3
HARD = counts([2, 1], [40, 1], [2, 1], 10)  # P 0.05, 1; R 0.2, 0.1; F 0.08, 2/11


def test_counts_are_added_up_before_precision_and_recall_are_taken() -> None:
    scores = summarise([EASY, HARD])
    np.testing.assert_allclose(scores.precision_T, [10 / 50, 3 / 3])
    np.testing.assert_allclose(scores.recall_T, [10 / 20, 3 / 20])
    np.testing.assert_allclose(scores.thresholds_T, [1 / 3, 2 / 3])


def test_ois_takes_each_image_at_its_own_best_threshold() -> None:
    scores = summarise([EASY, HARD])
    precision, recall = (8 + 1) / (10 + 1), (8 + 1) / 20
    assert scores.ois == pytest.approx((2 * precision * recall / (precision + recall), precision, recall, None))


def test_the_best_point_lies_between_two_thresholds_on_the_straight_line() -> None:
    # From (R, P) = (1, 0) to (0, 1) the best F is 1/2 in the middle; at both ends it is 0.
    point = best(np.array([0.0, 1.0]), np.array([1.0, 0.0]), np.array([0.2, 0.4]))
    assert point.f == pytest.approx(0.5, abs=1e-4)
    assert point.threshold == pytest.approx(0.3, abs=0.002)
    # Of F(s) between (R, P) = (0.8, 0.4) and (0.4, 0.9), tried at 100,000 places by plain arithmetic:
    share = np.linspace(0, 1, 100_001)
    precision, recall = 0.4 + 0.5 * share, 0.8 - 0.4 * share
    expected = (2 * precision * recall / (precision + recall)).max()
    found = best(np.array([0.4, 0.9]), np.array([0.8, 0.4]), np.array([0.5, 0.6])).f
    assert found == pytest.approx(expected, abs=2e-5)
    assert found > max(f_measure(np.array([0.4, 0.9]), np.array([0.8, 0.4]))) + 0.01


def test_ods_is_never_below_any_threshold_and_ois_of_one_image_is_its_best_threshold() -> None:
    scores = summarise([EASY])
    assert scores.ods.f == pytest.approx(0.8)
    assert scores.ois.f == pytest.approx(0.8)
    both = summarise([EASY, HARD])
    assert both.ods.f >= f_measure(both.precision_T, both.recall_T).max()


def test_ap_counts_recall_that_is_not_reached_as_nothing() -> None:
    # Precision 1 from recall 0.2 to 0.6: 41 of the levels 0, 0.01 ... 1.
    assert average_precision(np.array([1.0, 1.0]), np.array([0.6, 0.2])) == pytest.approx(0.41)
    # From (0, 1) to (1, 0) the mean is a half: 101 levels with a mean of 0.5, a hundredth each.
    assert average_precision(np.array([0.0, 1.0]), np.array([1.0, 0.0])) == pytest.approx(0.505)
    assert average_precision(np.array([0.7]), np.array([0.5])) == pytest.approx(0.007)
    assert average_precision(np.array([0.7]), np.array([0.505])) == 0


def test_ap_takes_the_lowest_threshold_of_those_with_one_recall() -> None:
    precision, recall = np.array([0.5, 0.9, 1.0]), np.array([0.5, 0.5, 0.0])
    assert average_precision(precision, recall) == pytest.approx(sum(1 - level / 100 for level in range(51)) / 100)


def test_r50_is_the_largest_recall_at_half_precision() -> None:
    assert recall_at_half(np.array([0.4, 0.6, 1.0]), np.array([0.9, 0.7, 0.1])) == pytest.approx(0.8)
    assert recall_at_half(np.array([0.6, 1.0]), np.array([0.7, 0.1])) == pytest.approx(0.7)
    assert recall_at_half(np.array([0.1, 0.4]), np.array([0.9, 0.7])) == 0


def test_a_detector_that_finds_nothing_scores_nothing() -> None:
    scores = summarise([counts([0, 0], [0, 0], [0, 0], 10)])
    assert (scores.ods.f, scores.ois.f, scores.ap, scores.r50) == (0, 0, 0, 0)
    assert summarise([counts([0], [0], [0], 0)]).ods.f == 0  # and nobody drew anything


def test_a_perfect_detector_scores_one() -> None:
    scores = summarise([counts([10, 10], [10, 10], [50, 50], 50)] * 3)
    assert (scores.ods.f, scores.ois.f, scores.r50) == (1, 1, 1)


def random_images(number: int, seed: int) -> list[Counts]:
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        predicted = np.sort(generator.integers(1, 1000, 99))[::-1]
        hits = np.floor(predicted * generator.uniform(0.2, 0.6) * np.linspace(0.5, 1.5, 99)).astype(int)
        found.append(Counts(hits, predicted, hits, np.full(99, 1000)))
    return found


def test_a_resample_of_every_image_once_has_the_scores_themselves() -> None:
    images = random_images(7, 0)
    scores, once = summarise(images), resampled(images, np.ones((3, 7), dtype=int))
    for name, value in zip(SCORES, (scores.ods.f, scores.ois.f, scores.ap, scores.r50), strict=True):
        np.testing.assert_allclose(once[name], value, rtol=1e-12)


def test_a_resample_has_the_scores_of_its_images() -> None:
    images = random_images(5, 1)
    draws_BI = draws(5, 120, seed=3)
    assert (draws_BI.sum(axis=1) == 5).all()
    found = resampled(images, draws_BI)
    for row in (0, 57, 119):
        chosen = [image for image, times in zip(images, draws_BI[row], strict=True) for _ in range(times)]
        scores = summarise(chosen)
        assert [found[name][row] for name in SCORES] == pytest.approx(
            [scores.ods.f, scores.ois.f, scores.ap, scores.r50]
        )


def test_the_interval_of_a_mean_is_that_of_the_textbook() -> None:
    # With as many drawn as predicted, precision = recall = F = a mean over images, whose interval is known.
    values = np.random.default_rng(0).integers(0, 1000, 400)
    images = [counts([int(value)], [1000], [int(value)], 1000) for value in values]
    low, high = interval(resampled(images, draws(400, 4000, seed=0))["ods"])
    half = 1.96 * values.std() / np.sqrt(400) / 1000
    assert (low, high) == pytest.approx((values.mean() / 1000 - half, values.mean() / 1000 + half), abs=0.1 * half)


def test_the_same_seed_draws_the_same_images() -> None:
    np.testing.assert_array_equal(draws(20, 5, seed=0), draws(20, 5, seed=0))
    assert (draws(20, 5, seed=0) != draws(20, 5, seed=1)).any()
    with pytest.raises(ValueError, match="images"):
        resampled([EASY], draws(2, 3, seed=0))
