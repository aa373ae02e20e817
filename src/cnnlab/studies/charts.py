"""The pictures and tables of a study's page as numbers. S seeds."""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite

import numpy as np
import torch
from scipy import stats

from cnnlab.data.corruptions.corruptions import CORRUPTIONS
from cnnlab.draw.charts import Chart, Point, lines_of
from cnnlab.draw.forests import Compared, Forest
from cnnlab.studies.claims import QUANTITIES
from cnnlab.studies.html import HeatMap, Table
from cnnlab.studies.plan import Drift
from cnnlab.studies.results import StudyResult
from cnnlab.studies.rows import Row, cells_of, rates_apart
from cnnlab.studies.statistics.contrasts import Contrast, contrasts
from cnnlab.studies.statistics.curves import Reached, median_steps
from cnnlab.studies.statistics.power import minimum_detectable, seeds_needed, spread_interval
from cnnlab.studies.statistics.profiles import random_correlation, whitening_profile
from cnnlab.studies.words import verdict


def forest(name: str, compared: Sequence[Contrast], result: StudyResult) -> Forest:
    quantity = QUANTITIES[name]
    relevant = result.study.relevant if quantity.unit == "points" else 0.0
    rows = []
    for one in compared:
        d = one.difference
        words = verdict(d, quantity.unit, relevant or None, quantity.better, one.corrected_p)
        words += rates_apart(result.rows, one.arm, one.control, one.condition)
        rows.append(
            Compared(
                one.arm, one.control, one.condition, d.mean, d.low, d.high, d.n, words, d.excludes_zero, one.holds
            )
        )  # fmt: skip
    title = quantity.words[0].upper() + quantity.words[1:]
    return Forest(title, quantity.unit, relevant, quantity.better, quantity.lead, rows)


def learning_curves(result: StudyResult) -> list[Chart]:
    charts = []
    for condition in result.conditions:
        lines = {}
        for arm, runs in _by_arm(result.rows, condition).items():
            steps = [step for step, _ in runs[0]["curve"]]
            lines[arm] = [_band(s, [100 * row["curve"][i][1] for row in runs]) for i, s in enumerate(steps)]
        charts.append(Chart(condition, "step", "validation accuracy in per cent", lines_of(lines), spread=True))
    return charts


def by_size(rows: Sequence[Row]) -> list[Chart]:
    """Accuracy by number of images, where there are two numbers or more; "all" has no place on the axis."""
    sizes = sorted({size for row in rows if isinstance(size := row["train_size"], int)})
    if len(sizes) < 2:
        return []
    lines: dict[str, list[Point]] = {}
    for arm in dict.fromkeys(row["arm"] for row in rows):
        for size in sizes:
            values = [100 * row["accuracy"] for row in rows if row["arm"] == arm and row["train_size"] == size]
            lines.setdefault(arm, []).append(_band(size, values))
    return [Chart("Accuracy at the end", "training images", "test accuracy in per cent", lines_of(lines), spread=True)]


def drift_curves(result: StudyResult) -> list[Chart]:
    """Correlation with the reference profile, with whitening, and with the start, over epochs, with their nulls."""
    white_D = whitening_profile(torch.tensor(result.plan.variances, dtype=torch.float64))
    null = random_correlation(white_D, result.study.filters)
    measures: list[tuple[Callable[[Drift], float | None], str, str]] = [
        (
            lambda point: point.get("likeness"),
            "Profile, to the reference",
            "correlation of the energy profile with the reference profile",
        ),
        (
            lambda point: point.get("whitening"),
            "Profile, to whitening",
            f"correlation of the energy profile with whitening; of random layers 95 % lie below {null:.2f}",
        ),
        (lambda point: point["cosine"], "Kernels, to their start", "cosine between the kernels and their start"),
    ]
    charts = []
    for measure, title, y in measures:
        for condition in result.conditions:
            lines = {
                arm: points
                for arm, runs in _by_arm(result.rows, condition).items()
                if (points := _over_epochs([row["drift"] for row in runs], measure))
            }
            if lines:
                charts.append(Chart(f"{title}: {condition}", "epoch", y, lines_of(lines), spread=True))
    return charts


def _over_epochs(drifts: Sequence[list[Drift]], measure: Callable[[Drift], float | None]) -> list[Point]:
    points = []
    for number, first in enumerate(drifts[0]):
        values = [measure(drift[number]) for drift in drifts if number < len(drift)]
        finite = [value for value in values if value is not None and isfinite(value)]
        points += [_band(first["epoch"], finite)] if finite else []
    return points


