"""The figures of a study as PNG: forests, learning curves, drift, the first layers before and after."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from cnnlab.draw.intervals import bands_figure, forest_figure, kernels_figure
from cnnlab.studies.claims import QUANTITIES
from cnnlab.studies.html import Curves, StudyPage
from cnnlab.studies.statistics.contrasts import Contrast

DPI = 120
BROKEN = {"permuted": "--", "shuffled": ":"}


def draw_figures(results: Any, compared: dict[str, list[Contrast]], page: StudyPage, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, found in compared.items():
        _save(_forest(name, found, results.config["relevant"]), folder / f"{name}.png")
    styles = _styles(results)
    groups = [("curves", page.curves), ("sizes", page.sizes)]
    for y in dict.fromkeys(one.y for one in page.drift):
        title = next(one.title for one in page.drift if one.y == y).partition(":")[0]
        name = title.lower().replace(", ", "_").replace(" ", "_")
        groups.append((f"drift_{name}", [one for one in page.drift if one.y == y]))
    for name, pictures in groups:
        if pictures:
            _save(_bands(pictures, styles), folder / f"{name}.png")
    for number, condition in enumerate(page.conditions):
        pairs = _kernels(results, condition)
        if pairs:
            _save(kernels_figure(pairs, condition), folder / f"kernels_{number}.png")


def _forest(name: str, found: list[Contrast], relevant: float) -> Figure:
    panels: dict[str, list] = {}
    for one in found:
        d = one.difference
        holds = (d.low > 0 or d.high < 0) and one.corrected_p <= 0.05
        words = f"{one.arm} against {one.control}"
        panels.setdefault(dict(one.condition)["condition"], []).append((words, d.mean, d.low, d.high, holds))
    unit = QUANTITIES[name].unit
    return forest_figure(panels, unit, relevant if unit == "points" else 0.0, QUANTITIES[name].better)


def _bands(pictures: Sequence[Curves], styles: dict[str, tuple[int, str]]) -> Figure:
    """A panel a condition, the measure under the figure's title."""
    first = pictures[0]
    panels = {one.title.rpartition(": ")[2]: one.lines for one in pictures}
    figure = bands_figure(panels, first.x, "", first.spread, styles)
    figure.suptitle(first.y, fontsize=10)
    return figure


def _styles(results: Any) -> dict[str, tuple[int, str]]:
    """A colour for each start in each mode; its controls have broken lines."""
    families = list(dict.fromkeys(arm.family for arm in results.study.arms))
    return {arm.name: (families.index(arm.family), BROKEN.get(arm.control, "-")) for arm in results.study.arms}


def _kernels(results: Any, condition: str) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Of the first seed: {arm: (before, after)}, each (O, C, h, w)."""
    seed = results.study.seeds[0]
    rows = [row for row in results.rows if row["seed"] == seed and row["condition"] == condition]
    return {row["arm"]: tuple(torch.tensor(np.array(one)) for one in row["kernels"]) for row in rows}


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=DPI)
