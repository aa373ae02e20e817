"""What a program in the background runs: itself, in its folder, its output in files. See `Background`."""

import os
import resource
import signal
import sys

from cnnlab.cli import entry as programs


def main(asked: dict) -> None:
    os.chdir(asked["CWD"])
    for number, path in ((1, asked["OUT"]), (2, asked["ERR"])):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    if asked["LARGEST_FILE"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["LARGEST_FILE"], asked["LARGEST_FILE"]))
    # A suite that was itself started in the background inherits that Ctrl-C is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = asked["ARGUMENTS"]
    getattr(programs, asked["PROGRAM"])()


if __name__ == "child":
    main(globals())
