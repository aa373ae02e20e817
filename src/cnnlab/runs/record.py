"""summary.json: what a run was, how it went, and what came out. Plain JSON, whole at any moment."""

import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from cnnlab._files import write_text

PACKAGES = ("cnnlab", "torch", "torchvision", "lightning", "torchmetrics", "hydra-core", "numpy")


class RunRecord:
    """The contents of a run's summary.json, written anew at every change.

    `status` is `running`, `completed`, `failed` or `interrupted`. A record of a run that goes on (`again`) keeps what
    was written before and counts the seconds further.
    """

    def __init__(self, folder: Path, again: bool = False, **facts: object) -> None:
        self.path = folder / "summary.json"
        self._started = time.perf_counter()
        self.content: dict[str, object] = read_summary(folder) if again else {}
        self._seconds_before = number(self.content.get("seconds"))
        self.content |= {
            "status": "running",
            "started": self.content.get("started", datetime.now().astimezone().isoformat(timespec="seconds")),
            "command": self.content.get("command", shlex.join([Path(sys.executable).name, *sys.argv])),
            **facts,
            "versions": versions(),
            "git_commit": git_commit(),
        }
        self.content.pop("error", None)
        if again:
            self.content["resumed"] = int(number(self.content.get("resumed"))) + 1
        self.write()

    def add(self, **facts: object) -> None:
        self.content |= facts
        self.write()

    def finish(self, status: str, **facts: object) -> None:
        assert status in ("completed", "failed", "interrupted")
        self.add(status=status, **facts)

    def write(self) -> None:
        self.content["seconds"] = round(self._seconds_before + time.perf_counter() - self._started, 3)
        write_text(self.path, json.dumps(self.content, indent=2, allow_nan=True) + "\n")


def read_summary(folder: Path) -> dict[str, object]:
    """The summary of a run folder; {} where there is none or it is no JSON object."""
    try:
        content = json.loads((folder / "summary.json").read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def number(value: object) -> float:
    """A number of a summary, which may be damaged: 0 for anything else."""
    return float(value) if isinstance(value, int | float) else 0.0


def versions() -> dict[str, str]:
    """Of Python and of the packages that make the numbers."""
    known = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            known[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return known


def git_commit() -> str | None:
    """The commit that cnnlab runs from, with `-dirty` where files were changed; None outside of a checkout."""
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    top = Path(__file__).parents[3]
    if not (top / ".git").exists():
        return None
    try:
        return subprocess.run(command, cwd=top, capture_output=True, text=True, timeout=10).stdout.strip() or None
    except (OSError, subprocess.TimeoutExpired):
        return None


def is_first_process() -> bool:
    """False in the second and further processes of one distributed run, which write no files."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


@contextmanager
def recorded(record: RunRecord, folder: Path) -> Iterator[None]:
    """The record says how it ended, whatever happens inside. What happens goes on its way.

    Lightning ends an interrupted run with SystemExit; it leaves here as the KeyboardInterrupt that it was.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as end:
        interrupt = end.__context__ if isinstance(end.__context__, KeyboardInterrupt) else end
        record.finish("interrupted")
        raise interrupt from None
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(folder)  # a failed write to an open file doesn't say where
        with suppress(OSError):  # on a full disk the record can't be kept either
            record.finish("failed", error=f"{type(error).__name__}: {error}")
        raise


def record_killed(folder: Path, status: str, error: str) -> None:
    """Correct the summary of a job whose process is gone without having said how it ended."""
    content = read_summary(folder)
    if not content:
        return record_end(folder, status, error)
    write_text(folder / "summary.json", json.dumps(content | {"status": status, "error": error}, indent=2) + "\n")


def record_end(folder: Path, status: str, error: str) -> None:
    """The summary of a job that ended before it kept a record itself."""
    if is_first_process() and not read_summary(folder):
        with suppress(OSError):
            RunRecord(folder).finish(status, error=error)
