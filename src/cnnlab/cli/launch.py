"""From the command line to a job: compose, check, run, and end with a status that says how it went.

0: done. 1: something failed. 2: the user's mistake, one message on standard error. 130, 143: interrupted.
"""

import importlib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from cnnlab._choices import UsageError, check_choice, nearest
from cnnlab._targets import CHOICES
from cnnlab._trust import import_trusted
from cnnlab.cli.arguments import for_hydra
from cnnlab.cli.check import check, check_used
from cnnlab.cli.configs import check_trust, save_config, trusted
from cnnlab.cli.folders import Folders, register_resolvers
from cnnlab.cli.hydra_internals import parse, run, watch
from cnnlab.cli.hydra_section import check_flags
from cnnlab.cli.interruption import end_at_once, end_in_order
from cnnlab.cli.messages import explain, is_mistake, while_composing
from cnnlab.cli.options import OPTIONS
from cnnlab.cli.output import open_streams
from cnnlab.runs.record import is_first_process, read_summary, record_end, versions

DEBUG = "CNNLAB_DEBUG"  # set to 1: mistakes show their traceback


def launch(program: str, arguments: Sequence[str]) -> NoReturn:
    """Run a program, which has `run(config, folder) -> int` in `cnnlab.cli.programs`, and end."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands errors on instead of printing and exiting itself
    if os.environ.get("NO_COLOR"):
        os.environ["TERM"] = "dumb"  # no bold type and no moving cursor either
    warnings.filterwarnings("ignore", category=UserWarning, module="hydra")
    out, _ = open_streams()
    folders = Folders()
    end_at_once(folders)
    register_resolvers(folders)
    watch(folders, is_first_process())
    status = _status(program, list(arguments), folders)
    sys.stdout.flush()
    if out.problem is not None and not isinstance(out.problem, BrokenPipeError):
        _say(f"standard output: {out.problem.strerror}")
        status = status or 1
    sys.exit(status)


def _status(program: str, arguments: list[str], folders: Folders) -> int:
    try:
        check_choice("program", program, OPTIONS)
        return _dispatch(program, arguments, folders)
    except KeyboardInterrupt as interrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C changes nothing
        for folder in folders.sweeps():
            print(f"interrupted; go on with: resume={folder}")
        _say(str(interrupt.args[0]) if interrupt.args else "interrupted")
        return 128 + (interrupt.args[1] if len(interrupt.args) > 1 else signal.SIGINT)
    except SystemExit as end:  # of Hydra's, after --help
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception as error:
        if not is_mistake(error):
            raise
        _tell(error)
        folders.remove_refused()
        return 2


def _dispatch(program: str, arguments: list[str], folders: Folders) -> int:
    if "--version" in arguments:
        print(", ".join(f"{name} {version}" for name, version in versions().items()))
        return 0
    resumed = [text.partition("=")[2] for text in arguments if text.startswith("resume=")]
    if resumed and resumed[-1] not in ("", "null"):
        from cnnlab.cli.jobs.resume import resume, several

        others = [text for text in arguments if not text.startswith("resume=")]
        invocation = several(resumed[-1], others)
        if invocation is None:
            end_in_order()
            return resume(resumed[-1], others)
        program, new, folder = invocation
        sys.argv[len(sys.argv) - len(arguments) :] = arguments = new
        folders.go_on(folder)
    else:
        _refuse_renamed(arguments)
    flags = parse(for_hydra(program, arguments))
    check_flags(flags)
    outcomes: list[int | Exception] = []
    with while_composing(program, flags):
        run(flags, program, lambda config: outcomes.append(_run(program, config)))
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    done = [outcome for outcome in outcomes if isinstance(outcome, int)]
    return max([*done, *(_sweep_status(folder) for folder in folders.sweeps())], default=0)


def _refuse_renamed(arguments: list[str]) -> None:
    """The former names of choices are there for sweeps of an earlier version alone."""
    for text in arguments:
        for name in text.removeprefix("model=").split(",") if text.startswith("model=") else ():
            if name in CHOICES:
                raise UsageError(f"model={name} is now called model={CHOICES[name]}")


def _sweep_status(folder: Path) -> int:
    """0 or 1: jobs of a launcher that has processes of its own don't come back with theirs."""
    from cnnlab.cli.sweep import is_done

    return 0 if is_done(folder) else 1


def _run(program: str, config: DictConfig) -> int | Exception:
    """One job, alone or of a sweep. Returns its status, or its error: Hydra would print a raised one in its own words.

    In a sweep a job that fails is told of at once, keeps its folder for the table, and the others go on.
    """
    end_in_order()
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    try:
        check_trust(config, hydra_config.overrides.task)
        import_trusted(trusted(config))  # what it registers, a bank or an arm may name
        check(config, program)
        check_used(program, config, hydra_config.overrides.task)
        _check_recipe(hydra_config.overrides.task)
        if hydra_config.mode == RunMode.MULTIRUN:
            return _run_in_sweep(program, config, folder)
        if is_first_process():
            save_config(config, folder)  # from here on the run can be resumed, however it ends
        return _run_job(program, config, folder)
    except KeyboardInterrupt:
        record_end(folder, "interrupted", "stopped before it began")
        raise
    except Exception as error:
        if hydra_config.mode != RunMode.MULTIRUN:
            if not is_mistake(error):
                record_end(folder, "failed", f"{type(error).__name__}: {error}")
            return error
        record_end(folder, "failed", f"{type(error).__name__}: {error}")
        _tell(error, f"job {hydra_config.job.num} failed: ")
        return 1


def _run_job(program: str, config: DictConfig, folder: Path) -> int:
    status = importlib.import_module(f"cnnlab.cli.programs.{program}").run(config, folder)
    assert isinstance(status, int)
    return status


def _run_in_sweep(program: str, config: DictConfig, folder: Path) -> int:
    """A training has a process of its own and goes on where it stopped; other jobs are short and start anew."""
    from cnnlab.cli.jobs.apart import run_apart

    if program == "train":
        status, message = run_apart(config, folder)
        if status:
            _say(f"job {HydraConfig.get().job.num} failed: {message}")
        return min(status, 1)
    if read_summary(folder).get("status") == "completed":
        return 0
    save_config(config, folder)
    return _run_job(program, config, folder)


def _check_recipe(task_overrides: Sequence[str]) -> None:
    """Raises UsageError for a recipe that isn't there: most data have none, so Hydra lets it pass."""
    names = [text.partition("=")[2] for text in task_overrides if text.startswith("recipe=")]
    loader = GlobalHydra.instance().config_loader()
    options = loader.get_group_options("recipe") if names else []
    for name in names:
        if name not in options:
            raise UsageError(f"recipe: there is no {name!r}{nearest(name, options)}; there are: {', '.join(options)}")


def _tell(error: Exception, before: str = "") -> None:
    """A mistake in a message, with its traceback if wanted; a bug always with its traceback."""
    if os.environ.get(DEBUG, "0") not in ("", "0") or not is_mistake(error):
        traceback.print_exception(error)
    _say(before + explain(error))


def _say(message: str) -> None:
    print(f"cnnlab: {message}", file=sys.stderr, flush=True)
