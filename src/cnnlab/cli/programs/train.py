"""The training program: compose, check, and one call."""

import os
import sys
from pathlib import Path

from omegaconf import DictConfig

from cnnlab._tables import print_results
from cnnlab.cli.assemble import assemble
from cnnlab.runs.record import is_first_process
from cnnlab.training.fit import quiet_advice
from cnnlab.training.tasks.network import DivergenceError
from cnnlab.training.train import train


def run(config: DictConfig, folder: Path, resume: bool = False) -> int:
    """Train as `config` says and leave everything in `folder`. Returns the exit status.

    With `resume` the run in `folder` goes on from its last checkpoint, or from the start if it has none yet.
    """
    quiet_advice()
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    try:
        done = train(**assemble(config, folder), folder=folder, resume=resume)
    except KeyboardInterrupt:
        print(f"interrupted; go on with: resume={folder}")
        raise
    except DivergenceError as error:
        print(f"cnnlab: {error}", file=sys.stderr)
        print(folder)
        return 1
    if is_first_process():
        print_results(done.scores, folder)
        print(folder)
    return 0
