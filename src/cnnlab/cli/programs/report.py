"""The report job: one HTML page of one run or of several."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig, ListConfig

from cnnlab._choices import UsageError
from cnnlab.cli.configs import trusted
from cnnlab.report.reported import write_report
from cnnlab.runs.run import Run
from cnnlab.training.fit import quiet_advice

PAPERS = {".hydra", "config.yaml"}


def run(config: DictConfig, folder: Path) -> int:
    """`report.html` of one run in its own folder, of several in `folder`. Prints where it lies."""
    quiet_advice()
    names = given_runs(config.run)
    trust = trusted(config)
    runs = [Run.open(name, trust) for name in names]
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    if len(runs) == 1 and {path.name for path in folder.iterdir()} <= PAPERS:
        shutil.rmtree(folder)  # the page goes beside what it shows
        with suppress(OSError):  # it holds other reports
            folder.parent.rmdir()
        folder = runs[0].folder
    print(write_report([shown.reported(config.checkpoint) for shown in runs], folder / "report.html"))
    return 0


def given_runs(given: object) -> list[str]:
    """`run=A` or `run=[A,B]`. Raises UsageError for anything else, and for a run that is given twice."""
    names = [str(name) for name in given] if isinstance(given, ListConfig) else [str(given)]
    if not names or any(not name.strip() for name in names):
        raise UsageError("run: the folder of a run, or several as in run=[A,B]")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"run: given twice: {', '.join(twice)}")
    return names
