"""From the rows of a study to what people read: study.csv, study.html, figures, the summary on the screen."""

import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from cnnlab._files import write_text
from cnnlab._tables import print_runs, write_csv
from cnnlab.draw.chart_figures import chart_figure
from cnnlab.draw.charts import Chart
from cnnlab.draw.forests import forest_figure
from cnnlab.draw.kernels import kernels_figure
from cnnlab.draw.saving import save_figure
from cnnlab.runs.record import number
from cnnlab.studies import charts
from cnnlab.studies.arms import MATCHES
from cnnlab.studies.claims import judge
from cnnlab.studies.html import Arm, StudyPage, render_study, styles
from cnnlab.studies.records import learning_rate
from cnnlab.studies.results import StudyResult
from cnnlab.studies.rows import flat, rates_apart
from cnnlab.studies.statistics.contrasts import family_p
from cnnlab.studies.statistics.power import seeds_needed
from cnnlab.studies.words import verdict

DPI = 120


def write_results(result: StudyResult) -> dict[str, float]:
    """study.csv, study.html, figures/*.png. Returns the numbers of the summary: the mean accuracy of each arm."""
    write_csv(flat(result.rows), result.folder / "study.csv")
    page = study_page(result)
    write_text(result.page, render_study(page))
    _draw(result, page)
    _print(result, page)
    means: dict[str, list[float]] = {}
    for row in result.rows:
        means.setdefault(f"{row['arm']}, {row['condition']}", []).append(row["accuracy"])
    return {name: float(np.mean(values)) for name, values in means.items()}


def study_page(result: StudyResult) -> StudyPage:
    """Everything on the page. A part that the study has no numbers for says why."""
    study, rows, compared = result.study, result.rows, result.contrasts
    missing = {}
    if not compared:
        missing["differences"] = "There is one arm: nothing to compare."
    elif len(study.all_seeds) == 1:
        missing["differences"] = "One seed has no interval."
    return StudyPage(
        name=study.name or result.folder.name,
        question=study.question,
        headline=_headline(result),
        facts=_facts(result),
        arms=[
            Arm(arm.name, arm.words, arm.family, "reference" if arm.name == study.reference else arm.kind, arm.line)
            for arm in study.parsed_arms
        ],
        reference=study.reference,
        conditions=result.conditions,
        hypotheses=[(one.text, *judge(one, rows)) for one in study.claims],
        summary=_sentences(result),
        forests=[charts.forest(name, those, result) for name, those in compared.items()],
        curves=charts.learning_curves(result),
        sizes=charts.by_size(rows),
        drift=charts.drift_curves(result),
        corruptions=charts.heat_maps(result),
        table=charts.all_numbers(rows),
        power=charts.power_table(compared.get("accuracy", []), study.reference),
        learning_rates=charts.chosen_rates(result),
        failed=charts.failed_runs(result),
        commands=_commands(result),
        limits=list(_limits(result)),
        missing=missing,
    )


