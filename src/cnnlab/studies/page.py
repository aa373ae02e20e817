"""From the rows of a study to what people read: study.csv, study.html, figures, the summary on the screen."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnlab._files import write_text
from cnnlab._tables import write_csv
from cnnlab.studies import charts as charts
from cnnlab.studies.claims import QUANTITIES, judge
from cnnlab.studies.figures import draw_figures
from cnnlab.studies.html import Arm, StudyPage, render_study
from cnnlab.studies.plan import Condition, Run, condition_words
from cnnlab.studies.rows import flat
from cnnlab.studies.spec import Study
from cnnlab.studies.starts import words_of
from cnnlab.studies.statistics.contrasts import Contrast, contrasts, family_p
from cnnlab.studies.statistics.power import seeds_needed
from cnnlab.studies.tables import all_numbers, chosen_rates, failed_runs, power_table, print_summary
from cnnlab.studies.words import verdict

COMPARED = ("accuracy", "area", "steps", "corrupted")


@dataclass(frozen=True)
class Results:
    """rates: (arm, condition) -> (learning rate, its validation accuracy). failed: (run, why). record: summary.json."""

    study: Study
    rows: list[dict[str, Any]]
    rates: dict[tuple[str, Condition], tuple[float, float]]
    failed: list[tuple[Run, str]]
    plan: dict[str, Any]
    config: dict[str, Any]
    record: dict[str, Any]


def write_results(results: Results, folder: Path) -> dict[str, float]:
    """study.csv, study.html, figures/*.png. Returns the numbers of the summary: the mean accuracy of each arm."""
    write_csv(flat(results.rows), folder / "study.csv")
    compared = compare(results)
    page = study_page(results, compared, folder)
    write_text(folder / "study.html", render_study(page))
    draw_figures(results, compared, page, folder / "figures")
    print_summary(results, page, folder)
    return charts.means(results.rows, "accuracy")


def compare(results: Results) -> dict[str, list[Contrast]]:
    """quantity -> all its comparisons, which are one family for the correction."""
    have = {row["arm"] for row in results.rows}
    pairs = [pair for pair in results.study.pairs if set(pair) <= have]
    found = {}
    for name in COMPARED:
        if pairs and any(row.get(name) is not None for row in results.rows):
            factor = QUANTITIES[name].factor
            found[name] = contrasts(results.rows, pairs, name, ("condition",), factor)
    return found


def study_page(results: Results, compared: dict[str, list[Contrast]], folder: Path) -> StudyPage:
    """Everything on the page. A part that the study has no numbers for says why."""
    study, rows, config = results.study, results.rows, results.config
    words = list(condition_words(study.conditions).values())
    missing = {}
    if not compared:
        missing["differences"] = "There is one arm: nothing to compare."
    elif len(study.seeds) == 1:
        missing["differences"] = "One seed has no interval."
    return StudyPage(
        name=results.record.get("study", folder.name),
        question=config["question"],
        headline=_headline(results, compared),
        facts=_facts(results),
        arms=[Arm(a.name, a.words, a.family, "reference" if a == study.reference else a.kind) for a in study.arms],
        reference=study.reference.name,
        conditions=words,
        hypotheses=[(one.text, *judge(one, rows)) for one in study.hypotheses],
        summary=_sentences(compared.get("accuracy", []), study, config["relevant"], words),
        forests=[
            charts.forest(name, found, config["relevant"], charts.rates_of(rows)) for name, found in compared.items()
        ],
        curves=charts.learning_curves(rows, words),
        sizes=charts.by_size(rows),
        drift=charts.drift_curves(rows, words, results.plan["variances"], config["filters"]),
        corruptions=charts.heat_maps(rows, study, words),
        table=all_numbers(rows),
        power=power_table(compared.get("accuracy", []), study.reference.name),
        learning_rates=chosen_rates(results.rates, condition_words(study.conditions)),
        failed=failed_runs(results.failed, condition_words(study.conditions)),
        commands=_commands(results, folder),
        limits=_limits(results, compared),
        missing=missing,
    )


def _headline(results: Results, compared: dict[str, list[Contrast]]) -> list[tuple[str, str]]:
    seconds = results.record.get("seconds", 0.0)
    found = [("runs", str(len(results.rows)))]
    if results.rates:
        runs = len(results.rates) * results.study.search_seeds * len(results.study.rates)
        found.append(("runs to find learning rates", str(runs)))
    found += [("arms", str(len(results.study.arms))), ("seeds", str(len(results.study.seeds)))]
    found.append(("time", f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"))
    spreads = sorted(one.difference.sd for one in compared.get("accuracy", []) if one.difference.n > 1)
    if spreads and (needed := seeds_needed(spreads[len(spreads) // 2], results.config["relevant"])):
        found.append((f"seeds for {results.config['relevant']:g} point, median arm", str(needed)))
    return found


def _facts(results: Results) -> dict[str, str]:
    data, config = results.plan["data"], results.config
    height, width = data["image_size"]
    colour = "grey" if data["channels"] == 1 else "colour"
    seeds = results.study.seeds
    return {
        "data": f"{data['name']}: {len(data['class_names'])} classes, {height} by {width} pixels, {colour}",
        "images": ", ".join(f"{count:,} {split}" for split, count in data["images"].items()) + ", before subsets",
        "first layer": f"{config['filters']} filters of {config['kernel_size']}x{config['kernel_size']} on each row of "
        "the channel mix, positive and negative parts",
        "matched": words_of(config["match"]),
        "later layers": f"widths {config['model']['widths']}",
        "optimizer": f"{config['optimizer']['_target_'].rpartition('.')[2]}, lr {config['optimizer']['lr']:g} unless "
        f"searched, {config['schedule']['_target_'].rpartition('.')[2]}",
        "seeds": f"{seeds[0]} to {seeds[-1]}"
        if list(seeds) == list(range(seeds[0], seeds[-1] + 1))
        else str(list(seeds)),
        "trained together": f"up to {results.plan['at_once']}",
        "device": str(results.record.get("device", "")),
        "commit": str(results.record.get("git_commit")),
    }


def _sentences(found: Sequence[Contrast], study: Study, relevant: float, words: Sequence[str]) -> list[str]:
    """Per condition: which arms differ from the reference, and how large a difference is left for the others."""
    lines = []
    for where in words:
        here = [c for c in found if dict(c.condition)["condition"] == where and c.control == study.reference.name]
        here = [c for c in here if c.difference.n > 1]
        clear = [c for c in here if (c.difference.low > 0 or c.difference.high < 0) and c.corrected_p <= 0.05]
        for one in clear:
            said = verdict(one.difference, relevant=relevant, corrected_p=one.corrected_p)
            lines.append(f"{where}: {one.arm} against {one.control}: {said}.")
        rest = [c for c in here if c not in clear]
        if rest:
            widest = max(max(-c.difference.low, c.difference.high) for c in rest)
            others = "no arm" if not clear else "none of the other arms"
            lines.append(
                f"{where}: {others} is shown to differ from {study.reference.name} in accuracy; no interval of theirs "
                f"reaches beyond {abs(widest):.1f} points."
            )
    return lines


def _commands(results: Results, folder: Path) -> list[tuple[str, str]]:
    command = str(results.record.get("command", shlex.join(sys.argv)))
    study = results.study
    arm, condition, seed = study.arms[0], study.conditions[0], study.seeds[0]
    size = condition.train_size or "all"
    one = f"'arms=[\"{arm.name}\"]' 'reference=\"{arm.name}\"' 'seeds=[{seed}]' 'train_sizes=[{size}]' 'hypotheses=[]'"
    whole = command
    return [
        ("the whole study", whole),
        ("one run of it", f"{whole} {one}"),
        ("after an interruption", f"python scripts/study.py resume={folder}"),
    ]


def _limits(results: Results, compared: dict[str, list[Contrast]]) -> list[str]:
    data = results.plan["data"]
    tested = data["images"].get("test")
    lines = ["One network, one optimizer, one data set: what holds here need not hold elsewhere."]
    if tested:
        lines.append(f"{tested:,} test images: one of them is {100 / tested:.2g} points.")
    lines.append("Seeds differ in the split, the subset, the order, the augmentation and the start of later layers; "
                 "the test images are the same for all.")  # fmt: skip
    rates = charts.rates_of(results.rows)
    pairs = [(c.arm, c.control, dict(c.condition)["condition"]) for c in compared.get("area", [])]
    apart = [pair for pair in pairs if charts.at_rates(*pair, rates)]
    if apart:
        lines.append(
            f"In {len(apart)} of {len(pairs)} comparisons the search chose different learning rates for the two arms: "
            "their speed, the area and the steps, is that of the rates too. At one rate for all: search_seeds=0."
        )
    family = [one.difference for one in compared.get("accuracy", [])]
    if family and any(p is not one.p for p, one in zip(family_p(family), family, strict=True)):
        lines.append(
            f"With so few seeds a sign-flip test can't outlast the correction for {len(family)} comparisons; it starts "
            "from Student's paired t-test, which takes the differences to be normal."
        )
    if results.rates:
        rates = results.study.rates
        edge = [key for key, (lr, _) in results.rates.items() if lr in (min(rates), max(rates))]
        if edge:
            lines.append(
                f"In {len(edge)} of {len(results.rates)} cells the chosen learning rate lies at an end of the searched "
                f"range, {min(rates):g} to {max(rates):g}."
            )
    return lines
