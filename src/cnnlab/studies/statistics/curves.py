"""Learning curves as numbers: the area under one, the steps to a threshold, and how to compare those. S seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import ArrayLike
from scipy import integrate, stats

from cnnlab._choices import UsageError


@dataclass(frozen=True)
class Reached:
    """The step at which a curve first reached a threshold; if it never did (`censored`) the last step it was seen."""

    step: float
    censored: bool


@dataclass(frozen=True)
class Survival:
    """Kaplan-Meier: `share` of the runs that had not yet reached the threshold just after each of `steps`.

    median  the first step by which half of the runs have reached it; None if they never did
    mean    restricted to `horizon`: the mean of the steps, a run that needs longer counted as the horizon
    """

    steps: tuple[float, ...]
    share: tuple[float, ...]
    median: float | None
    mean: float
    horizon: float


@dataclass(frozen=True)
class Race:
    """Seed by seed, which arm was there first: `p` is that of the sign test over `sooner` + `later` seeds.

    `undecided`: both at the same step, both never, or one of them stopped before the other arrived.
    """

    sooner: int
    later: int
    undecided: int
    p: float


def area_under_curve(steps: ArrayLike, values: ArrayLike) -> float:
    """The mean height of the curve over log(1 + step): in the unit of the values, and at most the highest of them.

    Over the steps themselves the long plateau at the end would drown the start, which is what this number is for; on
    this axis the steps from 10 to 100 count as much as those from 100 to 1000. So it is in the AutoDL challenge (Liu et
    al. 2021, IEEE TPAMI 43(9), with their t0 = 1 step) and, over labels, in the active learning challenge (Guyon et al.
    2011, JMLR W&CP 16). Trapezoids between the points. Compare only curves seen at the same steps.
    ValueError for fewer than two points, steps that don't grow from 0 or above, or values that are not finite.
    """
    x, y = _curve(steps, values, fewest=2)
    place = np.log1p(x)
    return float(integrate.trapezoid(y, place) / (place[-1] - place[0]))


def steps_to(threshold: float, steps: ArrayLike, values: ArrayLike) -> Reached:
    """The first of `steps` at which `values` is at least `threshold`. Nothing is assumed between the points."""
    x, y = _curve(steps, values, fewest=1)
    there = np.flatnonzero(y >= threshold)
    return Reached(float(x[there[0]]), False) if len(there) else Reached(float(x[-1]), True)


def survival(reached_S: Sequence[Reached], horizon: float | None = None) -> Survival:
    """Of the runs of one arm (Kaplan & Meier 1958, JASA 53), through scipy.

    horizon: up to which step the mean counts; by default the last step seen. Compare two arms at one horizon. Where a
    run that was stopped early leaves the curve open before the horizon, its last height is carried on.
    ValueError for no runs.
    """
    if not reached_S:
        raise UsageError("no runs")
    step_S = np.array([one.step for one in reached_S])
    censored_S = np.array([one.censored for one in reached_S])
    horizon = float(step_S.max()) if horizon is None else float(horizon)
    # scipy wants at least one observed; without any, the share stays 1.
    curve = None if censored_S.all() else stats.ecdf(stats.CensoredData.right_censored(step_S, censored_S)).sf
    steps = () if curve is None else tuple(float(x) for x in curve.quantiles)
    share = () if curve is None else tuple(float(y) for y in curve.probabilities)
    half = [x for x, y in zip(steps, share, strict=True) if y <= 0.5 + 1e-12]
    corners = np.array([0.0, *(x for x in steps if x < horizon), horizon])
    heights = np.array([1.0, *(y for x, y in zip(steps, share, strict=True) if x < horizon)])
    return Survival(steps, share, half[0] if half else None, float((np.diff(corners) * heights).sum()), horizon)


def race(a_S: Sequence[Reached], b_S: Sequence[Reached]) -> Race:
    """Whether a reaches the threshold sooner than b of the same seed.

    An exact two-sided sign test: it needs the order only, so a run that never arrived is simply later than one that
    did, and nobody has to guess by how much. Undecided seeds are left out of it (Dixon & Mood 1946, JASA 41).
    ValueError for different numbers of seeds.
    """
    if len(a_S) != len(b_S):
        raise UsageError(f"paired arms need equally many seeds, got {len(a_S)} and {len(b_S)}")
    sooner = sum(_before(a, b) for a, b in zip(a_S, b_S, strict=True))
    later = sum(_before(b, a) for a, b in zip(a_S, b_S, strict=True))
    decided = sooner + later
    p = float(stats.binomtest(sooner, decided).pvalue) if decided else nan
    return Race(sooner, later, len(a_S) - decided, p)


def restricted(reached_S: Sequence[Reached], horizon: float) -> list[float]:
    """Steps, but at most `horizon`: for `paired_difference`, whose mean is then the difference of restricted means.

    ValueError if a run was stopped before the horizon: what it would have needed isn't known.
    """
    stopped = [number for number, one in enumerate(reached_S) if one.censored and one.step < horizon]
    if stopped:
        raise UsageError(f"the runs {stopped} were stopped before step {horizon:g}: choose an earlier horizon")
    return [min(one.step, horizon) for one in reached_S]


def _before(first: Reached, second: Reached) -> bool:
    """Whether it is certain that `first` arrived earlier."""
    if first.censored:
        return False
    return first.step <= second.step if second.censored else first.step < second.step


def _curve(steps: ArrayLike, values: ArrayLike, fewest: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(steps, dtype=float), np.asarray(values, dtype=float)
    if x.ndim != 1 or x.shape != y.shape or len(x) < fewest:
        raise UsageError(f"a curve needs {fewest} or more steps, one value each; got shapes {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise UsageError("a curve with a step or a value that is not finite")
    if x[0] < 0 or (np.diff(x) <= 0).any():
        raise UsageError("the steps of a curve must grow, from 0 or above")
    return x, y
