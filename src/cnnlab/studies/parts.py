"""The results of a study as files: a part for every group of runs that trained together, whole or not there."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnnlab._choices import UsageError
from cnnlab._files import write_text
from cnnlab.studies.plan import Group, Run


def write_part(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(rows) + "\n")


def missing(groups: Sequence[Group], folder: Path) -> list[Group]:
    """Those that are still to be trained."""
    return [group for group in groups if not (folder / f"{group.name}.json").is_file()]


def read_parts(groups: Sequence[Group], folder: Path) -> list[dict[str, Any]]:
    """A row for every run of the groups that are there, with its plan. ValueError for a file of other runs or rates."""
    rows = []
    for group in groups:
        path = folder / f"{group.name}.json"
        if not path.is_file():
            continue
        try:
            part = json.loads(path.read_text())
            same = len(part) == len(group.runs) and all(map(_is_of, part, group.runs))
        except (ValueError, KeyError, TypeError):
            same = False
        if not same:
            raise UsageError(f"{path} holds other runs than the study asks for; remove it and resume")
        rows += [{**row, "plan": run} for row, run in zip(part, group.runs, strict=True)]
    return rows


def _is_of(row: dict[str, Any], run: Run) -> bool:
    return (row["arm"], row["seed"]) == (run.arm.name, run.seed) and run.lr in (None, row["lr"])
