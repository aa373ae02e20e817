"""A study made up of random numbers."""

from math import log1p
from typing import Any

import numpy as np
import pytest

from cnnlab.data.corruptions.corruptions import corruptions_for
from cnnlab.draw.charts import Chart, lines_of
from cnnlab.draw.forests import Compared, Forest
from cnnlab.studies.html import Arm, HeatMap, StudyPage, Table
from cnnlab.studies.statistics.contrasts import Cells, Contrast, contrasts
from cnnlab.studies.statistics.curves import area_under_curve, median_steps, steps_to
from cnnlab.studies.statistics.power import minimum_detectable, seeds_needed, spread_interval
from cnnlab.studies.words import verdict

ARMS = (
    Arm("kaiming", "Kaiming normal, trainable: what PyTorch users do", "kaiming", "reference"),
    Arm("derivatives", "Sobel dy and dx, Laplacian; trainable", "derivatives", "bank"),
    Arm("derivatives, permuted", "the same, pixels permuted alike in all kernels", "derivatives", "permuted", "dashed"),
    Arm("derivatives, shuffled", "the same, pixels shuffled in each kernel", "derivatives", "shuffled", "dotted"),
    Arm("jet", "all nine 3x3 cosines (DCT), orthonormal", "jet", "bank"),
    Arm("jet, permuted", "the same, pixels permuted alike in all kernels", "jet", "permuted", "dashed"),
    Arm("gabor", "Gabor, two scales, four orientations", "gabor", "bank"),
    Arm("pca", "principal components of training patches", "pca", "bank"),
    Arm("orthonormal", "random, orthonormal rows", "orthonormal", "random"),
    Arm("derivatives, frozen", "Sobel dy and dx, Laplacian; never trained", "frozen derivatives", "bank"),
)
LIFT = dict(zip([arm.name for arm in ARMS], [0, 5, 0.5, 0, 6, 2, 4, 5, 1.5, -4], strict=True))
END = dict(zip([arm.name for arm in ARMS], [0, 0.2, 0.0, -0.1, 0.9, 0.1, 0.3, 0.6, 0.4, -3.6], strict=True))
SIZES, SEEDS, STEPS = (100, 1000), 16, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256]
WORDS = {size: f"{size:,} images" for size in SIZES}
CORRUPTIONS = corruptions_for(1)


def _rows() -> list[dict[str, Any]]:
    generator = np.random.default_rng(0)
    rows = []
    for size in SIZES:
        top, pace = (88, 30) if size == 100 else (97, 12)
        for seed in range(SEEDS):
            shared = generator.normal(0, 1.5 if size == 100 else 0.6)
            for arm in LIFT:
                own = generator.normal(0, 0.9 if size == 100 else 0.35)
                end = top + shared + own + END[arm] * (1.5 if size == 100 else 0.6)
                curve = [
                    10 + (end - 10) * (1 - np.exp(-step / (pace * (1 - LIFT[arm] / 12)))) + generator.normal(0, 0.5)
                    for step in STEPS
                ]
                reached = steps_to(0.9 * top, STEPS, curve)
                row = {"arm": arm, "seed": seed, "train_size": size, "accuracy": end / 100, "curve": curve}
                row |= {"auc": area_under_curve(STEPS, curve), "reached": reached}
                row |= {name: (end - 8 - 9 * (i % 4) + generator.normal(0, 2) + 3 * END[arm]) / 100
                        for i, name in enumerate(CORRUPTIONS)}  # fmt: skip
                rows.append(row)
    return rows


def _cells(rows: list[dict[str, Any]], name: str, factor: float = 1.0) -> Cells:
    cells: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        cells.setdefault((row["arm"], WORDS[row["train_size"]]), {})[row["seed"]] = factor * row[name]
    return cells


def _forest(found: list[Contrast], quantity: str, lead: str) -> Forest:
    rows = []
    for one in found:
        d = one.difference
        words = verdict(d, corrected_p=one.corrected_p)
        rows.append(
            Compared(one.arm, one.control, one.condition, d.mean, d.low, d.high, d.n, words, d.excludes_zero, one.holds)
        )
    return Forest(quantity, "points", 1.0, "higher", lead, rows)


def _curves(rows: list[dict[str, Any]], size: int) -> Chart:
    lines = {}
    for arm in LIFT:
        values = np.array([row["curve"] for row in rows if row["arm"] == arm and row["train_size"] == size])
        half = 2.13 * values.std(axis=0, ddof=1) / 4
        lines[arm] = [(s, m, m - h, m + h) for s, m, h in zip(STEPS, values.mean(axis=0), half, strict=True)]
    return Chart(f"{size:,} images", "step", "validation accuracy in per cent", lines_of(lines), spread=True)


def _drift(title: str, shape: Any) -> Chart:
    lines = {
        arm: [(e, *(shape(e, i) + d for d in (0, -0.02, 0.02))) for e in range(0, 21, 2)] for i, arm in enumerate(LIFT)
    }
    return Chart(title, "epoch", title, lines_of(lines))


def _heat(rows: list[dict[str, Any]], size: int) -> HeatMap:
    chosen = [row for row in rows if row["train_size"] == size]
    table = []
    for arm in [arm for arm in LIFT if arm != "kaiming"]:
        cells = []
        for name in CORRUPTIONS:
            d = contrasts(_cells(chosen, name, 100), [(arm, "kaiming")])[0].difference
            cells.append((d.mean, d.excludes_zero, verdict(d)))
        table.append((arm, cells))
    own = [f"{100 * np.mean([row[name] for row in chosen if row['arm'] == 'kaiming']):.0f}" for name in CORRUPTIONS]
    families = list(CORRUPTIONS.values())
    groups = [(family, families.count(family)) for family in dict.fromkeys(families)]
    return HeatMap(WORDS[size], list(CORRUPTIONS), groups, own, table)


