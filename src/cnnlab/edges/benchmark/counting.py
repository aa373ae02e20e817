"""Counting many images on several processes, and keeping what was counted: a run that is stopped goes on from there.

H height, W width, A annotator.
"""

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnlab._files import write_text
from cnnlab.edges.benchmark.counts import Counts
from cnnlab.edges.benchmark.evaluation import evaluate_map, evaluate_people

RULES = "1"  # to be raised when the same prediction gets other counts


@dataclass(frozen=True)
class Settings:
    """How predictions are counted; all but `folder` and `processes` change the numbers."""

    thresholds: int
    tolerance: float
    thin: bool
    folder: Path | None  # where counts are kept; None: nowhere
    processes: int


Work = tuple[np.ndarray | None, np.ndarray]  # a predicted map (H, W), or None for the people; boundaries (A, H, W)


def counted(works: Iterable[Work], settings: Settings) -> Iterator[Counts]:
    """The counts of each, in order. Those that are kept aren't counted again.

    No more than a few are in memory. With one process the counting is done in this one.
    """
    waiting: deque[Future[Counts]] = deque()
    with _workers(settings.processes) as submit:
        for strength_HW, boundaries_AHW in works:
            path = _place(strength_HW, boundaries_AHW, settings)
            kept = None if path is None else _read(path)
            waiting.append(submit(_count, strength_HW, boundaries_AHW, settings, path) if kept is None else _done(kept))
            if len(waiting) > 2 * settings.processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _count(strength_HW: np.ndarray | None, boundaries_AHW: np.ndarray, settings: Settings, path: Path | None) -> Counts:
    if strength_HW is None:
        counts = evaluate_people(boundaries_AHW, settings.tolerance)
    else:
        counts = evaluate_map(strength_HW, boundaries_AHW, settings.thresholds, settings.tolerance, settings.thin)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(counts.plain()) + "\n")
    return counts


def _place(strength_HW: np.ndarray | None, boundaries_AHW: np.ndarray, settings: Settings) -> Path | None:
    """The file of these counts: named by all that they follow from."""
    if settings.folder is None:
        return None
    rules = ["people"] if strength_HW is None else [settings.thresholds, settings.thin]
    digest = hashlib.sha256(json.dumps([RULES, settings.tolerance, *rules]).encode())
    for array in (strength_HW, boundaries_AHW):
        if array is not None:
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update((np.packbits(array) if array.dtype == bool else np.ascontiguousarray(array)).data)
    return settings.folder / f"{digest.hexdigest()[:32]}.json"


def _read(path: Path) -> Counts | None:
    """None for a file that isn't there or holds something else: it is counted anew."""
    try:
        return Counts.of(json.loads(path.read_text()))
    except (OSError, ValueError):
        return None


@contextmanager
def _workers(processes: int) -> Iterator[Callable[..., "Future[Counts]"]]:
    """submit(function, *arguments) -> Future, on so many processes; with one, in this process."""
    if processes == 1:
        yield lambda function, *arguments: _done(function(*arguments))
        return
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _start)
    try:
        yield pool.submit
    finally:
        pool.shutdown(cancel_futures=True)


def _done(counts: Counts) -> "Future[Counts]":
    future: Future[Counts] = Future()
    future.set_result(counts)
    return future


def _start() -> None:
    """A process that counts leaves interrupting to its parent, and ends with it however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        with suppress(OSError):
            parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
