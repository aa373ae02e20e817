"""Learning curves as numbers: the area under one, and the steps to a threshold. S seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import integrate

from cnnlab._choices import UsageError


@dataclass(frozen=True)
class Reached:
    """The step at which a curve first reached a threshold; if it never did (`censored`) the last step it was seen."""

    step: float
    censored: bool


def area_under_curve(steps: ArrayLike, values: ArrayLike) -> float:
    """The mean height of the curve over log(1 + step): in the unit of the values, and at most the highest of them.

    Over the steps themselves the long plateau at the end would drown the start, which is what this number is for; on
    this axis the steps from 10 to 100 count as much as those from 100 to 1000. So it is in the AutoDL challenge (Liu et
    al. 2021, IEEE TPAMI 43(9), with their t0 = 1 step) and, over labels, in the active learning challenge (Guyon et al.
    2011, JMLR W&CP 16). Trapezoids between the points. Compare only curves seen at the same steps.
    UsageError for fewer than two points, steps that don't grow from 0 or above, or values that are not finite.
    """
    x, y = _curve(steps, values, fewest=2)
    place = np.log1p(x)
    return float(integrate.trapezoid(y, place) / (place[-1] - place[0]))


def steps_to(threshold: float, steps: ArrayLike, values: ArrayLike) -> Reached:
    """The first of `steps` at which `values` is at least `threshold`. Nothing is assumed between the points."""
    x, y = _curve(steps, values, fewest=1)
    there = np.flatnonzero(y >= threshold)
    return Reached(float(x[there[0]]), False) if len(there) else Reached(float(x[-1]), True)


def median_steps(reached_S: Sequence[Reached]) -> float | None:
    """The first step by which half of the runs have reached the threshold; None if they never did.

    Runs that never arrived must have been seen to one and the same end.
    """
    arrived = sorted(reached.step for reached in reached_S if not reached.censored)
    half = (len(reached_S) + 1) // 2
    return arrived[half - 1] if 0 < half <= len(arrived) else None


def _curve(steps: ArrayLike, values: ArrayLike, fewest: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(steps, dtype=float), np.asarray(values, dtype=float)
    if x.ndim != 1 or x.shape != y.shape or len(x) < fewest:
        raise UsageError(f"a curve needs {fewest} or more steps, one value each; got shapes {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise UsageError("a curve with a step or a value that is not finite")
    if x[0] < 0 or (np.diff(x) <= 0).any():
        raise UsageError("the steps of a curve must grow, from 0 or above")
    return x, y
