"""Runs -> their page: every section collects what it shows of each run, then the page is rendered and written."""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from cnnlab._choices import UsageError
from cnnlab._files import write_text
from cnnlab.report import sections
from cnnlab.report.page import FOLDER, TABLES, assemble, diverging_colours, filled, finite
from cnnlab.report.section import ReportedRun, Section, Shown, report_sections
from cnnlab.report.sections.facts import headline, status

__all__ = ["LARGEST", "MOST_RUNS", "ReportedRun", "write_report"]
LARGEST = 3_000_000  # characters of pictures in a section, shared by the runs
MOST_RUNS = 12  # more don't fit beside each other
Collected = Mapping[str, Sequence[Shown | str | None]]  # key of a section -> of each run

for module in pkgutil.iter_modules(sections.__path__, f"{sections.__name__}."):
    importlib.import_module(module.name)  # which registers its section


def write_report(runs: Sequence[ReportedRun], out: Path) -> Path:
    """Write the page of the runs to `out`, which is whole at any moment. Returns `out`.

    What a run doesn't have (yet) is named on the page. Raises UsageError for no runs or too many of them.
    """
    if not 1 <= len(runs) <= MOST_RUNS:
        raise UsageError(f"a report shows 1 to {MOST_RUNS} runs, not {len(runs)}")
    page = render(runs, collect(runs, LARGEST // len(runs)))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, page)
    return out


def collect(runs: Sequence[ReportedRun], largest: int) -> Collected:
    """What each section shows of each run, a sentence, or None."""
    return {section.key: [_collected(section, run, largest) for run in runs] for section in report_sections()}


def _collected(section: Section, run: ReportedRun, largest: int) -> Shown | str | None:
    try:
        return section.collect(run, largest)
    except UsageError as error:
        return f"This part can't be shown: {(str(error).strip() or type(error).__name__).splitlines()[0]}"


def render(runs: Sequence[ReportedRun], collected: Collected) -> str:
    """The page. Several runs stand side by side, their curves in one picture."""
    shown = [section for section in report_sections() if any(part is not None for part in collected[section.key])]
    predicted = collected["predictions"][0]
    return assemble(
        FOLDER / "report.html.j2",
        scripts=(TABLES, FOLDER / "report.js"),
        styles=(),
        more=[section.script for section in shown],
        runs=runs,
        headline=headline(runs[0].summary, predicted if isinstance(predicted, Mapping) else {}),
        status=status(runs[0].summary),
        sections=[(section, _parts(section, runs, collected[section.key])) for section in shown],
        data=finite({"colours": diverging_colours(), "sections": {s.key: _drawn(s, collected[s.key]) for s in shown}}),
    )


def _parts(section: Section, runs: Sequence[ReportedRun], collected: Sequence[Shown | str | None]) -> list[Shown]:
    """In order: `run` (its number, or None of all together), `sentence` and `body`, of which one is there."""
    many = len(runs) > 1
    parts: list[Shown] = []
    for number, part in enumerate(collected):
        if isinstance(part, str):
            parts.append({"run": number, "sentence": part})
        elif part is not None and section.together is None:
            body = filled(section.template, run=runs[number], number=number, many=many, shown=part)
            parts.append({"run": number, "body": body})
    there = [part if isinstance(part, Mapping) else {} for part in collected]
    if section.together is not None and any(there):
        body = filled(section.template, runs=runs, many=many, shown=section.together(runs, there))
        parts.append({"run": None, "body": body})
    return parts


def _drawn(section: Section, collected: Sequence[Shown | str | None]) -> list[Shown | None]:
    """Of each run what the section's script gets."""
    return [{key: p[key] for key in section.drawn} if isinstance(p, Mapping) else None for p in collected]
