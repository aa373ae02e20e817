"""The tables of a study's page, and what it prints."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnnlab._tables import print_runs
from cnnlab.studies.html import StudyPage, Table
from cnnlab.studies.plan import Condition, Run, condition_words
from cnnlab.studies.statistics.contrasts import Contrast
from cnnlab.studies.statistics.curves import Reached, survival
from cnnlab.studies.statistics.power import seeds_needed, smallest_seen, spread_interval

Row = dict[str, Any]


def all_numbers(rows: Sequence[Row]) -> Table:
    """A line an arm and condition."""
    lines = []
    for condition, arm in dict.fromkeys((row["condition"], row["arm"]) for row in rows):
        runs = [row for row in rows if row["condition"] == condition and row["arm"] == arm]
        accuracy = 100 * np.array([row["accuracy"] for row in runs])
        reached = [Reached(row["steps"], not row["reached"]) for row in runs if "steps" in row]
        times = survival(reached) if reached else None
        corrupted = [row["corrupted"] for row in runs if row.get("corrupted") is not None]
        lines.append([
            arm, condition, runs[0]["lr"], len(runs), float(accuracy.mean()),
            float(accuracy.std(ddof=1)) if len(runs) > 1 else None,
            100 * float(np.mean([row["area"] for row in runs])),
            times.median if times else None, sum(one.censored for one in reached),
            100 * float(np.mean(corrupted)) if corrupted else None,
            sum(row["diverged"] is not None for row in runs),
        ])  # fmt: skip
    columns = ["arm", "condition", "learning rate", "seeds", "accuracy %", "sd", "area %",
               "median steps to the threshold", "never", "corrupted %", "diverged"]  # fmt: skip
    return Table(columns, [None, None, 3, 0, 2, 2, 1, 0, 0, 1, 0], lines)


def power_table(found: Sequence[Contrast], reference: str) -> Table | None:
    chosen = [one for one in found if one.control == reference and one.difference.n > 1 and one.difference.sd > 0]
    if not chosen:
        return None
    lines = []
    for one in chosen:
        d = one.difference
        low, high = spread_interval(d.sd, d.n)
        needed, corrected = seeds_needed(d.sd, 1.0), seeds_needed(d.sd, 1.0, alpha=0.05 / len(found))
        where = dict(one.condition)["condition"]
        seen = smallest_seen(d.n, d.sd)
        lines.append([one.arm, where, d.sd, f"{low:.2f} to {high:.2f}", d.n, seen, needed, corrected])
    columns = [f"arm against {reference}", "condition", "sd of differences", "its interval", "seeds", "smallest seen",
               "seeds for 1 point", "after correction"]  # fmt: skip
    return Table(columns, [None, None, 2, None, 0, 2, 0, 0], lines)


def chosen_rates(
    rates: Mapping[tuple[str, Condition], tuple[float, float]], words: Mapping[Condition, str]
) -> Table | None:
    if not rates:
        return None
    lines = [[arm, words[condition], lr, 100 * score] for (arm, condition), (lr, score) in rates.items()]
    return Table(["arm", "condition", "learning rate", "validation accuracy %"], [None, None, 3, 2], lines)


def failed_runs(failed: Sequence[tuple[Run, str]], words: Mapping[Condition, str]) -> Table | None:
    if not failed:
        return None
    lines = [[run.arm.name, words[run.condition], run.seed, why] for run, why in failed]
    return Table(["arm", "condition", "seed", "error"], [None, None, 0, None], lines)


def print_summary(results: Any, page: StudyPage) -> None:
    """The table, what came out in words, where to look."""
    assert page.table is not None
    shown = [name for name in page.table.columns if name not in ("diverged", "seeds")]
    rows = [dict(zip(page.table.columns, line, strict=True)) for line in page.table.rows]
    print_runs(f"{page.name}: {len(results.study.all_seeds)} seeds", [{k: row[k] for k in shown} for row in rows])
    for text, said, state in page.hypotheses:
        print(f"[{state}] {text} {said}")
    for line in page.summary:
        print(line)
    words = condition_words(results.study.conditions)
    for run, why in results.failed:
        print(f"failed: {run.arm.name}, {words[run.condition]}, seed {run.seed}: {why}")
    print(f"page: {results.page}")
