"""Ctrl-C and SIGTERM: what they do before a job and in it, and the words for them."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from cnnlab.cli.folders import Folders

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


def end_at_once(folders: Folders) -> None:
    """While a configuration is composed, nothing is worth an orderly end, and Hydra would take it for an error."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        folders.remove_refused()
        os.write(2, f"cnnlab: {WORDS[signal.Signals(number)]}\n".encode())
        os._exit(128 + number)

    _handle(end)


def end_in_order() -> None:
    """From the beginning of a job on both leave as KeyboardInterrupt(words, number)."""
    _handle(interrupt)


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(WORDS[signal.Signals(number)], number)


def _handle(handler: Callable[[int, FrameType | None], NoReturn]) -> None:
    if threading.current_thread() is not threading.main_thread():  # a launcher's
        return
    signal.signal(signal.SIGTERM, handler)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # started in the background
        signal.signal(signal.SIGINT, handler)


@contextmanager
def interrupted_with(words: str) -> Iterator[None]:
    """An interruption leaves with these words, and with its signal."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        number = interrupt.args[1] if len(interrupt.args) > 1 else signal.SIGINT
        raise KeyboardInterrupt(words, number) from None
