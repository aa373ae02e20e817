"""The configuration of a job in its folder: as asked, every interpolation resolved."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from cnnlab._files import write_text
from cnnlab.runs import folder as run_folder


def save_config(config: DictConfig, folder: Path) -> None:
    """Write it."""
    write_text(folder / run_folder.CONFIG, OmegaConf.to_yaml(config, resolve=True))


def read_config(folder: Path) -> DictConfig:
    """That of a training. Raises UsageError if it is no configuration of a training any more."""
    config = OmegaConf.create(run_folder.read_config(folder))
    assert isinstance(config, DictConfig)
    return config
