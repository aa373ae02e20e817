"""From the command line to a job: compose, check, run, and end with a status that says how it went.

0: done. 1: something failed. 2: the user's mistake, one message on standard error. 130, 143: interrupted.
"""

import importlib
import os
import signal
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from cnnlab._choices import UsageError, nearest
from cnnlab.cli.check import check
from cnnlab.cli.configs import save_config
from cnnlab.cli.folders import Folders, config_folder, register_resolvers
from cnnlab.cli.hydra_section import check_flags, watch
from cnnlab.cli.messages import MISTAKES, explain
from cnnlab.runs.record import is_first_process, read_summary, record_end

TRAINING = "cnnlab.cli.programs.train"
DEBUG = "CNNLAB_DEBUG"  # set to 1: mistakes show their traceback


def launch(job: str, config_name: str) -> NoReturn:
    """Run the module `job`, which has `run(config, folder) -> int`, under the configuration `config_name`."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands errors on instead of printing and exiting itself
    warnings.filterwarnings("ignore", category=UserWarning, module="hydra")
    signal.signal(signal.SIGTERM, _terminate)
    folders = Folders()
    register_resolvers(folders)
    watch(folders, is_first_process())
    status = 0
    try:
        status = _dispatch(job, config_name, folders)
    except KeyboardInterrupt as interrupt:
        for folder in folders.sweeps():
            print(f"interrupted; go on with: resume={folder}")
        _say(str(interrupt.args[0]) if interrupt.args else "interrupted")
        status = 128 + (interrupt.args[1] if len(interrupt.args) > 1 else signal.SIGINT)
    except MISTAKES as error:
        _tell(error, config_name)
        folders.remove_refused()
        status = 2
    sys.stdout.flush()
    sys.exit(status)


def _dispatch(job: str, config_name: str, folders: Folders) -> int:
    resumed = [text.partition("=")[2] for text in sys.argv[1:] if text.startswith("resume=")]
    if resumed and resumed[-1] not in ("", "null"):
        from cnnlab.cli.resume import resume, several

        others = [text for text in sys.argv[1:] if not text.startswith("resume=")]
        found = several(resumed[-1], others)
        if found is None:
            return resume(resumed[-1], others)
        config_name, sys.argv[1:], folder = found
        job = f"cnnlab.cli.programs.{config_name}"
        folders.go_on(folder)
    check_flags(sys.argv[1:])
    outcomes: list[int | Exception] = []
    main = hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=config_name)
    try:
        main(lambda config: outcomes.append(_run(job, config)))()
    except ValueError as error:  # of Hydra's, while it composes: a job's own errors are among the outcomes
        raise UsageError(str(error)) from error
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return max([*outcomes, *(_sweep_status(folder) for folder in folders.sweeps())], default=0)


def _sweep_status(folder: Path) -> int:
    """0 or 1: jobs of a launcher that has processes of its own don't come back with theirs."""
    from cnnlab.cli.sweep import is_done

    return 0 if is_done(folder) else 1


def _run(job: str, config: DictConfig) -> int | Exception:
    """One job, alone or of a sweep. Returns its status, or its error: Hydra would print a raised one in its own words.

    In a sweep a job that fails is told of at once, keeps its folder for the table, and the others go on.
    """
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    try:
        check(config, job)
        _check_recipe(hydra_config)
        if hydra_config.mode == RunMode.MULTIRUN:
            return _run_in_sweep(job, config, folder)
        if is_first_process():
            save_config(config, folder)  # from here on the run can be resumed, however it ends
        return importlib.import_module(job).run(config, folder)
    except KeyboardInterrupt:
        record_end(folder, "interrupted", "stopped before it began")
        raise
    except Exception as error:
        if hydra_config.mode != RunMode.MULTIRUN:
            if not isinstance(error, MISTAKES):
                record_end(folder, "failed", f"{type(error).__name__}: {error}")
            return error
        record_end(folder, "failed", f"{type(error).__name__}: {error}")
        _tell(error, str(hydra_config.job.config_name), f"job {hydra_config.job.num} failed: ")
        return 1


def _run_in_sweep(job: str, config: DictConfig, folder: Path) -> int:
    """A training has a process of its own and goes on where it stopped; other jobs are short and start anew."""
    from cnnlab.cli.jobs import run_apart

    if job == TRAINING:
        status, message = run_apart(job, config, folder)
        if status:
            _say(f"job {HydraConfig.get().job.num} failed: {message}")
        return min(status, 1)
    if read_summary(folder).get("status") == "completed":
        return 0
    save_config(config, folder)
    return importlib.import_module(job).run(config, folder)


def _check_recipe(hydra_config: DictConfig) -> None:
    """Raises ValueError for a recipe that was asked for and isn't there: most data have none, so Hydra lets it pass."""
    asked = [text.partition("=")[2] for text in hydra_config.overrides.task if text.startswith("recipe=")]
    loader = GlobalHydra.instance().config_loader()
    options = loader.get_group_options("recipe") if asked else []
    for name in asked:
        if name not in options:
            raise UsageError(f"recipe: there is no {name!r}{nearest(name, options)}; there are: {', '.join(options)}")


def _terminate(number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt("terminated", number)


def _tell(error: Exception, config_name: str, before: str = "") -> None:
    """A mistake in a message, with its traceback if wanted; a bug always with its traceback."""
    if os.environ.get(DEBUG, "0") not in ("", "0") or not isinstance(error, MISTAKES):
        traceback.print_exception(error)
    overrides = [text for text in sys.argv[1:] if "=" in text and not text.startswith("-")]
    try:
        config_dir = check_flags(sys.argv[1:]).config_dir
    except ValueError:
        config_dir = None
    _say(before + explain(error, config_name, overrides, config_dir))


def _say(message: str) -> None:
    print(f"cnnlab: {message}", file=sys.stderr, flush=True)
