"""`resume=FOLDER`: a run that was interrupted goes on as it was asked."""

import importlib

from cnnlab.app.check import check
from cnnlab.app.runs import find_run, read_config
from cnnlab.reports.record import read_summary

JOB = "cnnlab.app.train"


def resume(given: str, others: list[str]) -> int:
    """Returns the exit status. Raises ValueError for a folder that is no run, and for options beside it."""
    folder = find_run(given.strip("'\""))
    if others:
        raise ValueError(f"resume takes no other options, a run goes on as it was asked; got: {' '.join(others)}")
    config = read_config(folder)
    check(config, JOB)
    if read_summary(folder).get("status") == "completed":
        print(f"nothing left to do: this run is completed\n{folder}")
        return 0
    return importlib.import_module(JOB).run(config, folder, resume=True)
