"""What came out of a study."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cnnlab.studies.claims import QUANTITIES
from cnnlab.studies.plan import Condition, Plan, Run, condition_words
from cnnlab.studies.rows import Row, cells_of
from cnnlab.studies.spec import StudyDesign
from cnnlab.studies.statistics.contrasts import Contrast, contrasts
from cnnlab.studies.statistics.rates import Rates


@dataclass(frozen=True)
class StudyResult:
    """Rows, comparisons and the page of a study.

    Attributes:
        study: What was asked.
        folder: Where everything lies.
        rows: One per run, as in study.csv, and with its "curve", "drift" and "kernels".
        rates: (arm, condition) -> (the learning rate that the search chose, its validation accuracy).
        failed: Runs that are missing, and why.
        plan: What was measured before the first run.
        record: summary.json.
    """

    study: StudyDesign
    folder: Path
    rows: list[Row]
    rates: Rates
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
        cells = {name: cells_of(self.rows, name, one.factor) for name, one in QUANTITIES.items() if one.lead}
        compared = {name: contrasts(values, self.study.pairs) for name, values in cells.items()}
        return {name: found for name, found in compared.items() if found}

    @property
    def condition_words(self) -> dict[Condition, str]:
        return condition_words(self.study.conditions)

    @property
    def conditions(self) -> list[str]:
        """In words, in order."""
        return list(self.condition_words.values())
