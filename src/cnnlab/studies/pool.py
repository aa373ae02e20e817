"""Groups of runs trained by several processes, with a display of how far they are."""

import importlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cnnlab._parallel import cores
from cnnlab._processes import end_with_parent
from cnnlab.studies.bench import Bench
from cnnlab.studies.plan import Group
from cnnlab.studies.spec import StudyDesign
from cnnlab.training.replicas.memory import release_memory


@dataclass
class Pool:
    """`workers` processes; with one the groups train in this process, which a GPU wants.

    Each gets the study itself, as its `to_json`, and imports the modules that define starts and controls of one's own.
    """

    study: StudyDesign
    corruptions: Sequence[tuple[str, int]]
    folder: Path
    workers: int
    trust: Collection[str] = ()
    errors: dict[str, str] = field(default_factory=dict)  # name of a group -> what went wrong

    def train(self, stage: str, groups: Sequence[Group], done: int) -> None:
        """Train the groups; `done` runs of `stage` were trained before. What fails is noted, and the others go on."""
        total = done + sum(len(group.runs) for group in groups)
        with _progress(stage, done, total) as advance:
            for group, error in self._trained(groups):
                if error:
                    self.errors[group.name] = error
                advance(len(group.runs))

    def _trained(self, groups: Sequence[Group]) -> Iterator[tuple[Group, str]]:
        if not groups:
            return
        if self.workers == 1:
            if not _bench or _bench[0].study is not self.study:
                _bench[:] = [Bench(self.study, self.corruptions, self.trust)]
            for group in groups:
                yield group, _attempt(group, self.folder)
            return
        context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
        if os.name == "posix":
            context.set_forkserver_preload(["cnnlab.studies.bench", "sklearn.datasets"])
        threads = max(1, cores() // self.workers)
        modules = {name for arm in self.study.parsed_arms for name in arm.modules if name != "__main__"}
        arguments = self.study.to_json(), self.corruptions, self.trust, sorted(modules), threads
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


_bench: list[Bench] = []  # that of this process


def _begin(
    study: Mapping[str, object], corruptions: Sequence[tuple[str, int]], trust: Collection[str],
    modules: Sequence[str], threads: int,
) -> None:  # fmt: skip
    """In a new process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one ends the others
    end_with_parent()
    torch.set_num_threads(threads)
    for name in modules:
        importlib.import_module(name)
    _bench[:] = [Bench(StudyDesign.from_json(study), corruptions, trust)]


def _attempt(group: Group, folder: Path) -> str:
    """ "" if it went well, else the error in a line."""
    try:
        _bench[0].train(group, folder)
        release_memory()
    except Exception as error:  # whatever it is, the other groups go on
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    return ""


@contextmanager
def _progress(stage: str, done: int, total: int) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal; elsewhere a line whenever a tenth more is done."""
    console = Console()
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task(stage, total=total, completed=done)
            yield lambda runs: progress.advance(bar, runs)
        return
    start, tenths = time.monotonic(), 10 * done // max(total, 1)

    def advance(runs: int) -> None:
        nonlocal done, tenths
        done += runs
        if 10 * done // total > tenths:
            tenths = 10 * done // total
            print(f"{stage}: {done} of {total} runs, {time.monotonic() - start:.0f} s", flush=True)

    yield advance