def heat_maps(result: StudyResult) -> list[HeatMap]:
    columns = dict.fromkeys(name for row in result.rows for name in row["corruptions"] if name.count("/") == 1)
    names = [name.partition("/")[2] for name in columns]
    families = [CORRUPTIONS[name].family for name in names]
    groups = [(family, families.count(family)) for family in dict.fromkeys(families)]
    names.sort(key=lambda name: list(dict.fromkeys(families)).index(CORRUPTIONS[name].family))
    cells = {name: cells_of(result.rows, f"corrupted/{name}", 100) for name in names}
    reference, heats = result.study.reference, []
    for condition in result.conditions if names else ():
        arms = list(_by_arm(result.rows, condition))
        if reference not in arms:
            continue
        table = []
        for arm in arms:
            here = [_only(cells[name], (arm, reference), condition) for name in names]
            table += [] if arm == reference else [(arm, [_cell(contrasts(c, [(arm, reference)])) for c in here])]
        own = [f"{np.mean(list(cells[name][reference, condition].values())):.0f}" for name in names]
        heats.append(HeatMap(condition, [name.replace("_", " ") for name in names], groups, own, table))
    return heats


def _only(
    cells: Mapping[tuple[str, str], Mapping[int, float]], arms: Sequence[str], condition: str
) -> dict[tuple[str, str], Mapping[int, float]]:
    return {key: cells[key] for arm in arms if (key := (arm, condition)) in cells}


def _cell(compared: Sequence[Contrast]) -> tuple[float, bool, str] | None:
    if not compared:
        return None
    d = compared[0].difference
    return d.mean, d.excludes_zero, verdict(d)


def all_numbers(rows: Sequence[Row]) -> Table:
    """One row per arm and condition."""
    lines: list[list[str | float | None]] = []
    for condition in dict.fromkeys(row["condition"] for row in rows):
        for arm, runs in _by_arm(rows, condition).items():
            accuracy = 100 * np.array([row["accuracy"] for row in runs])
            reached = [Reached(row["steps"], not row["reached"]) for row in runs if "steps" in row]
            corrupted = [row["corruptions"]["corrupted"] for row in runs if row["corruptions"]]
            lines.append([
                arm, condition, runs[0]["lr"], len(runs), float(accuracy.mean()),
                float(accuracy.std(ddof=1)) if len(runs) > 1 else None,
                100 * float(np.mean([row["area"] for row in runs])),
                median_steps(reached), sum(one.censored for one in reached),
                100 * float(np.mean(corrupted)) if corrupted else None,
                sum(row["diverged"] is not None for row in runs),
            ])  # fmt: skip
    columns = ["arm", "condition", "learning rate", "seeds", "accuracy %", "sd", "area %",
               "median steps to the threshold", "never", "corrupted %", "diverged"]  # fmt: skip
    return Table(columns, [None, None, 3, 0, 2, 2, 1, 0, 0, 1, 0], lines)


def power_table(compared: Sequence[Contrast], reference: str) -> Table | None:
    lines: list[list[str | float | None]] = []
    for one in compared:
        d = one.difference
        if one.control == reference and d.n > 1 and d.sd > 0:
            low, high = spread_interval(d.sd, d.n)
            needed, corrected = (seeds_needed(d.sd, 1.0, alpha=0.05 / family) for family in (1, len(compared)))
            spread, least = f"{low:.2f} to {high:.2f}", minimum_detectable(d.n, d.sd)
            lines.append([one.arm, one.condition, d.sd, spread, d.n, least, needed, corrected])
    columns = [f"arm against {reference}", "condition", "sd of differences", "95 % confidence interval", "seeds",
               "minimum detectable difference", "seeds for 1 point", "after correction"]  # fmt: skip
    return Table(columns, [None, None, 2, None, 0, 2, 0, 0], lines) if lines else None


def chosen_rates(result: StudyResult) -> Table | None:
    words = result.condition_words
    lines: list[list[str | float]] = [
        [arm, words[condition], lr, 100 * score] for (arm, condition), (lr, score) in result.rates.items()
    ]
    columns = ["arm", "condition", "learning rate", "validation accuracy %"]
    return Table(columns, [None, None, 3, 2], lines) if lines else None


def failed_runs(result: StudyResult) -> Table | None:
    words = result.condition_words
    lines: list[list[str | float]] = [[run.arm.name, words[run.condition], run.seed, why] for run, why in result.failed]
    return Table(["arm", "condition", "seed", "error"], [None, None, 0, None], lines) if lines else None


def _band(x: float, values_S: Sequence[float]) -> Point:
    """(x, mean, low, high): the 95 % confidence interval of the mean by Student's t."""
    value_S = np.asarray(values_S, dtype=float)
    mean, half = float(value_S.mean()), 0.0
    if len(value_S) > 1:
        half = float(stats.t.ppf(0.975, len(value_S) - 1) * value_S.std(ddof=1) / len(value_S) ** 0.5)
    return float(x), mean, mean - half, mean + half


def _by_arm(rows: Sequence[Row], condition: str) -> dict[str, list[Row]]:
    by_arm: dict[str, list[Row]] = {}
    for row in rows:
        if row["condition"] == condition:
            by_arm.setdefault(row["arm"], []).append(row)
    return by_arm
