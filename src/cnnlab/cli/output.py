"""Standard output and error that are gone: a reader that went away, a full disk, a closed stream. The work goes on."""

import io
import os
import sys


class Stream(io.FileIO):
    """A standard stream. What can't be written any more is dropped, and `problem` says why."""

    problem: OSError | None = None

    def write(self, data: object, /) -> int:
        assert isinstance(data, bytes | bytearray | memoryview)
        try:
            return super().write(data) or 0
        except OSError as error:
            self.problem = error
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())  # also for what libraries print
            return len(data)


def open_streams() -> tuple[Stream, Stream]:
    """From now on, output that can't be written costs the output alone. A stream that a test replaced stays."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file would take its number, and what is printed would go into that file
            os.open(os.devnull, os.O_RDWR)
    streams = Stream(1, "w", closefd=False), Stream(2, "w", closefd=False)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(streams[0])
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(streams[1])
    return streams


def _text(stream: Stream) -> io.TextIOWrapper:
    encoding = getattr(sys.__stdout__, "encoding", None)
    return io.TextIOWrapper(
        io.BufferedWriter(stream), encoding=encoding, errors="backslashreplace", line_buffering=stream.isatty()
    )
