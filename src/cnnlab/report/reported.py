"""Runs -> their page."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cnnlab._choices import UsageError
from cnnlab._files import write_text
from cnnlab.report.page import RunPage, render
from cnnlab.report.section import ReportedRun
from cnnlab.report.sections.boundaries import chosen_windows, drawings
from cnnlab.report.sections.fields import fields
from cnnlab.report.sections.kernels import kernel_names, kernels
from cnnlab.report.sections.predictions import answers, chosen_images

__all__ = ["LARGEST", "MOST_RUNS", "ReportedRun", "write_report"]
LARGEST = 6_000_000  # characters of kernels and fields on the page, shared by its runs
MOST_RUNS = 12  # more don't fit beside each other


def write_report(runs: Sequence[ReportedRun], out: Path) -> Path:
    """Write the page of the runs to `out`, which is whole at any moment. Returns `out`.

    What a run doesn't have (yet) is named on the page. Raises UsageError for no runs or too many of them.
    """
    if not 1 <= len(runs) <= MOST_RUNS:
        raise UsageError(f"a report shows 1 to {MOST_RUNS} runs, not {len(runs)}")
    pages = [collected(run, LARGEST // len(runs)) for run in runs]
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, render(pages))
    return out


def collected(run: ReportedRun, largest: int) -> RunPage:
    """Everything that is there; the rest is named in `missing`. Pictures take at most `largest` characters."""
    missing: dict[str, str] = {}
    curves = _or_sentence(missing, "curves", lambda: _curves(run)) or {}
    if not curves:
        missing.setdefault("curves", "There is no metrics.csv with an epoch in it yet.")
    shown = told = seen = drawn = None
    network, data = run.network, run.data
    if run.snapshots:
        count = len(next(iter(run.snapshots.values())))
        names = kernel_names(network, {"network": run.about}, count) if network is not None else None
        shown = _or_sentence(missing, "kernels", lambda: kernels(dict(run.snapshots), names, largest // 2))
    else:
        missing["kernels"] = run.missing.get("snapshots", "There are no snapshots.")
    if network is None or data is None:
        missing["answers"] = missing["fields"] = run.missing.get("data") or run.missing.get("network", "")
    elif hasattr(data, "benchmark"):
        drawn = _or_sentence(missing, "answers", lambda: drawings(network, data))
        seen = _or_sentence(missing, "fields", lambda: fields(network, chosen_windows(data), largest // 2))
    else:
        told = answers(network, data, "test/accuracy" in (run.summary.get("metrics") or {}))
        split = told["split"] if told else "validation"
        seen = _or_sentence(missing, "fields", lambda: fields(network, chosen_images(data, split), largest // 2))
        if told is None:
            missing["answers"] = (
                "The run has neither validation nor test images, so there is nothing to be wrong about."
            )
    return RunPage(run.name, run.folder, dict(run.summary), curves, told, shown, seen, missing, drawn)


def _curves(run: ReportedRun) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """quantity -> split -> (epoch counted from 1, value)."""
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for quantity in ("loss", "accuracy"):
        for split, name in (("train", "training"), ("val", "validation")):
            column = f"{split}/{quantity}"
            points = [(int(row["epoch"]) + 1, float(row[column])) for row in run.rows if column in row]
            if points:
                curves.setdefault(quantity, {})[name] = points
    return curves


def _or_sentence(missing: dict[str, str], part: str, make: Callable[[], Any]) -> Any:
    """What `make` makes; None, and the reason in `missing`, if the run does not allow it."""
    try:
        return make()
    except ValueError as error:
        missing[part] = f"This part can't be shown: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
        return None