def _table(rows: list[dict[str, Any]]) -> Table:
    lines = []
    for size in SIZES:
        for arm in LIFT:
            runs = [row for row in rows if row["arm"] == arm and row["train_size"] == size]
            accuracy = 100 * np.array([row["accuracy"] for row in runs])
            median = median_steps([row["reached"] for row in runs])
            late = sum(row["reached"].censored for row in runs)
            auc = float(np.mean([row["auc"] for row in runs]))
            lines.append([arm, size, float(accuracy.mean()), float(accuracy.std(ddof=1)), auc, median, late])
    columns = [
        "arm",
        "images",
        "accuracy %",
        "sd",
        "area",
        "median steps to 90 % of the end",
        "never",
    ]
    return Table(columns, [None, 0, 2, 2, 1, 0, 0], lines)


def _power(found: list[Contrast]) -> Table:
    lines = []
    for one in found:
        d = one.difference
        low, high = spread_interval(d.sd, d.n)
        needed, corrected = seeds_needed(d.sd, 1.0), seeds_needed(d.sd, 1.0, alpha=0.05 / len(found))
        lines.append(
            [
                one.arm,
                one.condition,
                d.sd,
                f"{low:.2f} to {high:.2f}",
                d.n,
                minimum_detectable(d.n, d.sd),
                needed,
                corrected,
            ]
        )
    columns = [
        "arm against kaiming",
        "images",
        "sd of differences",
        "its interval",
        "seeds",
        "minimum detectable difference",
    ]
    columns += ["seeds for 1 point", "after correction"]
    return Table(columns, [None, None, 2, None, 0, 2, 0, 0], lines)


def _ended(rows: list[dict[str, Any]], arm: str, size: int) -> tuple[float, float, float, float]:
    mean = 100 * np.mean([row["accuracy"] for row in rows if row["arm"] == arm and row["train_size"] == size])
    return size, mean, mean - 0.5, mean + 0.5


@pytest.fixture(scope="session")
def study_page() -> StudyPage:
    """10 arms, 16 seeds, 2 sizes."""
    rows = _rows()
    pairs = [(arm, "kaiming") for arm in LIFT if arm != "kaiming"]
    twins = [("derivatives", "derivatives, permuted"), ("jet", "jet, permuted")]
    end = contrasts(_cells(rows, "accuracy", 100), pairs + twins)
    lead = "The mean over seeds of the arm's value minus the control's, with its 95 % interval."
    sizes = {arm: [_ended(rows, arm, size) for size in SIZES] for arm in LIFT}
    faster = "Derivative filters speed early learning over their permuted twin, but give no gain at the end."
    said = "Area under the curve: better by 2.1 points (1.2 to 3.0). At the end: no difference larger than 0.5 points."
    jet = "The complete jet beats orthonormal random filters with 500 images or fewer."
    chosen = [[arm, size, 0.01 * (1 + i % 3), 90.0 + i] for size in SIZES for i, arm in enumerate(LIFT)]
    one_run = "python scripts/train.py data=digits data.train_size=100 model.bank='sobel + laplacian' seed=3"
    return StudyPage(
        name="init_digits",
        question="Does a first layer that starts as derivative filters help, against a random one, on digits?",
        headline=[
            ("runs", "320"),
            ("arms", "10"),
            ("seeds", "16"),
            ("time", "7 min 42 s"),
            ("1 point needs", "9 seeds"),
        ],
        facts={"data": "digits: 10 classes, 8 by 8 pixels, grey", "seeds": "0 to 15", "status": "completed"},
        arms=ARMS,
        reference="kaiming",
        conditions=list(WORDS.values()),
        hypotheses=[
            (faster, said, "supported"),
            (jet, "100 images: undecided: between 0.2 points worse and 1.3 points better.", "undecided"),
            ("Frozen derivative filters cost nothing.", "Worse by 5.4 points (4.9 to 5.8).", "refuted"),
        ],
        summary=["With 1,000 images no arm but the frozen one differs from kaiming by more than 0.6 points."],
        forests=[
            _forest(end, "Accuracy at the end", lead),
            _forest(
                contrasts(_cells(rows, "auc"), pairs + twins), "Area under the learning curve", "Over log(1 + step)."
            ),
        ],
        curves=[_curves(rows, size) for size in SIZES],
        sizes=[
            Chart("Accuracy at the end", "training images", "test accuracy in per cent", lines_of(sizes), spread=True)
        ],
        drift=[
            _drift("cosine to the start", lambda e, i: 1 - 0.06 * i * log1p(e) / 3),
            _drift("correlation with whitening", lambda e, i: 0.2 + 0.07 * i * (e / 20) + 0.03 * i),
        ],
        corruptions=[_heat(rows, size) for size in SIZES],
        table=_table(rows),
        power=_power(end[:9]),
        learning_rates=Table(["arm", "images", "learning rate", "validation accuracy %"], [None, 0, 4, 2], chosen),
        failed=Table(
            ["arm", "images", "seed", "error"], [None, 0, 0, None], [["gabor", 100, 3, "ValueError: not finite"]]
        ),
        commands=[("the whole study", "python scripts/study.py study=init_digits"), ("one run of it", one_run)],
        limits=["One network of 30,000 weights, one optimiser, digits only.", "360 test images: one is 0.28 points."],
    )