def _headline(result: StudyResult) -> list[tuple[str, str]]:
    study, seconds = result.study, number(result.record.get("seconds"))
    headline = [("runs", str(len(result.rows)))]
    if result.rates:
        runs = len(result.rates) * study.search_seeds * len(study.searched_rates)
        headline.append(("runs to find learning rates", str(runs)))
    headline += [("arms", str(len(study.arms))), ("seeds", str(len(study.all_seeds)))]
    headline.append(("time", f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"))
    spreads = sorted(one.difference.sd for one in result.contrasts.get("accuracy", []) if one.difference.n > 1)
    if spreads and (needed := seeds_needed(spreads[len(spreads) // 2], study.relevant)):
        headline.append((f"seeds for {study.relevant:g} point, median arm", str(needed)))
    return headline


def _facts(result: StudyResult) -> dict[str, str]:
    data, study, seeds = result.plan.data, result.study, result.study.all_seeds
    height, width = data["image_size"]
    recipe = study.full_recipe
    optimizer, schedule = (recipe[part]["target"].rpartition(".")[2] for part in ("optimizer", "schedule"))
    in_turn = list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    return {
        "data": f"{data['name']}: {len(data['class_names'])} classes, {height} by {width} pixels, "
        f"{'grey' if data['channels'] == 1 else 'colour'}",
        "images": ", ".join(f"{count:,} {split}" for split, count in data["images"].items()) + ", before subsets",
        "first layer": f"{study.filters} filters of {study.kernel_size}x{study.kernel_size} on each row of "
        "the channel mix, positive and negative parts",
        "matched": MATCHES[study.match],
        "later layers": f"widths {study.full_network['arguments']['widths']}",
        "optimizer": f"{optimizer}, lr {learning_rate(recipe):g} unless searched, {schedule}",
        "seeds": f"{seeds[0]} to {seeds[-1]}" if in_turn else str(list(seeds)),
        "trained together": f"up to {result.plan.at_once}",
        "device": str(result.record.get("device", "")),
        "commit": str(result.record.get("git_commit")),
    }


def _sentences(result: StudyResult) -> list[str]:
    """Per condition: which arms differ from the reference, and how large a difference is left for the others."""
    lines, study = [], result.study
    for condition in result.conditions:
        here = [
            one
            for one in result.contrasts.get("accuracy", [])
            if (one.condition, one.control) == (condition, study.reference) and one.difference.n > 1
        ]
        for one in here:
            if one.holds:
                said = verdict(one.difference, relevant=study.relevant, corrected_p=one.corrected_p)
                lines.append(f"{condition}: {one.arm} against {one.control}: {said}.")
        rest = [one.difference for one in here if not one.holds]
        if rest:
            widest = max(max(-d.low, d.high) for d in rest)
            others = "no arm" if len(rest) == len(here) else "none of the other arms"
            lines.append(
                f"{condition}: {others} is shown to differ from {study.reference} in accuracy; no interval of theirs "
                f"reaches beyond {abs(widest):.1f} points."
            )
    return lines


def _commands(result: StudyResult) -> list[tuple[str, str]]:
    command = str(result.record.get("command", shlex.join(sys.argv)))
    study = result.study
    arm, size, seed = study.arms[0], study.conditions[0].size, study.all_seeds[0]
    one = f"'arms=[\"{arm}\"]' 'reference=\"{arm}\"' 'seeds=[{seed}]' 'train_sizes=[{size}]' 'hypotheses=[]'"
    return [
        ("the whole study", command),
        ("one run of it", f"{command} {one}"),
        ("after an interruption", f"python scripts/study.py resume={result.folder}"),
    ]


def _limits(result: StudyResult) -> Iterator[str]:
    yield "One network, one optimizer, one data set: what holds here need not hold elsewhere."
    if tested := result.plan.data["images"].get("test"):
        yield f"{tested:,} test images: one of them is {100 / tested:.2g} points."
    yield (
        "Seeds differ in the split, the subset, the order, the augmentation and the start of later layers; "
        "the test images are the same for all."
    )
    compared = result.contrasts.get("area", [])
    apart = [one for one in compared if rates_apart(result.rows, one.arm, one.control, one.condition)]
    if apart:
        yield (
            f"In {len(apart)} of {len(compared)} comparisons the search chose different learning rates for the two "
            "arms: their speed, the area and the steps, is that of the rates too. At one rate for all: search_seeds=0."
        )
    family = [one.difference for one in result.contrasts.get("accuracy", [])]
    if any(p is not one.p for p, one in zip(family_p(family), family, strict=True)):
        yield (
            f"With so few seeds a sign-flip test can't be significant after correction for {len(family)} comparisons; "
            "it starts from Student's paired t-test, which takes the differences to be normal."
        )
    rates = result.study.searched_rates
    edge = [lr for lr, _ in result.rates.values() if lr in (min(rates), max(rates))]
    if edge:
        yield (
            f"In {len(edge)} of {len(result.rates)} cells the chosen learning rate lies at an end of the searched "
            f"range, {min(rates):g} to {max(rates):g}."
        )


def _draw(result: StudyResult, page: StudyPage) -> None:
    """The figures as PNG: forests, learning curves, drift, the first layers before and after."""
    folder, dressed = result.folder / "figures", styles(page.arms)
    for name, forest in zip(result.contrasts, page.forests, strict=True):
        save_figure(forest_figure(forest), folder / f"{name}.png", DPI)
    pictures: dict[str, list[Chart]] = {"curves": list(page.curves), "sizes": list(page.sizes)}
    for chart in page.drift:
        title = chart.title.partition(":")[0].lower().replace(", ", "_").replace(" ", "_")
        pictures.setdefault(f"drift_{title}", []).append(chart)
    for name, those in pictures.items():
        if those:
            # A panel per condition, the measure as the figure's title.
            panels = [replace(one.styled(dressed), title=one.title.rpartition(": ")[2]) for one in those]
            save_figure(chart_figure(panels, those[0].y), folder / f"{name}.png", DPI)
    for place, condition in enumerate(page.conditions):
        layers = _layers(result, condition)
        if layers:
            save_figure(kernels_figure(layers, condition), folder / f"kernels_{place}.png", DPI)


def _layers(result: StudyResult, condition: str) -> dict[str, tuple[Tensor, Tensor]]:
    """Of the first seed: {arm: (before, after)}, each (O, C, h, w)."""
    layers = {}
    for row in result.rows:
        if (row["seed"], row["condition"]) == (result.study.all_seeds[0], condition):
            before, after = (torch.tensor(np.array(kernels)) for kernels in row["kernels"])
            layers[row["arm"]] = before, after
    return layers


def _print(result: StudyResult, page: StudyPage) -> None:
    """The table, what came out in words, where to look."""
    assert page.table is not None
    shown = [name for name in page.table.columns if name not in ("diverged", "seeds")]
    rows = [dict(zip(page.table.columns, line, strict=True)) for line in page.table.rows]
    print_runs(f"{page.name}: {len(result.study.all_seeds)} seeds", [{k: row[k] for k in shown} for row in rows])
    for text, said, state in page.hypotheses:
        print(f"[{state}] {text} {said}")
    for line in page.summary:
        print(line)
    for run, why in result.failed:
        print(f"failed: {run.arm.name}, {result.condition_words[run.condition]}, seed {run.seed}: {why}")
    print(f"page: {result.page}")
