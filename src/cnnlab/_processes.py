"""Processes that work for another one."""

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait


def end_with_parent() -> None:
    """From now on this process ends, at once, when the one that started it has ended: killed or not.

    What goes on without its parent would work beside whoever takes up the same folder.
    """
    threading.Thread(target=_wait_and_end, daemon=True).start()


def _wait_and_end() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
