"""What the command line and a folder of configurations may tell Hydra itself: looked at before Hydra acts on it.

Hydra imports and calls the classes of its own section (callbacks, launcher, sweeper, logging handlers) as soon as it
has composed a configuration, and writes into the folder of the job before the job starts.
"""

import argparse
import importlib.util
from pathlib import Path
from typing import Any

import hydra._internal.hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import get_args_parser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cnnlab._choices import UsageError
from cnnlab.cli.check import ALLOWED, check_targets
from cnnlab.cli.folders import Folders, register_resolvers

HYDRA_ALLOWED = (*ALLOWED, "hydra._internal.core_plugins.", "hydra_plugins.")


def check_flags(arguments: list[str]) -> argparse.Namespace:
    """The parsed command line. Raises ValueError for flags of Hydra that run what they are given."""
    flags = get_args_parser().parse_args(arguments)
    if flags.experimental_rerun is not None:
        raise UsageError("--experimental-rerun is refused: it unpickles a file. To go on with a run: resume=FOLDER")
    if flags.config_path is not None:
        raise UsageError("--config-path is refused: configurations of your own come in with --config-dir FOLDER")
    texts = list(flags.overrides)
    if flags.config_dir is not None and Path(flags.config_dir).is_dir():
        texts += [file.read_text(errors="replace") for file in Path(flags.config_dir).rglob("*.yaml")]
    if any("pkg://" in text for text in texts):
        raise UsageError("pkg:// is refused: it imports a package. Configurations are found with --config-dir FOLDER")
    return flags


class CheckedLoader(ConfigLoaderImpl):
    """Checks every configuration that Hydra composes before Hydra uses it. Travels to the processes of a launcher."""

    folders = Folders()
    first_process = True

    def load_configuration(self, *args: Any, **kwargs: Any) -> DictConfig:
        config = super().load_configuration(*args, **kwargs)
        section = OmegaConf.to_container(config.hydra, resolve=False)
        check_targets(section, HYDRA_ALLOWED)
        check_installed(section.get("launcher"))
        for name in ("hydra_logging", "job_logging"):
            _check_logging(section.get(name))
        if self.first_process:
            kind = "sweep" if kwargs.get("run_mode") is RunMode.MULTIRUN else "run"
            _check_folder(config, kind, self.folders)
        return config

    def __setstate__(self, state: dict[str, Any]) -> None:
        register_resolvers(Folders())  # unpickled in another process, which knows none of ours
        self.__dict__.update(state)


def watch(folders: Folders, first_process: bool) -> None:
    """From now on every configuration that Hydra composes is checked before Hydra uses it."""
    CheckedLoader.folders, CheckedLoader.first_process = folders, first_process
    hydra._internal.hydra.ConfigLoaderImpl = CheckedLoader


def check_installed(launcher: Any) -> None:
    """Raises ValueError, with the line that installs it, for a launcher whose package isn't there."""
    target = launcher.get("_target_") if isinstance(launcher, dict) else None
    parts = str(target).split(".")
    if parts[0] != "hydra_plugins" or len(parts) < 2:
        return
    try:
        found = importlib.util.find_spec(".".join(parts[:2]))
    except ModuleNotFoundError:
        found = None
    if found is None:
        extra = parts[1].removeprefix("hydra_").removesuffix("_launcher")
        raise UsageError(f"hydra/launcher: {parts[1]} is not installed; it comes with: pip install 'cnnlab[{extra}]'")


def _check_logging(node: Any) -> None:
    """Raises ValueError for a logging configuration that names a class or function outside of `logging`."""
    if isinstance(node, dict):
        for key, value in node.items():
            named = key in ("class", "()", "factory") and not str(value).startswith("logging.")
            if named or (isinstance(value, str) and value.startswith(("ext://", "cfg://")) and "sys.std" not in value):
                raise UsageError(f"hydra logging: {key}: {value} is refused: it may only name what is in logging")
            _check_logging(value)
    elif isinstance(node, list):
        for value in node:
            _check_logging(value)


def _check_folder(config: DictConfig, kind: str, folders: Folders) -> None:
    """Raises ValueError if hydra.run.dir or hydra.sweep.dir names a folder that holds a run, which would be lost."""
    node = config.hydra[kind]
    if "${new_folder:" in str(OmegaConf.to_container(node, resolve=False)["dir"]):
        return  # a new one for every run
    try:
        folder = Path(str(node.dir))
    except OmegaConfBaseException:
        return  # Hydra will say so
    folders.check_free(folder, f"hydra.{kind}.dir")
