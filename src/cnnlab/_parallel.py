"""Many pieces of work at once, few in memory, and how far it has come."""

import ctypes
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock, get_ident
from typing import Generic, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
EVERY = 10.0  # seconds between lines where there is no terminal


def in_turn(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """`work(item)` for each item, in order, on this many threads: no more than `threads` are worked on at any moment.

    Items and results wait in a line of 2 x threads, so neither must fit in memory together. An error, or an end before
    the last result, ends the rest: what is at work gets `Stopped` at its next step in Python. One thread is this one.
    """
    if threads == 1:
        yield from map(work, items)
        return
    waiting: deque[Future[Result]] = deque()
    pool, stoppable = ThreadPoolExecutor(threads), _Stoppable(work)
    try:
        for item in items:
            waiting.append(pool.submit(stoppable, item))
            if len(waiting) == 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        stoppable.stop()
        pool.shutdown(cancel_futures=True)


class Stopped(BaseException):
    """Nobody waits for the result any more."""


class _Stoppable(Generic[Item, Result]):
    """A function that several threads are in, which can all be stopped."""

    def __init__(self, work: Callable[[Item], Result]) -> None:
        self._work, self._lock, self._inside, self._over = work, Lock(), set[int](), False

    def __call__(self, item: Item) -> Result:
        with self._lock:
            if self._over:
                raise Stopped
            self._inside.add(get_ident())
        try:
            return self._work(item)
        finally:
            with self._lock:
                self._inside.discard(get_ident())

    def stop(self) -> None:
        with self._lock:
            self._over = True
            for thread in self._inside:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(Stopped))


def cores() -> int:
    """Those that this process may use, as far as affinity and a container's quota allow."""
    from joblib import cpu_count

    return int(cpu_count())


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Inside, torch works on each piece with this many threads; afterwards as before. Also a decorator.

    One is best for long rows of small operations: handing each to a second thread costs more than it saves, and fifty
    times as much where other programs keep the cores busy.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def shown(results: Iterable[Result], total: int, what: str) -> Iterator[Result]:
    """The results, while a bar on a terminal tells how far it is; elsewhere a line every EVERY seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from _in_lines(results, total, what)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(what, total=total, rate="")
        for result in results:
            speed = progress.tasks[bar].finished_speed or progress.tasks[bar].speed
            progress.update(bar, advance=1, rate=f"{speed:.1f} a second" if speed else "")
            yield result


def _in_lines(results: Iterable[Result], total: int, what: str) -> Iterator[Result]:
    started = told = time.perf_counter()
    for number, result in enumerate(results, 1):
        now = time.perf_counter()
        if now - told >= EVERY:
            print(f"{what}: {number} of {total}, {number / (now - started):.1f} a second", flush=True)
            told = now
        yield result
