"""The table at the end of a sweep, whichever launcher ran it."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class SweepTable(Callback):
    """Reads what the jobs left in the sweep's folder."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        from cnnlab.app.tables import print_runs
        from cnnlab.reports.record import read_summary

        folder = Path(config.hydra.sweep.dir)
        rows: list[dict[str, Any]] = []
        jobs = [path for path in folder.iterdir() if path.is_dir() and path.name.split("_")[0].isdigit()]
        for job in sorted(jobs, key=lambda path: int(path.name.split("_")[0])):
            summary = read_summary(job)
            metrics = summary.get("metrics", {})
            rows.append(
                {
                    "run": job.name,
                    "status": summary.get("status", "not started"),
                    "test accuracy": metrics.get("test/accuracy"),
                    "test loss": metrics.get("test/loss"),
                    "validation accuracy": metrics.get("val/accuracy"),
                    "ODS": metrics.get("benchmark/ods"),
                    "seconds": summary.get("seconds"),
                }
            )
        if rows:
            print_runs("sweep", _of_its_kind(rows))
        print(folder)


def _of_its_kind(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the columns of the other kind of run: accuracies where boundaries were drawn, and the other way round."""
    drawn = any(row["ODS"] is not None for row in rows)
    other = ("test accuracy", "test loss", "validation accuracy") if drawn else ("ODS",)
    return [{name: value for name, value in row.items() if name not in other} for row in rows]
