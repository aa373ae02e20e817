"""Groups of runs trained by several processes, with a display of how far they are."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cnnlab.cli.jobs.apart import end_with_parent
from cnnlab.studies import bench as study_bench
from cnnlab.studies.plan import Group


@dataclass
class Pool:
    """`workers` processes; with one the groups train in this process, which a GPU wants."""

    config: dict[str, Any]
    corruptions: list[tuple[str, int]]
    folder: Path
    workers: int
    errors: dict[str, str] = field(default_factory=dict)  # name of a group -> what went wrong
    begun: bool = False

    def train(self, what: str, groups: Sequence[Group], done: int) -> None:
        """Train the groups; `done` runs of `what` were trained before. What fails is noted, and the others go on."""
        total = done + sum(len(group.runs) for group in groups)
        with _shown(what, done, total) as tell:
            for group, error in self._trained(groups):
                if error:
                    self.errors[group.name] = error
                tell(len(group.runs))

    def _trained(self, groups: Sequence[Group]) -> Iterator[tuple[Group, str]]:
        if not groups:
            return
        if self.workers == 1:
            if not self.begun:
                study_bench.begin(self.config, self.corruptions, torch.get_num_threads())
                self.begun = True
            for group in groups:
                yield group, _attempt(group, self.folder)
            return
        context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
        if os.name == "posix":
            context.set_forkserver_preload(["cnnlab.studies.bench", "sklearn.datasets"])
        threads = max(1, (os.cpu_count() or 1) // self.workers)
        arguments = (self.config, self.corruptions, threads)
        pool = ProcessPoolExecutor(min(self.workers, len(groups)), context, _begin, arguments)
        try:
            futures = {pool.submit(_attempt, group, self.folder): group for group in groups}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenExecutor as error:
            raise RuntimeError(
                "a process of the study was ended from outside, perhaps for lack of memory; go on with "
                "resume=FOLDER, and with replicas= or workers= smaller if it happens again"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.kill()  # a group is whole or not there; and Lightning would take SIGTERM for itself


def _begin(config: dict[str, Any], corruptions: list[tuple[str, int]], threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one ends the others
    threading.Thread(target=end_with_parent, daemon=True).start()
    study_bench.begin(config, corruptions, threads)


def _attempt(group: Group, folder: Path) -> str:
    """ "" if it went well, else the error in a line."""
    try:
        study_bench.train_group(group, folder)
    except Exception as error:  # whatever it is, the other groups go on
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return ""


@contextmanager
def _shown(what: str, done: int, total: int) -> Iterator[Any]:
    """A bar on a terminal; elsewhere a line whenever a tenth more is done."""
    console = Console()
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task(what, total=total, completed=done)
            yield lambda runs: progress.advance(bar, runs)
        return
    state = {"done": done, "told": 10 * done // max(total, 1)}
    start = time.monotonic()

    def tell(runs: int) -> None:
        state["done"] += runs
        if 10 * state["done"] // total > state["told"]:
            state["told"] = 10 * state["done"] // total
            print(f"{what}: {state['done']} of {total} runs, {time.monotonic() - start:.0f} s", flush=True)

    yield tell
