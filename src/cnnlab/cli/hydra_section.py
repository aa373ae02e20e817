"""What the command line and a folder of configurations may tell Hydra itself: looked at before Hydra acts on it.

Hydra imports and calls the classes of its own section (callbacks, launcher, sweeper, logging handlers) as soon as it
has composed a configuration, and writes into the folder of the job before the job starts.
"""

import argparse
import importlib.util
import shutil
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cnnlab._choices import UsageError
from cnnlab.cli.folders import Folders
from cnnlab.cli.targets import check_targets

OWN_CALLBACKS = ("cnnlab.cli.sweep.SweepTable",)


def check_flags(flags: argparse.Namespace) -> None:
    """Raises UsageError for flags of Hydra that run what they are given, and for some that don't go together."""
    if flags.experimental_rerun is not None:
        raise UsageError("--experimental-rerun is refused: it unpickles a file. To go on with a run: resume=FOLDER")
    if flags.config_path is not None:
        raise UsageError("--config-path is refused: configurations of your own come in with --config-dir FOLDER")
    texts = list(flags.overrides)
    if flags.config_dir is not None and Path(flags.config_dir).is_dir():
        texts += [file.read_text(errors="replace") for file in Path(flags.config_dir).rglob("*.yaml")]
    if any("pkg://" in text for text in texts):
        raise UsageError("pkg:// is refused: it imports a package. Configurations are found with --config-dir FOLDER")
    if sum(map(bool, (flags.run, flags.cfg, flags.multirun, flags.shell_completion, flags.info))) > 1:
        raise UsageError("one of --run, --multirun, --cfg, --info and --shell-completion at a time")
    if flags.resolve and not (flags.cfg or flags.help):
        raise UsageError("--resolve goes with --cfg or --help")


def check_section(config: DictConfig, inside: str) -> None:
    """Raises UsageError for what Hydra's own section may not name. `inside`: where Hydra's own plugins are."""
    section = OmegaConf.to_container(config, resolve=False)
    assert isinstance(section, dict)
    check_targets(section, (*OWN_CALLBACKS, inside, "hydra_plugins."))
    for name in ("launcher", "sweeper"):
        check_installed(section.get(name))
    for name in ("hydra_logging", "job_logging"):
        _check_logging(section.get(name))


def check_installed(part: object) -> None:
    """Raises UsageError for a launcher whose package isn't there, with the line that installs it, for one without its
    cluster, and for a name behind which there is no module: Hydra would follow it from attribute to attribute."""
    module, _, name = str(part.get("_target_") if isinstance(part, dict) else "").rpartition(".")
    if not module:
        return
    package = ".".join(module.split(".")[:2])
    if not _is_module(package):
        extra = package.removeprefix("hydra_plugins.hydra_").removesuffix("_launcher")
        short = package.removeprefix("hydra_plugins.")
        raise UsageError(f"hydra/launcher: {short} is not installed; it comes with: pip install 'cnnlab[{extra}]'")
    if not _is_module(module) or not name.endswith(("Launcher", "Sweeper")):
        raise UsageError(f"_target_: {module}.{name} is refused: there is no launcher or sweeper of this name")
    if name == "SlurmLauncher" and not shutil.which("srun"):
        raise UsageError("hydra/launcher=slurm: there is no srun here; start it on the cluster, or take slurm_local")


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _check_logging(node: object) -> None:
    """Raises UsageError for a logging configuration that names a class or function outside of `logging`."""
    if isinstance(node, dict):
        for key, value in node.items():
            named = key in ("class", "()", "factory") and not str(value).startswith("logging.")
            if named or (isinstance(value, str) and value.startswith(("ext://", "cfg://")) and "sys.std" not in value):
                raise UsageError(f"hydra logging: {key}: {value} is refused: it may only name what is in logging")
            _check_logging(value)
    elif isinstance(node, list):
        for value in node:
            _check_logging(value)


def check_folder(config: DictConfig, kind: str, folders: Folders) -> None:
    """Raises UsageError if hydra.run.dir or hydra.sweep.dir names a folder that holds a run, which would be lost."""
    node = config.hydra[kind]
    raw = OmegaConf.to_container(node, resolve=False)
    assert isinstance(raw, dict)
    if "${new_folder:" in str(raw["dir"]):
        return  # a new one for every run
    try:
        folder = Path(str(node.dir))
    except OmegaConfBaseException:
        return  # Hydra will say so
    folders.check_free(folder, f"hydra.{kind}.dir")
