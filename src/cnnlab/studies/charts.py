"""The pictures of a study's page as numbers: forests, learning curves, drift, corruptions. S seeds."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
import torch
from scipy import stats

from cnnlab.data.corruptions.corruptions import CORRUPTIONS
from cnnlab.draw.charts import Chart, Point, lines_of
from cnnlab.draw.forests import Compared, Forest
from cnnlab.studies.claims import quantity
from cnnlab.studies.html import HeatMap
from cnnlab.studies.spec import StudyDesign
from cnnlab.studies.statistics.contrasts import Contrast, contrasts
from cnnlab.studies.statistics.profiles import random_likeness, whitening_profile
from cnnlab.studies.words import verdict

Row = dict[str, Any]


def means(rows: Sequence[Row], name: str) -> dict[str, float]:
    """`ARM, CONDITION` -> the mean over seeds."""
    cells: dict[str, list[float]] = {}
    for row in rows:
        if row.get(name) is not None:
            cells.setdefault(f"{row['arm']}, {row['condition']}", []).append(row[name])
    return {key: float(np.mean(values)) for key, values in cells.items()}


def band(x: float, values_S: Sequence[float]) -> Point:
    """(x, mean, low, high): the 95 % interval of the mean by Student's t."""
    values_S = np.asarray(values_S, dtype=float)
    mean, half = float(values_S.mean()), 0.0
    if len(values_S) > 1:
        half = float(stats.t.ppf(0.975, len(values_S) - 1) * values_S.std(ddof=1) / len(values_S) ** 0.5)
    return float(x), mean, mean - half, mean + half


def rates_of(rows: Sequence[Row]) -> dict[tuple[str, str], float]:
    """(arm, condition) -> its learning rate."""
    return {(row["arm"], row["condition"]): row["lr"] for row in rows}


def at_rates(arm: str, control: str, where: str, rates: Mapping[tuple[str, str], float]) -> str:
    """What to add where two arms differ in more than their start; "" where they don't."""
    one, other = rates.get((arm, where)), rates.get((control, where))
    return f", at learning rates {one:g} and {other:g}" if one and other and one != other else ""


def forest(name: str, found: Sequence[Contrast], relevant: float, rates: Mapping[tuple[str, str], float]) -> Forest:
    one = quantity(name)
    leads = {
        "accuracy": "Mean over seeds of the arm's value minus the control's, with its 95 % interval.",
        "area": "The mean height of the validation curve over log(1 + step): early steps count.",
        "steps": "Up to a share of what the reference reaches at the end; a run that never arrives counts as the last "
        "step, so that these are differences of restricted means.",
        "corrupted": "The mean over all corruptions and severities of the study.",
    }
    matters = relevant if one.unit == "points" else 0.0
    rows = []
    for each in found:
        d = each.difference
        clear = d.low > 0 or d.high < 0
        words = verdict(d, one.unit, matters or None, one.better, each.corrected_p)
        holds = clear and each.corrected_p <= 0.05
        where = dict(each.condition)["condition"]
        words += at_rates(each.arm, each.control, where, rates)
        rows.append(Compared(each.arm, each.control, where, d.mean, d.low, d.high, d.n, words, clear, holds))
    return Forest(one.words[0].upper() + one.words[1:], one.unit, matters, one.better, leads[name], rows)


def learning_curves(rows: Sequence[Row], words: Sequence[str]) -> list[Chart]:
    found = []
    for where in words:
        lines = {}
        for arm, runs in _by_arm(rows, where).items():
            steps = [step for step, _ in runs[0]["curve"]]
            lines[arm] = [band(s, [100 * row["curve"][i][1] for row in runs]) for i, s in enumerate(steps)]
        found.append(Chart(where, "step", "validation accuracy in per cent", lines_of(lines), spread=True))
    return found


def by_size(rows: Sequence[Row]) -> list[Chart]:
    """Accuracy by number of images, where there are two numbers or more; "all" has no place on the axis."""
    sizes = sorted({row["train_size"] for row in rows if row["train_size"] != "all"})
    if len(sizes) < 2:
        return []
    lines: dict[str, list[Point]] = {}
    for arm in dict.fromkeys(row["arm"] for row in rows):
        for size in sizes:
            values = [100 * row["accuracy"] for row in rows if row["arm"] == arm and row["train_size"] == size]
            lines.setdefault(arm, []).append(band(size, values))
    return [Chart("Accuracy at the end", "training images", "test accuracy in per cent", lines_of(lines), spread=True)]


def drift_curves(rows: Sequence[Row], words: Sequence[str], variances: Sequence[float], filters: int) -> list[Chart]:
    """Likeness to the reference's last profile, to whitening, and to the start, over epochs, with their nulls."""
    white_D = whitening_profile(torch.tensor(variances, dtype=torch.float64))
    null = random_likeness(white_D, filters)
    measures = {
        "likeness": ("Profile, to the reference", "correlation of the energy profile with the reference's last one"),
        "whitening": (
            "Profile, to whitening",
            f"correlation of the energy profile with whitening; of random layers 95 % lie below {null:.2f}",
        ),
        "cosine": ("Kernels, to their start", "cosine between the kernels and their start"),
    }
    found = []
    for name, (title, y) in measures.items():
        for where in words:
            lines = {}
            for arm, runs in _by_arm(rows, where).items():
                epochs = [one["epoch"] for one in runs[0]["drift"]]
                points = [band(e, values) for i, e in enumerate(epochs) if (values := _values(runs, i, name))]
                if points:
                    lines[arm] = points
            if lines:
                found.append(Chart(f"{title}: {where}", "epoch", y, lines_of(lines), spread=True))
    return found


def _values(runs: Sequence[Row], which: int, name: str) -> list[float]:
    values = [row["drift"][which].get(name) for row in runs if which < len(row["drift"])]
    return [value for value in values if value is not None and isfinite(value)]


def heat_maps(rows: Sequence[Row], study: StudyDesign, words: Sequence[str]) -> list[HeatMap]:
    names = [n.split("/")[1] for n in dict.fromkeys(k for row in rows for k in row) if n.count("/") == 1]
    if not names:
        return []
    families = [CORRUPTIONS[name].family for name in names]
    groups = [(family, families.count(family)) for family in dict.fromkeys(families)]
    names.sort(key=lambda name: list(dict.fromkeys(families)).index(CORRUPTIONS[name].family))
    found = []
    for where in words:
        by_arm = _by_arm(rows, where)
        reference = by_arm.get(study.reference, [])
        if not reference:
            continue
        here = [row for runs in by_arm.values() for row in runs]
        table = [
            (arm, [_cell(here, arm, study.reference, name) for name in names])
            for arm in by_arm
            if arm != study.reference
        ]
        own = [f"{100 * np.mean([row[f'corrupted/{name}'] for row in reference]):.0f}" for name in names]
        found.append(HeatMap(where, [name.replace("_", " ") for name in names], groups, own, table))
    return found


def _cell(rows: Sequence[Row], arm: str, control: str, name: str) -> tuple[float, bool, str] | None:
    one = contrasts(rows, [(arm, control)], f"corrupted/{name}", ("condition",), 100)
    if not one:
        return None
    d = one[0].difference
    return d.mean, d.low > 0 or d.high < 0, verdict(d)


def _by_arm(rows: Sequence[Row], where: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["condition"] == where:
            found.setdefault(row["arm"], []).append(row)
    return found
