"""From the rows of a study to what people read: study.csv, study.html, figures, the summary on the screen."""

import shlex
import sys
from collections.abc import Sequence

from cnnlab._files import write_text
from cnnlab._tables import write_csv
from cnnlab.runs.record import number
from cnnlab.studies import charts as charts
from cnnlab.studies.arms import MATCHES
from cnnlab.studies.claims import judge
from cnnlab.studies.figures import draw_figures
from cnnlab.studies.html import Arm, StudyPage, render_study
from cnnlab.studies.plan import condition_words
from cnnlab.studies.records import learning_rate
from cnnlab.studies.results import StudyResult
from cnnlab.studies.rows import flat
from cnnlab.studies.spec import StudyDesign
from cnnlab.studies.statistics.contrasts import Contrast, family_p
from cnnlab.studies.statistics.power import seeds_needed
from cnnlab.studies.tables import all_numbers, chosen_rates, failed_runs, power_table, print_summary
from cnnlab.studies.words import verdict


def write_results(results: StudyResult) -> dict[str, float]:
    """study.csv, study.html, figures/*.png. Returns the numbers of the summary: the mean accuracy of each arm."""
    write_csv(flat(results.rows), results.folder / "study.csv")
    page = study_page(results)
    write_text(results.page, render_study(page))
    draw_figures(results, results.contrasts, page, results.folder / "figures")
    print_summary(results, page)
    return charts.means(results.rows, "accuracy")


def study_page(results: StudyResult) -> StudyPage:
    """Everything on the page. A part that the study has no numbers for says why."""
    study, rows, compared = results.study, results.rows, results.contrasts
    words = list(condition_words(study.conditions).values())
    missing = {}
    if not compared:
        missing["differences"] = "There is one arm: nothing to compare."
    elif len(study.all_seeds) == 1:
        missing["differences"] = "One seed has no interval."
    return StudyPage(
        name=study.name or results.folder.name,
        question=study.question,
        headline=_headline(results),
        facts=_facts(results),
        arms=[
            Arm(a.name, a.words, a.family, "reference" if a.name == study.reference else a.kind, a.line)
            for a in study.parsed_arms
        ],
        reference=study.reference,
        conditions=words,
        hypotheses=[(one.text, *judge(one, rows)) for one in study.claims],
        summary=_sentences(compared.get("accuracy", []), study, words),
        forests=[charts.forest(name, found, study.relevant, charts.rates_of(rows)) for name, found in compared.items()],
        curves=charts.learning_curves(rows, words),
        sizes=charts.by_size(rows),
        drift=charts.drift_curves(rows, words, results.plan.variances, study.filters),
        corruptions=charts.heat_maps(rows, study, words),
        table=all_numbers(rows),
        power=power_table(compared.get("accuracy", []), study.reference),
        learning_rates=chosen_rates(results.rates, condition_words(study.conditions)),
        failed=failed_runs(results.failed, condition_words(study.conditions)),
        commands=_commands(results),
        limits=_limits(results),
        missing=missing,
    )


def _headline(results: StudyResult) -> list[tuple[str, str]]:
    study, seconds = results.study, number(results.record.get("seconds"))
    found = [("runs", str(len(results.rows)))]
    if results.rates:
        runs = len(results.rates) * study.search_seeds * len(study.searched_rates)
        found.append(("runs to find learning rates", str(runs)))
    found += [("arms", str(len(study.arms))), ("seeds", str(len(study.all_seeds)))]
    found.append(("time", f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"))
    spreads = sorted(one.difference.sd for one in results.contrasts.get("accuracy", []) if one.difference.n > 1)
    if spreads and (needed := seeds_needed(spreads[len(spreads) // 2], study.relevant)):
        found.append((f"seeds for {study.relevant:g} point, median arm", str(needed)))
    return found


def _facts(results: StudyResult) -> dict[str, str]:
    data, study, seeds = results.plan.data, results.study, results.study.all_seeds
    height, width = data["image_size"]
    colour = "grey" if data["channels"] == 1 else "colour"
    recipe = study.full_recipe
    names = [recipe["optimizer"]["target"], recipe["schedule"]["target"]]
    optimizer, schedule = (name.rpartition(".")[2] for name in names)
    in_turn = list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    return {
        "data": f"{data['name']}: {len(data['class_names'])} classes, {height} by {width} pixels, {colour}",
        "images": ", ".join(f"{count:,} {split}" for split, count in data["images"].items()) + ", before subsets",
        "first layer": f"{study.filters} filters of {study.kernel_size}x{study.kernel_size} on each row of "
        "the channel mix, positive and negative parts",
        "matched": MATCHES[study.match],
        "later layers": f"widths {study.full_network['arguments']['widths']}",
        "optimizer": f"{optimizer}, lr {learning_rate(recipe):g} unless searched, {schedule}",
        "seeds": f"{seeds[0]} to {seeds[-1]}" if in_turn else str(list(seeds)),
        "trained together": f"up to {results.plan.at_once}",
        "device": str(results.record.get("device", "")),
        "commit": str(results.record.get("git_commit")),
    }


def _sentences(found: Sequence[Contrast], study: StudyDesign, words: Sequence[str]) -> list[str]:
    """Per condition: which arms differ from the reference, and how large a difference is left for the others."""
    lines = []
    for where in words:
        here = [c for c in found if dict(c.condition)["condition"] == where and c.control == study.reference]
        here = [c for c in here if c.difference.n > 1]
        clear = [c for c in here if (c.difference.low > 0 or c.difference.high < 0) and c.corrected_p <= 0.05]
        for one in clear:
            said = verdict(one.difference, relevant=study.relevant, corrected_p=one.corrected_p)
            lines.append(f"{where}: {one.arm} against {one.control}: {said}.")
        rest = [c for c in here if c not in clear]
        if rest:
            widest = max(max(-c.difference.low, c.difference.high) for c in rest)
            others = "no arm" if not clear else "none of the other arms"
            lines.append(
                f"{where}: {others} is shown to differ from {study.reference} in accuracy; no interval of theirs "
                f"reaches beyond {abs(widest):.1f} points."
            )
    return lines


def _commands(results: StudyResult) -> list[tuple[str, str]]:
    command = str(results.record.get("command", shlex.join(sys.argv)))
    study = results.study
    arm, size, seed = study.arms[0], study.conditions[0].size, study.all_seeds[0]
    one = f"'arms=[\"{arm}\"]' 'reference=\"{arm}\"' 'seeds=[{seed}]' 'train_sizes=[{size}]' 'hypotheses=[]'"
    return [
        ("the whole study", command),
        ("one run of it", f"{command} {one}"),
        ("after an interruption", f"python scripts/study.py resume={results.folder}"),
    ]


def _limits(results: StudyResult) -> list[str]:
    data, compared = results.plan.data, results.contrasts
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
        rates = results.study.searched_rates
        edge = [key for key, (lr, _) in results.rates.items() if lr in (min(rates), max(rates))]
        if edge:
            lines.append(
                f"In {len(edge)} of {len(results.rates)} cells the chosen learning rate lies at an end of the searched "
                f"range, {min(rates):g} to {max(rates):g}."
            )
    return lines
