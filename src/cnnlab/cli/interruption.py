"""Words for a program that is interrupted."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupted_with(words: str) -> Iterator[None]:
    """An interruption leaves with these words, and with its signal."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        number = interrupt.args[1] if len(interrupt.args) > 1 else signal.SIGINT
        raise KeyboardInterrupt(words, number) from None
