"""All comparisons of a study, from its rows: one dict a run, as in study.csv."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import Any

from cnnlab._choices import UsageError
from cnnlab.studies.statistics.paired import Difference, holm, paired_difference, smallest_p

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Contrast:
    """One arm against one control under one condition, over the seeds that both have; corrected_p is Holm's."""

    arm: str
    control: str
    condition: tuple[tuple[str, Any], ...]
    quantity: str
    difference: Difference
    corrected_p: float


def contrasts(
    rows: Sequence[Row],
    pairs: Sequence[tuple[str, str]],
    quantity: str,
    conditions: Sequence[str] = ("train_size",),
    factor: float = 1.0,
    confidence: float = 0.95,
) -> list[Contrast]:
    """Every (arm, control) of `pairs` under every combination of `conditions` that the rows have, in their order.

    The returned list is one family: p is corrected for its length (`family_p`), so give the comparisons that answer one
    question together and other questions apart. factor: 100 makes points of accuracies. A run without the quantity, or
    where it is not finite, leaves its seed out of the comparison; a comparison without a common seed is left out.
    ValueError for an arm, a condition or a quantity that no row has, or two runs of one arm, condition and seed.
    """
    _check(rows, pairs, quantity, conditions)
    cells: dict[tuple[Any, ...], dict[int, float]] = {}
    places = list(dict.fromkeys(_place(row, conditions) for row in rows))
    for row in rows:
        value = row.get(quantity)
        if isinstance(value, int | float) and isfinite(value):
            seeds = cells.setdefault((row["arm"], _place(row, conditions)), {})
            if row["seed"] in seeds:
                raise UsageError(f"two runs of {row['arm']!r}, seed {row['seed']}, at {_place(row, conditions)}")
            seeds[row["seed"]] = factor * value
    found = []
    for place in places:
        for arm, control in pairs:
            a, b = cells.get((arm, place), {}), cells.get((control, place), {})
            common = sorted(a.keys() & b.keys())
            if common:
                difference = paired_difference([a[s] for s in common], [b[s] for s in common], confidence)
                found.append((arm, control, place, quantity, difference))
    corrected = holm(family_p([difference for *_, difference in found]))
    return [Contrast(*one, p) for one, p in zip(found, corrected, strict=True)]


def family_p(differences: Sequence[Difference], level: float = 0.05) -> list[float]:
    """What the correction for their number starts from: p of the sign-flip test, or of Student's where that can't do.

    n seeds can't make a sign-flip p below 2 / 2^n, so that among many comparisons of few seeds nothing could outlast
    the correction, however large. Then the whole family takes Student's p, which needs normal differences.
    """
    few = any(smallest_p(one.n) * len(differences) > level for one in differences if one.n > 1)
    return [one.p_t if few else one.p for one in differences]


def _place(row: Row, conditions: Sequence[str]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, row[name]) for name in conditions)


def _check(rows: Sequence[Row], pairs: Sequence[tuple[str, str]], quantity: str, conditions: Sequence[str]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    for kind, asked, known in (
        ("column", [quantity, *conditions], columns),
        ("arm", [arm for pair in pairs for arm in pair], arms),
    ):
        for name in asked:
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise UsageError(f"no {kind} {name!r} in the study: {hint}known: {', '.join(map(str, known))}")
