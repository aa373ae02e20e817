"""Loss and accuracy by epoch."""

from collections.abc import Mapping, Sequence

from cnnlab.draw.chart_svg import svg
from cnnlab.draw.charts import learning_curves
from cnnlab.report.section import ReportedRun, Shown, report_section

COLOURS = 6  # in report.css


def in_one_picture(runs: Sequence[ReportedRun], collected: Sequence[Shown]) -> Shown:
    """charts: (Chart, its SVG); of several runs one colour per run and one line style per split."""
    metrics = runs[0].summary.get("metrics")
    tested = metrics if len(runs) == 1 and isinstance(metrics, Mapping) else {}
    charts = learning_curves([(run.name, run.rows) for run in runs], tested)
    return {"charts": [(chart, svg(chart, COLOURS)) for chart in charts]}


@report_section("Learning curves", 20, together=in_one_picture)
def curves(run: ReportedRun, largest: int) -> Shown | str:
    """Those of the run alone."""
    charts = learning_curves([(run.name, run.rows)])
    return {"charts": charts} if charts else "There is no metrics.csv with an epoch in it yet."
