"""Files that are whole at any moment, and folders that one process works in."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident
from typing import BinaryIO

from filelock import FileLock, Timeout

from cnnlab._choices import UsageError


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write `path` in: all that is written becomes `path` at the end, or nothing does.

    It is a new file beside it, never what a link leads to, and renamed at the end. Raises OSError, which names `path`.
    """
    part = part_of(path)
    try:
        part.unlink(missing_ok=True)  # of a process of this number that was killed
        with part.open("xb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        error.filename, error.strerror = str(path), error.strerror or str(error)
        raise
    finally:
        part.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """Where `path` is written before it is whole: a name of this thread's own where there is no room for a suffix."""
    long = len(os.fsencode(path.name)) > 200
    return path.with_name(f".{os.getpid()}.{get_ident()}.part" if long else f"{path.name}.{os.getpid()}.part")


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """All of `content` becomes the file `path`, or nothing does. Raises OSError, which names `path`."""
    with whole_file(path) as file:
        file.write(content)


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
