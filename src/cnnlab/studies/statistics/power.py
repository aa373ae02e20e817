"""How many seeds a difference needs, and the minimum detectable difference of so many seeds.

Of the two-sided paired t-test, by the noncentral t distribution (Cohen 1988, Statistical Power Analysis for the
Behavioral Sciences, chapter 2). The sign-flip test of this room has nearly the same power.
"""

from math import inf, isfinite, sqrt

from scipy import optimize, stats

from cnnlab._choices import UsageError

POWER, ALPHA = 0.8, 0.05
MOST = 10_000_000  # seeds; beyond, `seeds_needed` gives None


def power_of(seeds: int, difference: float, sd: float, alpha: float = ALPHA) -> float:
    """The chance that so many seeds show a true mean `difference` whose spread over seeds is `sd`, at level alpha."""
    if seeds < 2:
        return 0.0
    if sd == 0:
        return 1.0 if difference else alpha
    away = abs(difference) / sd * sqrt(seeds)
    limit = float(stats.t.isf(alpha / 2, seeds - 1))
    above = float(stats.nct.sf(limit, seeds - 1, away))
    # Significant the wrong way round: beyond 5 standard errors below 3e-7, and NaN in scipy.
    return above + (float(stats.nct.cdf(-limit, seeds - 1, away)) if away < 5 else 0.0)


def seeds_needed(sd: float, difference: float, power: float = POWER, alpha: float = ALPHA) -> int | None:
    """The fewest seeds that see `difference`, in the unit of `sd`, with that power; None where millions don't suffice.

    UsageError for a spread below 0 or not finite, no difference, or a power or level that is not between 0 and 1.

    >>> seeds_needed(sd=2.0, difference=1.0)
    34
    """
    _check(sd, power, alpha)
    if not difference or not isfinite(difference):
        raise UsageError(f"the difference to be seen must be finite and not 0, got {difference!r}")
    enough = 2
    while power_of(enough, difference, sd, alpha) < power:
        if enough >= MOST:
            return None
        enough *= 2
    few = enough // 2
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (middle, enough) if power_of(middle, difference, sd, alpha) < power else (few, middle)
    return enough


def minimum_detectable(seeds: int, sd: float, power: float = POWER, alpha: float = ALPHA) -> float:
    """The difference that so many seeds see with that power, in the unit of `sd`; infinite for fewer than 2."""
    _check(sd, power, alpha)
    if seeds < 2:
        return inf
    if sd == 0:
        return 0.0
    largest = 8.0
    while power_of(seeds, largest, 1.0, alpha) < power:
        largest *= 2
    return sd * float(optimize.brentq(lambda size: power_of(seeds, size, 1.0, alpha) - power, 1e-9, largest))


def spread_interval(sd: float, seeds: int, confidence: float = 0.95) -> tuple[float, float]:
    """Between which values the true spread of normal differences lies, by chi-square: few seeds leave it wide open."""
    if seeds < 2:
        return 0.0, inf
    upper, lower = (float(stats.chi2.ppf(tail, seeds - 1)) for tail in ((1 + confidence) / 2, (1 - confidence) / 2))
    return sd * sqrt((seeds - 1) / upper), sd * sqrt((seeds - 1) / lower)


def _check(sd: float, power: float, alpha: float) -> None:
    if not (isfinite(sd) and sd >= 0):
        raise UsageError(f"the spread must be finite and at least 0, got {sd!r}")
    for name, value in (("power", power), ("alpha", alpha)):
        if not 0 < value < 1:
            raise UsageError(f"{name} must be between 0 and 1, got {value!r}")
    if power <= alpha:
        raise UsageError(f"a power of {power} is reached without any effect at the level {alpha}")
