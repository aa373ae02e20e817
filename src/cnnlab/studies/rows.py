"""From the parts of a study to one row per run: what is compared, as study.csv has it."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import cast

import torch
from torch import Tensor

from cnnlab.studies.plan import Condition, Drift, Part, Run, condition_words
from cnnlab.studies.statistics.contrasts import Cells
from cnnlab.studies.statistics.curves import area_under_curve, steps_to
from cnnlab.studies.statistics.profiles import profile_correlation, whitening_profile


class Row(Part, total=False):
    """A part, and what is compared.

    corruptions: `corrupted`, the mean over all, `corrupted/NAME`, over severities, and `corrupted/NAME/SEVERITY`.
    likeness, whitening: of the last energy profile, see `Drift`; approach: the likeness gained since the start.
    """

    start: str
    control: str | None
    mode: str
    condition: str
    train_size: int | str
    epochs: int
    area: float
    threshold: float
    steps: float
    reached: bool
    likeness: float | None
    approach: float | None
    whitening: float | None
    cosine_to_start: float | None
    distance_to_start: float | None
    corruptions: dict[str, float]


# Columns of study.csv that come first; one for every corruption follows.
COLUMNS = (
    "arm", "start", "control", "mode", "condition", "train_size", "epochs", "lr", "seed", "accuracy", "loss",
    "val_accuracy", "train_loss", "area", "threshold", "steps", "reached", "corrupted", "likeness", "approach",
    "whitening", "cosine_to_start", "distance_to_start", "diverged", "seconds",
)  # fmt: skip


def rows_of(
    parts: Sequence[tuple[Run, Part]], conditions: Sequence[Condition], reference: str, threshold: float,
    variances: Sequence[float],
) -> list[Row]:  # fmt: skip
    """Steps are counted up to `threshold`, a fraction of what the arm `reference` reaches in a condition."""
    words = condition_words(conditions)
    rows = [_plain(run, part, words[run.condition]) for run, part in parts]
    white_D = whitening_profile(torch.tensor(variances, dtype=torch.float64))
    for condition in dict.fromkeys(row["condition"] for row in rows):
        here = [row for row in rows if row["condition"] == condition]
        references = [row for row in here if row["arm"] == reference]
        if references:
            _count_steps(here, references, threshold)
            _compare_profiles(here, references, white_D)
    return rows


def flat(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Of the rows what a table can hold."""
    names = dict.fromkeys([*COLUMNS, *(name for row in rows for name in row["corruptions"])])
    return [{name: _at(row, name) for name in names} for row in rows]


def cells_of(rows: Sequence[Row], quantity: str, factor: float = 1.0) -> Cells:
    """The finite values of a column, each `factor` times."""
    cells: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        value = _at(row, quantity)
        if isinstance(value, int | float) and isfinite(value):
            cells.setdefault((row["arm"], row["condition"]), {})[row["seed"]] = factor * value
    return cells


def _at(row: Row, name: str) -> object:
    values: Mapping[str, object] = row
    return row["corruptions"].get(name) if name.startswith("corrupted") else values.get(name)


def rates_apart(rows: Sequence[Row], arm: str, control: str, condition: str) -> str:
    """What to add where two arms differ in more than their start; "" where they don't."""
    rates = {row["arm"]: row["lr"] for row in rows if row["condition"] == condition}
    one, other = rates.get(arm), rates.get(control)
    return "" if one is None or other is None or one == other else f" (learning rates {one:g} and {other:g})"


def _plain(run: Run, part: Part, condition: str) -> Row:
    values = {
        **part,
        "start": run.arm.start,
        "control": run.arm.control,
        "mode": run.arm.mode,
        "condition": condition,
        "train_size": run.condition.size,
        "epochs": run.condition.epochs,
        "area": area_under_curve(*zip(*part["curve"], strict=True)),
        "corruptions": _corruptions(part["corrupted"]),
    }
    row = cast(Row, values)  # mypy takes no ** where keys may be missing
    for last in part["drift"][-1:]:
        row |= {"cosine_to_start": last["cosine"], "distance_to_start": last["distance"]}
    return row


def _corruptions(scores: Mapping[str, float]) -> dict[str, float]:
    by_name: dict[str, list[float]] = {}
    for key, value in scores.items():
        by_name.setdefault(f"corrupted/{key.partition('/')[0]}", []).append(value)
    means = {name: sum(values) / len(values) for name, values in by_name.items()}
    whole = {"corrupted": sum(means.values()) / len(means)} if means else {}
    return whole | means | {f"corrupted/{key}": value for key, value in scores.items()}


def _count_steps(here: Sequence[Row], references: Sequence[Row], fraction: float) -> None:
    threshold = fraction * sum(row["curve"][-1][1] for row in references) / len(references)
    for row in here:
        reached = steps_to(threshold, *zip(*row["curve"], strict=True))
        # All curves of a condition end at one step, so that the censored count as that: the restricted mean.
        row |= {"threshold": threshold, "steps": reached.step, "reached": not reached.censored}


def _compare_profiles(here: Sequence[Row], references: Sequence[Row], white_D: Tensor) -> None:
    ends = {row["seed"]: _profile(row["drift"][-1]) for row in references if row["drift"]}
    for row in here if ends else ():
        if not row["drift"]:
            continue
        # Without the run of the same seed: the reference must not be compared with itself.
        others = [profile_D for seed, profile_D in ends.items() if seed != row["seed"]] or list(ends.values())
        target_D = torch.stack(others).mean(0)
        for point in row["drift"]:
            profile_D = _profile(point)
            point |= {
                "likeness": profile_correlation(profile_D, target_D),
                "whitening": profile_correlation(profile_D, white_D),
            }
        first, last = row["drift"][0], row["drift"][-1]
        # Not a number, as that of a layer of zeros, is no measurement.
        row["likeness"], row["whitening"] = _finite(last["likeness"]), _finite(last["whitening"])
        row["approach"] = _finite(last["likeness"] - first["likeness"])


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _profile(point: Drift) -> Tensor:
    return torch.tensor(point["profile"], dtype=torch.float64)
