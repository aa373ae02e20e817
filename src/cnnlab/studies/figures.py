"""The figures of a study as PNG: forests, learning curves, drift, the first layers before and after."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from cnnlab.draw.chart_figures import chart_figure
from cnnlab.draw.charts import Chart
from cnnlab.draw.forests import forest_figure
from cnnlab.draw.kernels import kernels_figure
from cnnlab.draw.saving import save_figure
from cnnlab.studies.html import StudyPage, styles

DPI = 120


def draw_figures(results: Any, compared: Iterable[str], page: StudyPage, folder: Path) -> None:
    """`compared`: the names of the page's forests."""
    for name, forest in zip(compared, page.forests, strict=True):
        save_figure(forest_figure(forest), folder / f"{name}.png", DPI)
    groups = [("curves", page.curves), ("sizes", page.sizes)]
    for y in dict.fromkeys(one.y for one in page.drift):
        title = next(one.title for one in page.drift if one.y == y).partition(":")[0]
        name = title.lower().replace(", ", "_").replace(" ", "_")
        groups.append((f"drift_{name}", [one for one in page.drift if one.y == y]))
    for name, pictures in groups:
        if pictures:
            save_figure(_bands(pictures, page), folder / f"{name}.png", DPI)
    for number, condition in enumerate(page.conditions):
        pairs = _kernels(results, condition)
        if pairs:
            save_figure(kernels_figure(pairs, condition), folder / f"kernels_{number}.png", DPI)


def _bands(pictures: Sequence[Chart], page: StudyPage) -> Figure:
    """A panel per condition, the measure as the figure's title."""
    panels = [replace(one.styled(styles(page.arms)), title=one.title.rpartition(": ")[2]) for one in pictures]
    return chart_figure(panels, pictures[0].y)


def _kernels(results: Any, condition: str) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Of the first seed: {arm: (before, after)}, each (O, C, h, w)."""
    seed = results.study.all_seeds[0]
    rows = [row for row in results.rows if row["seed"] == seed and row["condition"] == condition]
    return {row["arm"]: tuple(torch.tensor(np.array(one)) for one in row["kernels"]) for row in rows}
