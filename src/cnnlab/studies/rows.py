"""From the parts of a study to one row a run: what is compared, as study.csv has it."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import torch

from cnnlab.studies.plan import Part, Run, condition_words
from cnnlab.studies.spec import StudyDesign
from cnnlab.studies.statistics.curves import area_under_curve, steps_to
from cnnlab.studies.statistics.profiles import likeness, whitening_profile

# Columns of study.csv that come first; one for every corruption follows.
COLUMNS = (
    "arm", "start", "control", "mode", "condition", "train_size", "epochs", "lr", "seed", "accuracy", "loss",
    "val_accuracy", "train_loss", "area", "threshold", "steps", "reached", "corrupted", "likeness", "approach",
    "whitening", "cosine_to_start", "distance_to_start", "diverged", "seconds",
)  # fmt: skip


def rows_of(parts: Sequence[tuple[Run, Part]], study: StudyDesign, variances: Sequence[float]) -> list[dict]:
    """One dict a run, with the columns above, the corruptions as `corrupted/NAME/SEVERITY`, and `drift`.

    Steps are counted up to the study's threshold, a fraction of what the reference reaches in a condition.
    """
    words = condition_words(study.conditions)
    rows = [_plain(run, part, words[run.condition]) for run, part in parts]
    white_D = whitening_profile(torch.tensor(variances, dtype=torch.float64))
    for condition in dict.fromkeys(row["condition"] for row in rows):
        here = [row for row in rows if row["condition"] == condition]
        reference = [row for row in here if row["arm"] == study.reference]
        _count_steps(here, reference, study.threshold)
        _compare_profiles(here, reference, white_D)
    return rows


def flat(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the rows what a table can hold."""
    corruptions = list(dict.fromkeys(name for row in rows for name in row if name.startswith("corrupted/")))
    return [{name: row.get(name) for name in (*COLUMNS, *corruptions)} for row in rows]


def _plain(run: Run, part: Part, condition: str) -> dict[str, Any]:
    row = {
        "arm": run.arm.name,
        "start": run.arm.start,
        "control": run.arm.control,
        "mode": run.arm.mode,
        "condition": condition,
        "train_size": run.condition.size,
        "epochs": run.condition.epochs,
        "lr": part["lr"],
        "seed": run.seed,
    }
    row |= {name: part[name] for name in ("accuracy", "loss", "val_accuracy", "train_loss", "diverged", "seconds")}
    row |= {"curve": part["curve"], "drift": part["drift"], "kernels": part["kernels"]}
    row["area"] = area_under_curve(*zip(*part["curve"], strict=True))
    row |= _corrupted(part["corrupted"])
    if part["drift"]:
        row |= {"cosine_to_start": part["drift"][-1]["cosine"], "distance_to_start": part["drift"][-1]["distance"]}
    return row


def _corrupted(scores: dict[str, float]) -> dict[str, float]:
    """`corrupted` over all, `corrupted/NAME` over severities, `corrupted/NAME/SEVERITY`."""
    if not scores:
        return {}
    by_name: dict[str, list[float]] = {}
    for key, value in scores.items():
        by_name.setdefault(key.partition("/")[0], []).append(value)
    means = {f"corrupted/{name}": sum(values) / len(values) for name, values in by_name.items()}
    single = {f"corrupted/{key}": value for key, value in scores.items()}
    return {"corrupted": sum(means.values()) / len(means)} | means | single


def _count_steps(here: list[dict], reference: list[dict], share: float) -> None:
    if not reference:
        return
    threshold = share * sum(row["curve"][-1][1] for row in reference) / len(reference)
    for row in here:
        reached = steps_to(threshold, *zip(*row["curve"], strict=True))
        # All curves of a condition end at one step, so that the censored count as that: the restricted mean.
        row |= {"threshold": threshold, "steps": reached.step, "reached": not reached.censored}


def _compare_profiles(here: list[dict], reference: list[dict], white_D: torch.Tensor) -> None:
    last = [_profile(row, -1) for row in reference if row["drift"]]
    if not last:
        return
    for row in here:
        if not row["drift"]:
            continue
        # Without the run of the same seed: the reference must not be likened to itself.
        others = [_profile(one, -1) for one in reference if one["drift"] and one["seed"] != row["seed"]] or last
        target_D = torch.stack(others).mean(0)
        for one in row["drift"]:
            profile_D = torch.tensor(one["profile"], dtype=torch.float64)
            one |= {"likeness": likeness(profile_D, target_D), "whitening": likeness(profile_D, white_D)}
        first, end = row["drift"][0], row["drift"][-1]
        row |= {"likeness": end["likeness"], "whitening": end["whitening"]}
        row["approach"] = end["likeness"] - first["likeness"]
    for row in here:  # not a number, as that of a layer of zeros, is no measurement
        row.update({name: None for name in ("likeness", "whitening", "approach") if not isfinite(row.get(name, 0.0))})


def _profile(row: dict[str, Any], which: int) -> torch.Tensor:
    return torch.tensor(row["drift"][which]["profile"], dtype=torch.float64)
