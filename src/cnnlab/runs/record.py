"""summary.json: what a run was, how it went, and what came out. Plain JSON, whole at any moment."""

import importlib.metadata
import json
import platform
import shlex
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from cnnlab._files import write_text

PACKAGES = ("cnnlab", "torch", "torchvision", "lightning", "torchmetrics", "hydra-core", "numpy")


class RunRecord:
    """The contents of a run's summary.json, written anew at every change.

    `status` is `running`, `completed`, `failed` or `interrupted`. A record of a run that goes on (`again`) keeps what
    was written before and counts the seconds further.
    """

    def __init__(self, folder: Path, again: bool = False, **facts: Any) -> None:
        self.path = folder / "summary.json"
        self._started = time.perf_counter()
        self.content: dict[str, Any] = read_summary(folder) if again else {}
        self._seconds_before = float(self.content.get("seconds", 0.0))
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
            self.content["resumed"] = self.content.get("resumed", 0) + 1
        self.write()

    def add(self, **facts: Any) -> None:
        self.content |= facts
        self.write()

    def finish(self, status: str, **facts: Any) -> None:
        assert status in ("completed", "failed", "interrupted")
        self.add(status=status, **facts)

    def write(self) -> None:
        self.content["seconds"] = round(self._seconds_before + time.perf_counter() - self._started, 3)
        write_text(self.path, json.dumps(self.content, indent=2, allow_nan=True) + "\n")


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary of a run folder; {} where there is none or it is no JSON object."""
    try:
        content = json.loads((folder / "summary.json").read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


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
