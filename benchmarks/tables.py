"""What all benchmarks print: the machine, and tables of ratios taken side by side."""

import os
import platform
from pathlib import Path
from statistics import median

import torch
from rich import box
from rich.console import Console
from rich.table import Table

console = Console(width=120)


def print_machine() -> None:
    """Absolute times mean something on this machine only."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    console.print(
        f"{processor}, {os.cpu_count()} cores{gpu}; {torch.get_num_threads()} threads; "
        f"Python {platform.python_version()}, torch {torch.__version__}; "
        f"load at the start {os.getloadavg()[0]:.1f}"
    )


def print_rounds(title: str, seconds: dict[str, list[float]], steps: int, reference: str) -> None:
    """One line a way: median and best seconds, ms a step, and the ratio to `reference`, round by round."""
    table = Table(title=title, box=box.SIMPLE, title_justify="left")
    for name in ("", "median s", "best s", "ms a step", f"ratio to {reference}: median", "least", "most"):
        table.add_column(name, justify="left" if name == "" else "right")
    for name, times in seconds.items():
        ratios = [ours / theirs for ours, theirs in zip(times, seconds[reference], strict=True)]
        ms = median(times) / steps * 1e3
        numbers = (median(times), min(times), ms, median(ratios), min(ratios), max(ratios))
        table.add_row(name, *(f"{number:.3f}" for number in numbers))
    console.print(table)
