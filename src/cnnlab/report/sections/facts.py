"""The record of a run in words: the few numbers at the top of the page, and the table of what was run."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeGuard

from cnnlab._tables import SHOWN
from cnnlab.report.section import ReportedRun, Shown, report_section

STATUS = {
    "completed": "completed",
    "running": "still running, or stopped without notice: this page shows what is there so far",
    "failed": "failed",
    "interrupted": "interrupted",
}


def status(summary: Shown) -> str:
    """In words."""
    return STATUS.get(str(summary.get("status")), "not recorded: the folder has no readable summary.json")


def headline(summary: Shown, predictions: Shown) -> list[tuple[str, str]]:
    """The few numbers (words, value) at the top: what came out, of how large a network, in what time."""
    metrics = _part(summary, "metrics")
    numbers = []
    if _is_number(ods := metrics.get("benchmark/ods")):
        numbers.append((SHOWN["benchmark/ods"], f"{ods:.3f}"))
    for name, words in (("test/accuracy", "test accuracy"), ("val/accuracy", "validation accuracy")):
        if _is_number(accuracy := metrics.get(name)):
            numbers.append((words, f"{100 * accuracy:.2f} %"))
    if not numbers and _is_number(accuracy := predictions.get("accuracy")):
        numbers.append((f"{predictions['split']} accuracy", f"{100 * accuracy:.2f} %"))
    if "parameters" in summary:
        numbers.append(("parameters", f"{summary['parameters']:,}"))
    if "epochs" in summary:
        numbers.append(("epochs", f"{summary['epochs']}"))
    if _is_number(seconds := summary.get("seconds")):
        numbers.append(("time", duration(seconds)))
    return numbers


def side_by_side(runs: Sequence[ReportedRun], described: Sequence[Shown]) -> Shown:
    """rows: (name, [value of each run]) of all names that a run has, in order."""
    names = dict.fromkeys(name for found in described for name in found)
    return {"rows": [(name, [found.get(name, "") for found in described]) for name in names]}


@report_section("What was run", 10, together=side_by_side)
def facts(run: ReportedRun, largest: int) -> dict[str, str]:
    """Name -> value, in the order of the table: what was run, on what, with which result."""
    summary, data, model = run.summary, _part(run.summary, "data"), _part(run.summary, "model")
    seconds = summary.get("seconds")
    found = {
        "status": status(summary),
        "error": summary.get("error"),
        "folder": run.folder,
        "command": summary.get("command"),
        "started": _moment(summary.get("started")),
        "time": duration(seconds) if _is_number(seconds) else None,
        "resumed": f"{summary['resumed']} times" if summary.get("resumed") else None,
        "commit": summary.get("git_commit"),
        "seed": summary.get("seed"),
        "device": summary.get("device"),
        "data": _data(data),
        "images": ", ".join(f"{count:,} {split}" for split, count in _part(data, "images").items()),
        "network": str(model.get("target", "")).rpartition(".")[2],
        "filter bank": model.get("bank"),
        "parameters": _parameters(summary),
        "epochs": summary.get("epochs"),
    }
    for name, words in SHOWN.items():
        if _is_number(value := _part(summary, "metrics").get(name)):
            found[words] = f"{value:,.0f}" if name == "images_per_second" else f"{value:.4f}"
    found["versions"] = ", ".join(f"{name} {number}" for name, number in _part(summary, "versions").items())
    return {name: str(value) for name, value in found.items() if value not in (None, "")}


def duration(seconds: float) -> str:
    """
    >>> duration(5.52), duration(75), duration(7384)
    ('5.5 s', '1 min 15 s', '2 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _moment(text: object) -> str | None:
    try:
        return datetime.fromisoformat(str(text)).strftime("%Y-%m-%d %H:%M:%S %Z").strip()
    except ValueError:
        return str(text) if text else None


def _data(data: Shown) -> str:
    if not data:
        return ""
    size, names = data.get("image_size"), data.get("class_names")
    height, width = size if isinstance(size, Sequence) else (0, 0)
    kind = "grey" if data.get("channels") == 1 else "colour"
    classes = f"{len(names)} classes, " if isinstance(names, Sequence) and names else ""
    return f"{data.get('name')}: {classes}{height} \N{MULTIPLICATION SIGN} {width} pixels, {kind}"


def _parameters(summary: Shown) -> str | None:
    every, trained = summary.get("parameters"), summary.get("trainable_parameters")
    if every is None:
        return None
    return f"{every:,}" if trained in (None, every) else f"{every:,}, of which {trained:,} are trained"


def _part(record: Shown, name: str) -> Shown:
    part = record.get(name)
    return part if isinstance(part, Mapping) else {}


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)
