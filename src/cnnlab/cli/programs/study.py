"""The study program: compose, check, and one call."""

import os
from dataclasses import fields
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from cnnlab.cli.assemble import read
from cnnlab.cli.configs import trusted
from cnnlab.cli.jobs.invocation import STUDY, write_invocation
from cnnlab.studies.study import Study

GROUPS = ("model", "data", "optimizer", "schedule", "task", "trainer")


def run(config: DictConfig, folder: Path) -> int:
    """Do the study in `folder`, or what is left of it. Returns the exit status: 1 if some runs failed."""
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    study = design(config)
    write_invocation(folder, [], STUDY)
    try:
        result = study.run(folder, workers=config.workers, replicas=config.replicas, trust=trusted(config))
    except KeyboardInterrupt:
        print(f"interrupted; go on with: resume={folder}")
        raise
    print(folder)
    return 1 if result.failed else 0


def design(config: DictConfig) -> Study:
    """What a configuration asks for, the arguments of its classes checked by name and type."""
    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    names = [*GROUPS, *(field.name for field in fields(Study))]
    asked = {name: values[name] for name in names if name in values}
    study = Study.from_json({**asked, "name": HydraConfig.get().runtime.choices.get("study")})
    for group in GROUPS:
        read(group, OmegaConf.create({name: value for name, value in values[group].items() if name != "factory"}))
    return study
