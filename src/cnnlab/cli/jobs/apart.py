"""A job in a process of its own: whatever ends it, also the machine's lack of memory, ends nothing else.

The processes are forked from a server that has imported torch and never touched a GPU, so that a job starts in
milliseconds. Where there is no such server (Windows), each one starts anew.
"""

import multiprocessing
import os
import signal
import sys
import time
import traceback
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypedDict

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from cnnlab._files import held
from cnnlab._processes import end_with_parent
from cnnlab.cli.arguments import quoted
from cnnlab.cli.check import check
from cnnlab.cli.configs import read_config, save_config
from cnnlab.cli.interruption import interrupt
from cnnlab.cli.messages import explain, is_mistake
from cnnlab.runs.folder import CONFIG
from cnnlab.runs.record import read_summary, record_end, record_killed

OUTPUT = "output.txt"  # what a job prints, in its folder
PRELOADED = ("cnnlab.cli.programs.train", "cnnlab.data.images.module", "cnnlab.nn.small_cnn", "sklearn.datasets")
PATIENCE = 60.0  # seconds that an interrupted job has to write its checkpoint


class Command(TypedDict):
    """What a process is: its command line, by which it can be repeated alone, its folder and environment."""

    argv: list[str]
    cwd: str
    environment: dict[str, str]


def run_apart(config: DictConfig, folder: Path) -> tuple[int, str]:
    """Train in `folder`, from the start or from where it stopped, in a process of its own.

    Returns its status and, if that isn't 0, what went wrong. A completed run is left as it is; one that still runs
    elsewhere, left over from a sweep that was killed, is waited for.
    """
    _wait_until_free(folder)
    if read_summary(folder).get("status") == "completed":
        return 0, ""
    again = (folder / CONFIG).is_file()
    if again:
        config = read_config(folder, config.get("trust") or ())
        check(config, "train")
    else:
        save_config(config, folder)  # from here on the run can be resumed, however it ends
    outcome, tell = multiprocessing.Pipe(duplex=False)
    arguments = (tell, _command(folder, again), config, folder, again)
    if os.name == "posix":
        multiprocessing.set_forkserver_preload(list(PRELOADED))
        process: BaseProcess = multiprocessing.get_context("forkserver").Process(target=_run_here, args=arguments)
    else:
        process = multiprocessing.get_context("spawn").Process(target=_run_here, args=arguments)
    process.start()
    tell.close()
    try:
        wait([process.sentinel])
    except KeyboardInterrupt:
        _stop(process)
        if read_summary(folder).get("status") == "running":
            record_killed(folder, "interrupted", "killed while it was interrupted")
        raise
    process.join()
    return _outcome(folder, outcome, process.exitcode)


def _outcome(folder: Path, outcome: Connection, exitcode: int | None) -> tuple[int, str]:
    try:
        status, message = outcome.recv()
    except EOFError:  # it couldn't say anything any more
        name = signal.Signals(-exitcode).name if exitcode and exitcode < 0 else f"exit status {exitcode}"
        status, message = 1, f"its process was ended by {name}"
    if status and read_summary(folder).get("status") in (None, "running"):
        record_killed(folder, "failed", message)
    return status, message


def _stop(process: BaseProcess) -> None:
    """Ask it to end, which leaves a checkpoint, and end it if it doesn't."""
    process.terminate()
    process.join(PATIENCE)
    if process.is_alive():
        process.kill()
        process.join()


def _command(folder: Path, again: bool) -> Command:
    """Of the new process; Lightning starts the further processes of a distributed job with the same command line."""
    arguments = [f"resume={folder}"]
    if not again and HydraConfig.initialized():
        config = HydraConfig.get()
        own = [source.path for source in config.runtime.config_sources if source.provider == "command-line"]
        arguments = [text for path in own for text in ("--config-dir", path)]
        arguments += [*config.overrides.task, "hydra.mode=RUN", f"hydra.run.dir={quoted(str(folder))}"]
    program = sys.argv[: 2 if Path(sys.argv[0]).name == "__main__.py" else 1]  # python -m cnnlab train
    return Command(argv=[*program, *arguments], cwd=str(Path.cwd()), environment=dict(os.environ))


def _wait_until_free(folder: Path) -> None:
    while True:
        try:
            with held(folder):
                return
        except ValueError:
            time.sleep(0.5)


def _run_here(tell: Connection, command: Command, config: DictConfig, folder: Path, again: bool) -> None:
    """In the new process: train, and tell the outcome."""
    os.environ.clear()
    os.environ.update(command["environment"])
    os.chdir(command["cwd"])
    sys.argv = command["argv"]
    _print_to(folder / OUTPUT)
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the sweep's own one passes it on
    end_with_parent()
    message = ""
    try:
        from cnnlab.cli.programs.train import run

        status = run(config, folder, resume=again)
        if status:
            message = str(read_summary(folder).get("error", f"exit status {status}"))
    except KeyboardInterrupt:
        status, message = 128 + signal.SIGTERM, "interrupted"
        record_end(folder, "interrupted", "stopped before it began")
    except Exception as error:
        status, message = 1, explain(error) if is_mistake(error) else _last_line(error)
        record_end(folder, "failed", f"{type(error).__name__}: {error}")
        traceback.print_exception(error)
    sys.stdout.flush()
    tell.send((status, message))


def _last_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error} (all of it in {OUTPUT})"


def _print_to(path: Path) -> None:
    """From now on everything that this process prints, its libraries too, is appended to the file."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for number in (1, 2):
        os.dup2(file, number)
    os.close(file)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
