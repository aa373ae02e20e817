"""Groups of runs trained by several processes, with a display of how far they are."""

import importlib
import multiprocessing
import os
import signal
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import torch

from cnnlab._parallel import cores, shown
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

    def train(self, stage: str, groups: Sequence[Group]) -> None:
        """Train the groups. What fails is noted, and the others go on."""
        runs = (run for group in self._trained(groups) for run in group.runs)
        for _ in shown(runs, sum(len(group.runs) for group in groups), stage):
            pass

    def _trained(self, groups: Sequence[Group]) -> Iterator[Group]:
        if not groups:
            return
        if self.workers == 1:
            if not _bench or _bench[0].study is not self.study:
                _bench[:] = [Bench(self.study, self.corruptions, self.trust)]
            for group in groups:
                yield self._noted(group, _attempt(group, self.folder))
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
                yield self._noted(futures[future], future.result())
        except BrokenExecutor as error:
            raise RuntimeError(
                "a process of the study was ended from outside, perhaps for lack of memory; go on with "
                "resume=FOLDER, and with replicas= or workers= smaller if it happens again"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.kill()  # a group is whole or not there; and Lightning would take SIGTERM for itself

    def _noted(self, group: Group, error: str) -> Group:
        if error:
            self.errors[group.name] = error
        return group


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
