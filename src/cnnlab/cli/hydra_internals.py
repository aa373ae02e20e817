"""All that cnnlab takes from inside of Hydra, which may change with its version: a test names the one tried."""

import argparse
from collections.abc import Callable, Sequence
from typing import NoReturn

import hydra._internal.hydra
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from cnnlab._choices import UsageError
from cnnlab.cli.folders import Folders, config_folder, register_resolvers
from cnnlab.cli.hydra_section import check_folder, check_section
from cnnlab.cli.jobs.invocation import Job

INSIDE = "hydra._internal.core_plugins."  # where Hydra's own launcher and sweeper are


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Hydra's flags and the options, as `overrides`, in any order. UsageError for flags that there are not."""

    def refuse(message: str) -> NoReturn:
        raise UsageError(f"{message}; all flags: --hydra-help")

    parser = get_args_parser()
    vars(parser)["error"] = refuse
    return parser.parse_intermixed_args(list(arguments))


def run(flags: argparse.Namespace, config_name: str, job: Callable[[DictConfig], None]) -> None:
    """What `hydra.main` does, with flags that are parsed already: compose and run `job`, or one for each of a sweep."""
    version.setbase("1.3")
    _run_hydra(flags, get_args_parser(), job, str(config_folder()), config_name)


class CheckedLoader(ConfigLoaderImpl):
    """Checks every configuration that Hydra composes before Hydra uses it. Travels to the processes of a launcher."""

    folders = Folders()
    first_process = True

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        config = super().load_configuration(config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        check_section(config.hydra, INSIDE)
        if self.first_process:
            check_folder(config, "sweep" if run_mode is RunMode.MULTIRUN else "run", self.folders)
        return config

    def __setstate__(self, state: dict[str, object]) -> None:
        register_resolvers(Folders())  # unpickled in another process, which knows none of ours
        self.__dict__.update(state)


def watch(folders: Folders, first_process: bool) -> None:
    """From now on every configuration that Hydra composes is checked before Hydra uses it."""
    CheckedLoader.folders, CheckedLoader.first_process = folders, first_process
    vars(hydra._internal.hydra)["ConfigLoaderImpl"] = CheckedLoader


def sweep_jobs(config: DictConfig) -> list[Job]:
    """Every job that Hydra's sweeper will make of the composed `config`."""
    loader = GlobalHydra.instance().config_loader()
    params = [f"{name}={value}" for name, value in (config.hydra.sweeper.get("params") or {}).items()]
    parsed = OverridesParser.create(config_loader=loader).parse_overrides([*params, *config.hydra.overrides.task])
    (batch,) = BasicSweeper.split_arguments(parsed, None)
    jobs, before = [], HydraConfig.instance().cfg
    try:
        HydraConfig.instance().set_config(config)
        str(config.hydra.sweep.dir)  # made once, now, and known to all jobs
        for number, overrides in enumerate(batch):
            composed = loader.load_sweep_config(config, list(overrides))
            with open_dict(composed):
                composed.hydra.job.num, composed.hydra.job.id = number, number
            HydraConfig.instance().set_config(composed)
            jobs.append(Job(job=number, overrides=list(overrides), folder=str(composed.hydra.sweep.subdir)))
    finally:
        HydraConfig.instance().cfg = before
    return jobs
