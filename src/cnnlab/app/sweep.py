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
        rows = []
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
                    "seconds": summary.get("seconds"),
                }
            )
        if rows:
            print_runs("sweep", rows)
        print(folder)
