"""Hypotheses, written down before a study, and what its rows say of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from cnnlab._choices import UsageError
from cnnlab.studies.statistics.contrasts import Row, contrasts, family_p
from cnnlab.studies.statistics.paired import Difference, holm, paired_difference
from cnnlab.studies.words import verdict

EXPECTED = ("better", "worse", "same")
LEVEL = 0.05


@dataclass(frozen=True)
class Quantity:
    """How a column of the rows is compared: in `unit`, of which `factor` make one of its values."""

    words: str
    unit: str
    factor: float = 1.0
    better: str = "higher"


QUANTITIES = {
    "accuracy": Quantity("test accuracy at the end", "points", 100),
    "area": Quantity("area under the learning curve", "points", 100),
    "steps": Quantity("steps to the threshold", "steps", better="lower"),
    "corrupted": Quantity("accuracy on corrupted test images", "points", 100),
    "approach": Quantity("how far the energy profile drew nearer to the reference's last one", "of correlation"),
    "likeness": Quantity("correlation of the energy profile with the reference's last one", "of correlation"),
    "whitening": Quantity("correlation of the energy profile with whitening", "of correlation"),
}


@dataclass(frozen=True)
class Claim:
    """`arm` against `control` (None: against 0) in `quantity`, in each of `sizes` (None: in all conditions).

    expect: better, worse, or same, which means no difference larger than `within`, in the quantity's unit.
    """

    arm: str
    control: str | None
    quantity: str
    expect: str
    within: float
    sizes: tuple[int | str, ...] | None


@dataclass(frozen=True)
class Hypothesis:
    text: str
    claims: tuple[Claim, ...]


def quantity(name: str) -> Quantity:
    """Of a column: also one kind of corruption, `corrupted/gaussian_noise`, or one at a severity, `.../3`."""
    if name.startswith("corrupted/"):
        return Quantity(f"accuracy under {name.removeprefix('corrupted/').replace('_', ' ')}", "points", 100)
    return QUANTITIES[name]


def read_hypotheses(given: Any, arms: Sequence[str], sizes: Sequence[int | str]) -> list[Hypothesis]:
    """ValueError, with what is valid, for an unknown arm, quantity, size or expectation, or a missing part."""
    found = []
    for one in given or []:
        if not isinstance(one, Mapping) or not {"text", "claims"} <= set(one) or not one["claims"]:
            raise UsageError(f"hypotheses: each has a text and claims, got {one!r}")
        found.append(Hypothesis(one["text"], tuple(_claim(claim, arms, sizes) for claim in one["claims"])))
    return found


def _claim(given: Mapping[str, Any], arms: Sequence[str], sizes: Sequence[int | str]) -> Claim:
    known = ("arm", "control", "quantity", "expect", "within", "sizes")
    for name in given:
        _among("part of a claim", name, known)
    for name in ("arm", "quantity", "expect"):
        if name not in given:
            raise UsageError(f"hypotheses: a claim lacks its {name}: {dict(given)}")
    _among("arm", given["arm"], arms)
    if given.get("control") is not None:
        _among("arm", given["control"], arms)
    if not str(given["quantity"]).startswith("corrupted/"):
        _among("quantity", given["quantity"], tuple(QUANTITIES))
    _among("expectation", given["expect"], EXPECTED)
    for size in given.get("sizes") or ():
        _among("size", size, sizes)
    chosen = tuple(given["sizes"]) if given.get("sizes") else None
    within = float(given.get("within", 1.0))
    return Claim(given["arm"], given.get("control"), given["quantity"], given["expect"], within, chosen)


def _among(what: str, name: Any, known: Sequence[Any]) -> None:
    if name not in known:
        near = get_close_matches(str(name), [str(one) for one in known], 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise UsageError(f"hypotheses: no {what} {name!r} in the study{hint}; known: {', '.join(map(str, known))}")


def judge(hypothesis: Hypothesis, rows: Sequence[Row]) -> tuple[str, str]:
    """(what the intervals say, state). Supported if every claim is, in every condition; refuted if one is.

    The comparisons of one hypothesis are corrected for their number (Holm); an interval that is off 0 counts for
    `better` and `worse` only if it outlasts that.
    """
    found: list[tuple[Claim, str, Difference]] = []
    for claim in hypothesis.claims:
        found += [(claim, where, difference) for where, difference in _differences(claim, rows)]
    if not found:
        return "nothing was measured", "undecided"
    corrected = holm(family_p([difference for *_, difference in found]))
    states = [_state(claim, difference, p) for (claim, _, difference), p in zip(found, corrected, strict=True)]
    rates = {(row["arm"], row["condition"]): row.get("lr") for row in rows}
    said = [
        _words(claim, where, difference, p) + _at_rates(claim, where, rates)
        for (claim, where, difference), p in zip(found, corrected, strict=True)
    ]
    state = "refuted" if "refuted" in states else "undecided" if "undecided" in states else "supported"
    return "; ".join(said) + ".", state


def _differences(claim: Claim, rows: Sequence[Row]) -> list[tuple[str, Difference]]:
    factor = quantity(claim.quantity).factor
    chosen = [row for row in rows if claim.sizes is None or row["train_size"] in claim.sizes]
    if not any(claim.quantity in row for row in chosen):
        return []
    if claim.control is not None:
        pairs = [(claim.arm, claim.control)]
        return [
            (dict(one.condition)["condition"], one.difference)
            for one in contrasts(chosen, pairs, claim.quantity, ("condition",), factor)
        ]
    places = dict.fromkeys(row["condition"] for row in chosen)
    values = {
        place: [
            factor * row[claim.quantity]
            for row in chosen
            if row["arm"] == claim.arm and row["condition"] == place and row.get(claim.quantity) is not None
        ]
        for place in places
    }
    return [(place, paired_difference(one, [0.0] * len(one))) for place, one in values.items() if one]


def _state(claim: Claim, difference: Difference, corrected_p: float) -> str:
    sign = 1 if quantity(claim.quantity).better == "higher" else -1
    gain = difference.times(sign)
    if gain.n < 2:
        return "undecided"
    if claim.expect == "same":
        if max(-gain.low, gain.high) <= claim.within:
            return "supported"
        return "refuted" if gain.low > claim.within or gain.high < -claim.within else "undecided"
    if claim.expect == "worse":
        gain = gain.times(-1)
    if gain.low > 0 and not corrected_p > LEVEL:
        return "supported"
    return "refuted" if gain.high < 0 else "undecided"


def _at_rates(claim: Claim, where: str, rates: Mapping[tuple[str, str], float | None]) -> str:
    """Said where the two arms differ in more than their start."""
    one, other = rates.get((claim.arm, where)), rates.get((claim.control or claim.arm, where))
    return "" if one == other else f" (learning rates {one:g} and {other:g})"


def _words(claim: Claim, where: str, difference: Difference, corrected_p: float) -> str:
    one = quantity(claim.quantity)
    against = f" against {claim.control}" if claim.control else ""
    # A claim of equality is read off the interval alone.
    p = None if claim.expect == "same" else corrected_p
    relevant = claim.within if claim.expect == "same" else None
    said = verdict(difference, one.unit, relevant, one.better, p)
    return f"{claim.arm}{against}, {one.words}, {where}: {said}"
