"""Files that are whole at any moment, and folders that one process works in."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from cnnlab._choices import UsageError


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """All of `content` becomes the file `path`, or nothing does: written beside it and renamed.

    The part is a new file, never what a link leads to. Raises OSError, which names `path`.
    """
    part = path.with_name(f".{os.getpid()}.part" if len(path.name) > 200 else f"{path.name}.{os.getpid()}.part")
    try:
        part.unlink(missing_ok=True)  # of a process of this number that was killed
        with part.open("xb") as file:
            file.write(content)
        part.replace(path)
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """As `write_bytes`, in UTF-8."""
    write_bytes(path, text.encode("utf-8"))


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other processes from working in the folder. The hold ends with the process, however it ends.

    Raises UsageError if another process holds it.
    """
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(f"{folder} is still running in another process") from None
    try:
        yield
    finally:
        lock.release()
