"""Hypotheses, written down before a study, and what its rows say of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from cnnlab._choices import UsageError, check_choice
from cnnlab.studies.rows import Row, cells_of, rates_apart
from cnnlab.studies.statistics.contrasts import LEVEL, contrasts, family_p
from cnnlab.studies.statistics.paired import Difference, holm, paired_difference
from cnnlab.studies.words import verdict

EXPECTED = ("better", "worse", "same")


@dataclass(frozen=True)
class Quantity:
    """How a column of the rows is compared: in `unit`, of which `factor` make one of its values.

    lead: what the page says of it where all arms are compared in it; "" for one that hypotheses alone are about.
    """

    words: str
    unit: str
    factor: float = 1.0
    better: Literal["higher", "lower"] = "higher"
    lead: str = ""


QUANTITIES = {
    "accuracy": Quantity(
        "test accuracy at the end", "points", 100,
        lead="Mean over seeds of the arm's value minus the control's, with its 95 % confidence interval.",
    ),
    "area": Quantity(
        "area under the learning curve", "points", 100,
        lead="The mean height of the validation curve over log(1 + step): early steps count.",
    ),
    "steps": Quantity(
        "steps to the threshold", "steps", better="lower",
        lead="Up to a fraction of what the reference reaches at the end; a run that never arrives counts as the last "
        "step, so that these are differences of restricted means.",
    ),
    "corrupted": Quantity(
        "accuracy on corrupted test images", "points", 100,
        lead="The mean over all corruptions and severities of the study.",
    ),
    "approach": Quantity("gain in correlation of the energy profile with the reference profile", "of correlation"),
    "likeness": Quantity("correlation of the energy profile with the reference profile", "of correlation"),
    "whitening": Quantity("correlation of the energy profile with whitening", "of correlation"),
}  # fmt: skip


@dataclass(frozen=True)
class Claim:
    """`arm` against `control` (None: against 0) in `quantity`, in each of `sizes` (None: in all conditions).

    expect: better, worse, or same, which means no difference larger than `within`, in the quantity's unit.
    """

    arm: str
    control: str | None
    quantity: str
    expect: str
    within: float = 1.0
    sizes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Hypothesis:
    text: str
    claims: tuple[Claim, ...]


def quantity(name: str) -> Quantity:
    """Of a column: also one kind of corruption, `corrupted/gaussian_noise`, or one at a severity, `.../3`."""
    if name.startswith("corrupted/"):
        return Quantity(f"accuracy under {name.removeprefix('corrupted/').replace('_', ' ')}", "points", 100)
    return QUANTITIES[name]


def read_hypotheses(
    given: Sequence[Mapping[str, object]] | None, arms: Sequence[str], sizes: Sequence[int | str]
) -> list[Hypothesis]:
    """UsageError, with what is valid, for an unknown arm, quantity, size or expectation, or a missing part."""
    hypotheses = []
    for one in given or ():
        claims = one.get("claims") if isinstance(one, Mapping) else None
        if not isinstance(claims, Sequence) or not claims or "text" not in one:
            raise UsageError(f"hypotheses: each has a text and claims, got {one!r}")
        try:
            hypotheses.append(Hypothesis(str(one["text"]), tuple(_claim(claim, arms, sizes) for claim in claims)))
        except UsageError as error:
            raise UsageError(f"hypotheses: {error}") from None
    return hypotheses


def _claim(given: Mapping[str, object], arms: Sequence[str], sizes: Sequence[int | str]) -> Claim:
    for name in given:
        check_choice("part of a claim", name, [field.name for field in fields(Claim)])
    for name in ("arm", "quantity", "expect"):
        if name not in given:
            raise UsageError(f"a claim lacks its {name}: {dict(given)}")
    control, within, chosen = given.get("control"), given.get("within", 1.0), given.get("sizes") or ()
    if not isinstance(within, int | float) or not isinstance(chosen, Sequence):
        raise UsageError(f"within is a number and sizes a list, got {within!r} and {chosen!r}")
    for arm in (given["arm"], given["arm"] if control is None else control):
        check_choice("arm", arm, arms)
    if not str(given["quantity"]).startswith("corrupted/"):
        check_choice("quantity", given["quantity"], QUANTITIES)
    check_choice("expectation", given["expect"], EXPECTED)
    for size in chosen:
        check_choice("size", str(size), map(str, sizes))
    return Claim(
        str(given["arm"]), None if control is None else str(control), str(given["quantity"]), str(given["expect"]),
        float(within), tuple(map(str, chosen)) or None,
    )  # fmt: skip


def judge(hypothesis: Hypothesis, rows: Sequence[Row]) -> tuple[str, str]:
    """(what the intervals say, state). Supported if every claim is, in every condition; refuted if one is.

    The comparisons of one hypothesis are corrected for their number (Holm); an interval that excludes 0 counts for
    `better` and `worse` only if it is significant after that.
    """
    measured = [(claim, *one) for claim in hypothesis.claims for one in _differences(claim, rows)]
    if not measured:
        return "nothing was measured", "undecided"
    corrected = holm(family_p([difference for *_, difference in measured]))
    states, said = [], []
    for (claim, condition, difference), p in zip(measured, corrected, strict=True):
        states.append(_state(claim, difference, p))
        apart = rates_apart(rows, claim.arm, claim.control, condition) if claim.control else ""
        said.append(_words(claim, condition, difference, p) + apart)
    state = "refuted" if "refuted" in states else "undecided" if "undecided" in states else "supported"
    return "; ".join(said) + ".", state


def _differences(claim: Claim, rows: Sequence[Row]) -> list[tuple[str, Difference]]:
    chosen = [row for row in rows if claim.sizes is None or str(row["train_size"]) in claim.sizes]
    cells = cells_of(chosen, claim.quantity, quantity(claim.quantity).factor)
    if claim.control is not None:
        return [(one.condition, one.difference) for one in contrasts(cells, [(claim.arm, claim.control)])]
    alone = [(condition, list(values.values())) for (arm, condition), values in cells.items() if arm == claim.arm]
    return [(condition, paired_difference(values, [0.0] * len(values))) for condition, values in alone]


def _state(claim: Claim, difference: Difference, corrected_p: float) -> str:
    gain = difference if quantity(claim.quantity).better == "higher" else difference.times(-1)
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


def _words(claim: Claim, condition: str, difference: Difference, corrected_p: float) -> str:
    one = quantity(claim.quantity)
    against = f" against {claim.control}" if claim.control else ""
    # A claim of equality is read off the interval alone.
    p, relevant = (None, claim.within) if claim.expect == "same" else (corrected_p, None)
    said = verdict(difference, one.unit, relevant, one.better, p)
    return f"{claim.arm}{against}, {one.words}, {condition}: {said}"
