"""Tables, on the screen and as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cnnlab._files import write_text

SHOWN = {
    "benchmark/ods": "boundary benchmark, ODS",
    "benchmark/ois": "boundary benchmark, OIS",
    "benchmark/ap": "boundary benchmark, AP",
    "benchmark/r50": "boundary benchmark, R50",
    "test/accuracy": "test accuracy",
    "test/loss": "test loss",
    "test/calibration": "test calibration error",
    "val/accuracy": "validation accuracy, last epoch",
    "val/loss": "validation loss, last epoch",
    "train/loss": "training loss, last epoch",
    "images_per_second": "images per second, training",
}


def print_results(metrics: Mapping[str, float], folder: Path) -> None:
    table = Table(box=box.SIMPLE, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, words in SHOWN.items():
        if name in metrics:
            table.add_row(words, _cell(metrics[name]))
    for picture in ("kernels", "curves", "boundaries"):
        path = folder / "figures" / f"{picture}.png"
        if path.is_file():
            table.add_row(picture, str(path))
    if (folder / "report.html").is_file():
        table.add_row("report", str(folder / "report.html"))
    _print(table)


def print_runs(title: str, rows: Sequence[Mapping[str, object]]) -> None:
    """One line a run; every dict has the same keys."""
    table = Table(box=box.SIMPLE, title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="left" if isinstance(rows[0][name], str) else "right")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    _print(table)


def write_csv(rows: Sequence[Mapping[str, object]], path: Path) -> None:
    """A header and a line for each of `rows`, which have the same keys; None is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _print(table: Table) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)  # a log has no edge to wrap at
    console.print(table)


def _cell(value: object) -> str:
    if isinstance(value, int | float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4f}"
    return "-" if value is None else escape(str(value))
