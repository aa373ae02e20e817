"""What an interval says, in words. They follow the interval: "no difference larger than", never "no effect"."""

from math import ceil, isnan, log10
from typing import Literal

from cnnlab.studies.statistics.contrasts import LEVEL
from cnnlab.studies.statistics.paired import Difference


def verdict(
    difference: Difference,
    unit: str = "points",
    relevant: float | None = 1.0,
    better: Literal["higher", "lower"] = "higher",
    corrected_p: float | None = None,
) -> str:
    """One clause about arm a against arm b, of which `difference` is a - b in `unit` (see `Difference.times`).

    relevant: the smallest difference that matters, in `unit`; where the interval has 0 in it and reaches beyond this,
    the verdict is "undecided". None: there is no such size, and the verdict always gives the largest difference left.
    better: "higher" or "lower" values. corrected_p: above 0.05, an interval that excludes 0 is said to be not
    significant after correction.

    "better by 1.2 points (0.4 to 2.0)", "no difference larger than 0.6 points", "undecided: between 0.4 points worse
    and 2.1 points better", "the same in all 16 seeds".
    """
    gain = difference if better == "higher" else difference.times(-1)
    if gain.n == 1:
        return f"{_signed(gain.mean)} {unit} in the only seed: nothing to judge it by"
    if gain.sd == 0 and gain.mean == 0:
        return f"the same in all {gain.n} seeds"
    if gain.excludes_zero:
        return _clear(gain, unit) + _after_correction(corrected_p)
    widest = max(-gain.low, gain.high)
    if relevant is None or widest <= relevant:
        return f"no difference larger than {_rounded_up(widest)} {unit}"
    digits = _digits(gain.low, gain.high)
    return f"undecided: between {-gain.low:.{digits}f} {unit} worse and {gain.high:.{digits}f} {unit} better"


def p_words(p: float) -> str:
    """
    >>> p_words(0.0314), p_words(0.00002), p_words(0.4)
    ('p = 0.031', 'p < 0.001', 'p = 0.40')
    """
    if isnan(p):
        return "no test"
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.0995 else f"p = {p:.2f}"


def _clear(gain: Difference, unit: str) -> str:
    digits = _digits(gain.low, gain.high)
    way, sign = ("better", 1) if gain.mean > 0 else ("worse", -1)
    low, high = sorted((sign * gain.low, sign * gain.high))
    return f"{way} by {abs(gain.mean):.{digits}f} {unit} ({low:.{digits}f} to {high:.{digits}f})"


def _after_correction(corrected_p: float | None) -> str:
    if corrected_p is None or isnan(corrected_p) or corrected_p <= LEVEL:
        return ""
    return f", but not significant after correction for the number of comparisons ({p_words(corrected_p)})"


def _digits(low: float, high: float) -> int:
    """Decimals, 1 to 4: two figures of the width, and more where an end would be rounded to 0."""
    width = high - low
    digits = min(4, max(1, ceil(1 - log10(width)))) if width > 0 else 2
    while digits < 4 and any(end and not round(abs(end), digits) for end in (low, high)):
        digits += 1
    return digits


def _rounded_up(value: float) -> str:
    """Away from zero, else "no larger than" would be false."""
    digits = 1 if value > 0.05 else min(6, max(2, ceil(-log10(value))))
    return f"{ceil(value * 10**digits - 1e-9) / 10**digits:.{digits}f}"


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "\N{MINUS SIGN}")
