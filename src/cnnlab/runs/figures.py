"""The pictures of a run, from what lies in its folder."""

from pathlib import Path

from cnnlab.draw.curves import learning_curves
from cnnlab.draw.kernels import kernel_grid
from cnnlab.draw.saving import save_figure
from cnnlab.runs.metrics import read_metrics
from cnnlab.training.callbacks import read_snapshots


def draw_figures(folder: Path, metrics: dict[str, float]) -> None:
    """`figures/kernels.png`: the first layer before and after; `figures/curves.png`: loss and accuracy by epoch."""
    snapshots = read_snapshots(folder / "kernels")
    if snapshots:
        first, last = min(snapshots), max(snapshots)
        rows = {"first layer at initialisation": snapshots[first], f"after epoch {last}": snapshots[last]}
        save_figure(kernel_grid(rows), folder / "figures" / "kernels.png")
    rows = read_metrics(folder / "metrics.csv")
    panels = {}
    for quantity in ("loss", "accuracy"):
        series = {}
        for split, name in (("train", "training"), ("val", "validation")):
            column = f"{split}/{quantity}"
            points = [(int(row["epoch"]) + 1, float(row[column])) for row in rows if column in row]
            if points:
                series[name] = points
        if series or quantity == "loss":
            panels[quantity] = series
    marks = {"accuracy": metrics["test/accuracy"]} if "test/accuracy" in metrics else None
    save_figure(learning_curves(panels, marks), folder / "figures" / "curves.png")
