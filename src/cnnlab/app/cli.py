"""From the command line to a job: compose, check, run, and end with a status that says how it went.

0: done. 1: something failed. 2: the user's mistake, one message on standard error. 130, 143: interrupted.
"""

import importlib
import os
import shutil
import signal
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn

import hydra
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from cnnlab.app.check import check
from cnnlab.app.folders import config_folder, register_resolvers
from cnnlab.app.mistakes import explain

DEBUG = "CNNLAB_DEBUG"  # set to 1: mistakes and failures show their traceback
MISTAKES = (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError, OSError)


def launch(job: str, config_name: str) -> NoReturn:
    """Run the module `job`, which has `run(config, folder) -> int`, under the configuration `config_name`."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands errors on instead of printing and exiting itself
    warnings.filterwarnings("ignore", category=UserWarning, module="hydra")
    signal.signal(signal.SIGTERM, _terminate)
    register_resolvers()
    status = 0
    try:
        status = _dispatch(job, config_name)
    except KeyboardInterrupt as interrupt:
        _say(str(interrupt) or "interrupted")
        status = 128 + (interrupt.args[1] if len(interrupt.args) > 1 else signal.SIGINT)
    except MISTAKES as error:
        _traceback_if_wanted()
        _say(explain(error, config_name, [text for text in sys.argv[1:] if "=" in text]))
        status = 2
    sys.stdout.flush()
    sys.exit(status)


def _dispatch(job: str, config_name: str) -> int:
    resumed = [text.partition("=")[2] for text in sys.argv[1:] if text.startswith("resume=")]
    if resumed and resumed[-1] not in ("", "null"):
        from cnnlab.app.resume import resume

        return resume(resumed[-1], [text for text in sys.argv[1:] if not text.startswith("resume=")])
    outcomes: list[int | Exception] = []
    main = hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=config_name)
    main(lambda config: outcomes.append(_run(job, config)))()
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return max(outcomes, default=0)


def _run(job: str, config: DictConfig) -> int | Exception:
    """One job, alone or of a sweep. Returns its status, or its error: Hydra would print a raised one in its own words.

    In a sweep a job that fails is told of at once, and the others go on.
    """
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    try:
        try:
            check(config)
        except MISTAKES:
            _remove_if_empty(folder)
            raise
        return importlib.import_module(job).run(config, folder)
    except Exception as error:
        if hydra_config.mode != RunMode.MULTIRUN:
            return error
        _traceback_if_wanted()
        _say(f"job {hydra_config.job.num} failed: {explain(error, str(hydra_config.job.config_name), [])}")
        return 1


def _remove_if_empty(folder: Path) -> None:
    """A refused configuration leaves no run folder behind. A folder that held something else stays."""
    if {path.name for path in folder.iterdir()} <= {".hydra"}:
        shutil.rmtree(folder)


def _terminate(number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt("terminated", number)


def _traceback_if_wanted() -> None:
    if os.environ.get(DEBUG, "0") not in ("", "0"):
        import traceback

        traceback.print_exc()


def _say(message: str) -> None:
    print(f"cnnlab: {message}", file=sys.stderr, flush=True)
