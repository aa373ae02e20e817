"""How far a sweep is: a bar on a terminal, a line whenever a job ends elsewhere. Read from the folders of the jobs."""

import atexit
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cnnlab.runs.record import read_summary

if TYPE_CHECKING:
    from rich.console import Console

ENDED = ("completed", "failed", "interrupted")


class SweepProgress:
    """Looks at the folders of the jobs twice a second, in a thread, until it is stopped."""

    def __init__(self, folder: Path, jobs: list[str], every: float = 0.5) -> None:
        self.folder, self.jobs, self.every = folder, jobs, every
        self.started, self.clock = time.time(), time.monotonic()
        self.ended = {job: "completed" for job in jobs if read_summary(folder / job).get("status") == "completed"}
        self.before = len(self.ended)  # by a sweep that goes on
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        if self.before:
            print(f"sweep: {self.before} of {len(self.jobs)} jobs were completed before", flush=True)
        self._thread.start()

    def stop(self) -> None:
        """Look a last time and leave the screen as it was."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> list[str]:
        """Note which jobs ended; returns those that run. What an earlier, killed sweep left counts for nothing."""
        running = []
        for job in self.jobs:
            path = self.folder / job / "summary.json"
            if job in self.ended or not path.is_file() or path.stat().st_mtime < self.started:
                continue
            status = read_summary(path.parent).get("status")
            if status in ENDED:
                self.ended[job] = status
            elif status == "running":
                running.append(job)
        return running

    def words(self) -> str:
        """`3 of 8 jobs ended, 1 with an error, about 2 min left`."""
        wrong = sum(status == "failed" for status in self.ended.values())
        errors = f", {wrong} with an error" if wrong else ""
        return f"{len(self.ended)} of {len(self.jobs)} jobs ended{errors}{self._left()}"

    def _left(self) -> str:
        new, left = len(self.ended) - self.before, len(self.jobs) - len(self.ended)
        if not new or not left:
            return ""
        seconds = (time.monotonic() - self.clock) / new * left
        return f", about {seconds:.0f} s left" if seconds < 100 else f", about {seconds / 60:.0f} min left"

    def _watch(self) -> None:
        from rich.console import Console

        console = Console()
        if console.is_terminal and not console.is_dumb_terminal:
            self.draw(console)
            return
        told, over = len(self.ended), False
        while not over:
            over = self._end.wait(self.every)
            self.look()
            if len(self.ended) > told:
                told = len(self.ended)
                print(f"sweep: {self.words()}", flush=True)

    def draw(self, console: "Console") -> None:
        """One line, until `stop`, and nothing afterwards; also if the program ends in between."""
        from rich.progress import BarColumn, Progress, TextColumn

        atexit.register(self.stop)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[running]}"))
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task(self.words(), total=len(self.jobs), running="")
            while not self._end.wait(self.every):
                running = self.look()
                shown = ", ".join(running[:2]) + (f" and {len(running) - 2} more" if len(running) > 2 else "")
                progress.update(bar, completed=len(self.ended), description=self.words(), running=shown)
