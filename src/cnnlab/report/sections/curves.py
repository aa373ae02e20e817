"""Loss and accuracy by epoch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cnnlab.draw.charts import chart
from cnnlab.report.section import ReportedRun, Section, Shown, register

Points = list[tuple[float, float]]


def curves(run: ReportedRun, largest: int) -> Mapping[str, dict[str, Points]] | str:
    """quantity -> split -> (epoch counted from 1, value)."""
    found: dict[str, dict[str, Points]] = {}
    for quantity in ("loss", "accuracy"):
        for split, name in (("train", "training"), ("val", "validation")):
            column = f"{split}/{quantity}"
            points = [(int(row["epoch"]) + 1.0, float(row[column])) for row in run.rows if column in row]
            if points:
                found.setdefault(quantity, {})[name] = points
    return found or "There is no metrics.csv with an epoch in it yet."


def charts(runs: Sequence[ReportedRun], collected: Sequence[Shown]) -> Shown:
    """charts: of several runs in one picture, one colour per run and one line style per split."""
    found = []
    for quantity in ("loss", "accuracy"):
        lines = [
            (split if len(runs) == 1 else f"{run.name}, {split}", points, number, split)
            for number, (run, shown) in enumerate(zip(runs, collected, strict=True))
            for split, points in shown.get(quantity, {}).items()
        ]
        if lines:
            test = (runs[0].summary.get("metrics") or {}).get(f"test/{quantity}") if len(runs) == 1 else None
            found.append(chart(quantity, lines, many=len(runs) > 1, mark=test))
    return {"charts": found}


register(
    Section(
        key="curves",
        title="Learning curves",
        place=20,
        collect=curves,
        together=charts,
        template=Path(__file__).with_suffix(".html.j2"),
    )
)
