"""Which learning rate each arm gets from the search."""

from collections.abc import Sequence

import numpy as np

from cnnlab.studies.plan import Condition, Run, SearchPart

Rates = dict[tuple[str, Condition], tuple[float, float]]


def choose_rates(parts: Sequence[tuple[Run, SearchPart]]) -> Rates:
    """(arm, condition) -> the learning rate that promises the most, and the arm's mean validation accuracy at it.

    parts: the runs of the search, under one condition the same seeds and rates for every arm; a run may be missing. Of
    equals the lower mean loss, NaN being the highest.
    """
    chosen: Rates = {}
    for condition in dict.fromkeys(run.condition for run, _ in parts):
        chosen |= _choose([part for run, part in parts if run.condition == condition], condition)
    return chosen


def _choose(parts: Sequence[SearchPart], condition: Condition) -> Rates:
    arms = list(dict.fromkeys(part["arm"] for part in parts))
    rates = list(dict.fromkeys(part["lr"] for part in parts))
    seeds = list(dict.fromkeys(part["seed"] for part in parts))
    accuracy, loss = np.full((2, len(arms), len(rates), len(seeds)), np.nan)
    for part in parts:
        place = arms.index(part["arm"]), rates.index(part["lr"]), seeds.index(part["seed"])
        accuracy[place] = np.nan_to_num(part["val_accuracy"])
        loss[place] = np.nan_to_num(part["val_loss"], nan=np.inf)
    means = _means(accuracy)
    expected = means if np.isnan(accuracy).any() else expected_accuracy(accuracy)
    expected = expected.round(12)  # so that rounding doesn't decide between equals
    best = [np.lexsort((mean, -promise))[0] for promise, mean in zip(expected, _means(loss), strict=True)]
    return {(arm, condition): (rates[one], float(mean[one])) for arm, one, mean in zip(arms, best, means, strict=True)}


def _means(values: np.ndarray) -> np.ndarray:
    """Over the seeds that are there; -inf without one."""
    there = ~np.isnan(values)
    total, count = np.where(there, values, 0).sum(axis=2), there.sum(axis=2)
    return np.where(count > 0, total / np.maximum(count, 1), -np.inf)


def expected_accuracy(accuracy: np.ndarray) -> np.ndarray:
    """What an arm can be expected to reach at a rate on new seeds: (arms, rates, seeds) -> (arms, rates).

    The best of a few noisy means is often a lucky one. So an arm's mean at a rate is taken apart: what all arms reach
    there, how much better this arm is at all rates, and the rest, which alone would give it a rate of its own. Of
    the rest counts the fraction that the seeds confirm, var / (var + noise): noise is the variance of a mean over seeds
    at that rate, without what a seed does to all arms; var that of the true rests, by moments (DerSimonian & Laird
    1986, Controlled Clinical Trials 7:177). It is the posterior mean under normal priors (Efron & Morris 1973, JASA
    68:117). Where nothing is confirmed, all arms get the rate that is best for all. With one seed, or one arm, or
    no noise it is the plain mean.
    """
    means = accuracy.mean(axis=2)
    arms, rates, seeds = accuracy.shape
    if min(arms, rates, seeds) < 2:
        return means
    noise = (accuracy - accuracy.mean(axis=0)).var(axis=2, ddof=1).sum(axis=0) / (arms - 1) / seeds
    if not noise.any():
        return means
    noise = np.maximum(noise, 1e-12 * noise.max())
    weight = (1 / noise) / (1 / noise).sum()
    over_all = means - means.mean(axis=0)
    better = (over_all * weight).sum(axis=1, keepdims=True)
    rest = over_all - better
    seen = (rest**2).sum(axis=0) / (arms - 1)
    by_noise = noise - (1 / noise).sum() ** -1
    by_var = 1 - 2 * weight + (weight**2).sum()
    var = max(((seen - by_noise) * weight).sum() / (by_var * weight).sum(), 0.0)
    return means.mean(axis=0) + better + var / (var + noise) * rest
