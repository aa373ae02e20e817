"""A run record in words, for people."""

import math
from datetime import datetime
from typing import Any

STATUS = {
    "completed": "completed",
    "running": "still running, or stopped without notice: this page shows what is there so far",
    "failed": "failed",
    "interrupted": "interrupted",
}
METRICS = {
    "benchmark/ods": "boundary benchmark, ODS",
    "benchmark/ois": "boundary benchmark, OIS",
    "benchmark/ap": "boundary benchmark, AP",
    "benchmark/r50": "boundary benchmark, R50",
    "test/accuracy": "test accuracy",
    "test/loss": "test loss",
    "test/calibration": "test calibration error",
    "val/accuracy": "validation accuracy, last epoch",
    "val/loss": "validation loss, last epoch",
}


def headline(summary: dict[str, Any], answers: dict[str, Any] | None) -> list[tuple[str, str]]:
    """The few numbers (words, value) at the top: what came out, of how large a network, in what time."""
    metrics = summary.get("metrics") or {}
    numbers = []
    if _is_number(metrics.get("benchmark/ods")):
        numbers.append(("boundary benchmark, ODS", f"{metrics['benchmark/ods']:.3f}"))
    for name, words in (("test/accuracy", "test accuracy"), ("val/accuracy", "validation accuracy")):
        if _is_number(metrics.get(name)):
            numbers.append((words, f"{100 * metrics[name]:.2f} %"))
    if not numbers and answers:
        numbers.append((f"{answers['split']} accuracy", f"{100 * answers['accuracy']:.2f} %"))
    if "parameters" in summary:
        numbers.append(("parameters", f"{summary['parameters']:,}"))
    if "epochs" in summary:
        numbers.append(("epochs", f"{summary['epochs']}"))
    if _is_number(summary.get("seconds")):
        numbers.append(("time", duration(summary["seconds"])))
    return numbers


def describe(summary: dict[str, Any], folder: str) -> dict[str, str]:
    """Name -> value, in the order of the table: what was run, on what, with which result."""
    data, model = summary.get("data") or {}, summary.get("model") or {}
    facts: dict[str, Any] = {
        "status": STATUS.get(summary.get("status", ""), "not recorded: the folder has no readable summary.json"),
        "error": summary.get("error"),
        "folder": folder,
        "command": summary.get("command"),
        "started": _moment(summary.get("started")),
        "time": duration(summary["seconds"]) if _is_number(summary.get("seconds")) else None,
        "resumed": f"{summary['resumed']} times" if summary.get("resumed") else None,
        "commit": summary.get("git_commit"),
        "seed": summary.get("seed"),
        "device": summary.get("device"),
        "data": _data(data),
        "images": ", ".join(f"{count:,} {split}" for split, count in (data.get("images") or {}).items()),
        "network": str(model.get("target", "")).rpartition(".")[2],
        "filter bank": model.get("bank"),
        "parameters": _parameters(summary),
        "epochs": summary.get("epochs"),
    }
    for name, words in METRICS.items():
        value = (summary.get("metrics") or {}).get(name)
        facts[words] = f"{value:.4f}" if _is_number(value) else None
    speed = summary.get("images_per_second")
    facts["images per second"] = f"{speed:,.0f}" if _is_number(speed) else None
    facts["versions"] = ", ".join(f"{name} {number}" for name, number in (summary.get("versions") or {}).items())
    return {name: str(value) for name, value in facts.items() if value not in (None, "")}


def duration(seconds: float) -> str:
    """
    >>> duration(5.52), duration(75), duration(7384)
    ('5.5 s', '1 min 15 s', '2 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _moment(text: Any) -> str | None:
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S %Z").strip()
    except (TypeError, ValueError):
        return str(text) if text else None


def _data(data: dict[str, Any]) -> str:
    if not data:
        return ""
    height, width = data.get("image_size") or (0, 0)
    kind = "grey" if data.get("channels") == 1 else "colour"
    answers = f"{len(data['class_names'])} classes, " if data.get("class_names") else ""
    return f"{data.get('name')}: {answers}{height} \N{MULTIPLICATION SIGN} {width} pixels, {kind}"


def _parameters(summary: dict[str, Any]) -> str | None:
    every, trained = summary.get("parameters"), summary.get("trainable_parameters")
    if every is None:
        return None
    return f"{every:,}" if trained in (None, every) else f"{every:,}, of which {trained:,} are trained"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
