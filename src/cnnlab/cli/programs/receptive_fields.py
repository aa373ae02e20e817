"""The receptive-field job: every layer of a network, as table, JSON, CSV and pictures."""

import os
from pathlib import Path

from omegaconf import DictConfig

from cnnlab.cli.programs.kernels import subject_of
from cnnlab.kernels.fields import look_at_fields


def run(config: DictConfig, folder: Path) -> int:
    """Leave receptive_fields.json, receptive_fields.csv and figures/ in `folder`."""
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    layers = None if config.layers is None else list(config.layers)
    look_at_fields(subject_of(config), folder, layers=layers, inputs=config.inputs, seed=config.seed)
    print(folder)
    return 0
