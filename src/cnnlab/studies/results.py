"""What came out of a study."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cnnlab.studies.claims import QUANTITIES
from cnnlab.studies.plan import Condition, Plan, Run
from cnnlab.studies.spec import StudyDesign
from cnnlab.studies.statistics.contrasts import Contrast, contrasts

COMPARED = ("accuracy", "area", "steps", "corrupted")


@dataclass(frozen=True)
class StudyResult:
    """Rows, comparisons and the page of a study.

    Attributes:
        study: What was asked.
        folder: Where everything lies.
        rows: One per run, as in study.csv, and with its "curve", "drift" and "kernels".
        rates: (arm, condition) -> (the learning rate that the search chose, its validation accuracy).
        failed: Runs that are missing, and why.
        plan: What was fixed before the first run.
        record: summary.json.
    """

    study: StudyDesign
    folder: Path
    rows: list[dict[str, Any]]
    rates: dict[tuple[str, Condition], tuple[float, float]]
    failed: list[tuple[Run, str]]
    plan: Plan
    record: Mapping[str, object]

    @property
    def page(self) -> Path:
        """The page, one HTML file."""
        return self.folder / "study.html"

    @cached_property
    def contrasts(self) -> dict[str, list[Contrast]]:
        """quantity -> all its comparisons, which are one family for the correction."""
        have = {row["arm"] for row in self.rows}
        pairs = [pair for pair in self.study.pairs if set(pair) <= have]
        return {
            name: contrasts(self.rows, pairs, name, ("condition",), QUANTITIES[name].factor)
            for name in COMPARED
            if pairs and any(row.get(name) is not None for row in self.rows)
        }
