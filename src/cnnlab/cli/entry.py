"""The programs by name, with a line each: what scripts/*.py, the installed commands and `python -m cnnlab` call."""

import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import NoReturn

PROGRAMS = {
    "train": "train a network",
    "evaluate": "test a checkpoint",
    "search": "search for values that are best on the validation images",
    "study": "compare first layers over paired seeds",
    "report": "make the HTML page of a run, or of several",
    "kernels": "what the kernels of a layer are like, and what they respond to",
    "receptive_fields": "the receptive field of every layer of a network",
    "detect_edges": "edges of photographs",
    "benchmark_edges": "the Berkeley boundary benchmark",
    "tour": "the lecture, executable: a page of computed figures",
}


def main(program: str) -> NoReturn:
    """Run a program with the options of the command line, and end."""
    _launch(program, sys.argv[1:])


def _launch(program: str, arguments: list[str]) -> NoReturn:
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C among the imports: no traceback
    from cnnlab.cli.launch import launch

    launch(program, arguments)


def __getattr__(name: str) -> Callable[[], NoReturn]:
    """`cnnlab.cli.entry:train`, which is what an installed command calls."""
    if name not in PROGRAMS:
        raise AttributeError(name)
    return partial(main, name)


def command() -> NoReturn:
    """`python -m cnnlab PROGRAM OPTION=VALUE ...`. Without a program: those that there are."""
    program, arguments = (sys.argv[1] if len(sys.argv) > 1 else "--help"), sys.argv[2:]
    if program not in ("--help", "-h"):
        _launch(*(("train", ["--version"]) if program == "--version" else (program.replace("-", "_"), arguments)))
    print("python -m cnnlab PROGRAM OPTION=VALUE ...\n")
    for name, line in PROGRAMS.items():
        print(f"  {name:16}  {line}")
    print("\nThe options of a program: python -m cnnlab PROGRAM --help. Versions: python -m cnnlab --version")
    sys.exit(0)
