"""What a sweep leaves: the list of its jobs before the first one starts, and the table at the end.

Whichever launcher runs the jobs, and on whichever machine: all that is known is read from their folders.
"""

import sys
from contextlib import ExitStack
from pathlib import Path

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from cnnlab._files import held
from cnnlab.cli.hydra_internals import sweep_jobs
from cnnlab.cli.jobs.invocation import read_invocation, write_invocation
from cnnlab.cli.jobs.progress import SweepProgress
from cnnlab.runs.record import read_summary

METRICS = {  # column: name in the summary
    "test accuracy": "test/accuracy",
    "test loss": "test/loss",
    "validation accuracy": "val/accuracy",
    "ODS": "benchmark/ods",
}


class SweepTable(Callback):
    """Lists the jobs, shows how far they are, and tells at the end how they went."""

    def __init__(self) -> None:
        self._progress: SweepProgress | None = None
        self._held = ExitStack()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return SweepTable, ()  # it travels with the jobs to other processes, where there is no display

    def on_multirun_start(self, config: DictConfig, **kwargs: object) -> None:
        """Ends the program where the list can't be kept: without it the sweep could not be resumed."""
        jobs = sweep_jobs(config)  # what can't be composed, Hydra says itself
        folder = Path(config.hydra.sweep.dir)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._held.enter_context(held(folder))
            write_invocation(folder, jobs, section=config.hydra)
        except (OSError, ValueError) as error:
            print(f"cnnlab: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        self._progress = SweepProgress(folder, [job["folder"] for job in jobs])
        self._progress.start()

    def on_multirun_end(self, config: DictConfig, **kwargs: object) -> None:
        from cnnlab._tables import print_runs, write_csv

        if self._progress:
            self._progress.stop()
        self._held.close()
        folder = Path(config.hydra.sweep.dir)
        rows = sweep_rows(folder)
        if rows:
            print_runs("sweep", [_short(row) for row in rows])
            write_csv(rows, folder / "sweep.csv")
        for row in rows:
            if row["error"]:
                print(f"job {row['job']}: {row['error']}")
        print(folder)


def sweep_rows(folder: Path) -> list[dict[str, object]]:
    """One dict a job, in order: its number, what was varied, how it went. All have the same keys."""
    invocation = read_invocation(folder)
    jobs = invocation["jobs"] if invocation else []
    values = [dict(text.lstrip("+~").partition("=")[::2] for text in job["overrides"]) for job in jobs]
    varied = [name for name in (values[0] if values else ()) if len({options.get(name) for options in values}) > 1]
    rows: list[dict[str, object]] = []
    for job, options in zip(jobs, values, strict=True):
        summary = read_summary(folder / job["folder"])
        metrics = summary.get("metrics")
        metrics = metrics if isinstance(metrics, dict) else {}
        rows.append(
            {"job": job["job"], "run": job["folder"]}
            | {name: options.get(name) for name in varied}
            | {"status": summary.get("status", "not started")}
            | {column: metrics.get(name) for column, name in METRICS.items()}
            | {"seconds": summary.get("seconds"), "error": summary.get("error")}
        )
    return _of_its_kind(rows)


def is_done(folder: Path) -> bool:
    """Whether all jobs of a sweep are completed."""
    return all(row["status"] == "completed" for row in sweep_rows(folder))


def _short(row: dict[str, object]) -> dict[str, object]:
    """For the screen: the folder names the job and most of what was varied."""
    shown = ("run", "status", *METRICS, "seconds")
    return {name: row[name] for name in shown if name in row}


def _of_its_kind(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Without the columns of the other kind of run: accuracies where boundaries were drawn, and the other way round."""
    drawn = any(row["ODS"] is not None for row in rows)
    other = ("test accuracy", "test loss", "validation accuracy") if drawn else ("ODS",)
    return [{name: value for name, value in row.items() if name not in other} for row in rows]
