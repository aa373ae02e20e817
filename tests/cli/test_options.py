"""Options: the YAML file of a program and its dataclass list the same names, with the same defaults."""

import dataclasses
import inspect
import typing
from collections.abc import Sequence
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from cnnlab._targets import current_target
from cnnlab.cli.entry import PROGRAMS
from cnnlab.cli.folders import config_folder
from cnnlab.cli.options import OPTIONS, Group
from cnnlab.cli.targets import locate

CONFIGS = config_folder()
CLASSES = sorted(
    path
    for path in CONFIGS.glob("*/*.yaml")
    if "_target_" in OmegaConf.load(path) and path.parent.name not in ("logger", "optimizer")
)


def test_every_program_has_options_a_configuration_and_a_script() -> None:
    assert list(OPTIONS) == list(PROGRAMS)
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == set(PROGRAMS)
    assert {path.stem for path in (Path(__file__).parents[2] / "scripts").glob("*.py")} == set(PROGRAMS)


def groups_of(program: str) -> set[str]:
    hints = typing.get_type_hints(OPTIONS[program])
    return {name for name, wanted in hints.items() if Group in (wanted, *typing.get_args(wanted))}


def yaml_values(program: str) -> dict[str, object]:
    """The values at the top of a YAML file, and of the one that it begins with; without groups."""
    config = OmegaConf.load(CONFIGS / f"{program}.yaml")
    assert isinstance(config, DictConfig)
    before = yaml_values("train") if "train" in config.defaults else {}
    values = OmegaConf.to_container(config, resolve=False)
    own = {name: value for name, value in values.items() if name not in {"defaults", "hydra"} | groups_of(program)}
    return before | own


def plain(value: object) -> object:
    """A default as YAML would say it."""
    if isinstance(value, Path):
        return str(value)
    return [plain(item) for item in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


@pytest.mark.parametrize("program", OPTIONS)
def test_a_program_has_one_default_for_an_option(program: str) -> None:
    fields = dataclasses.fields(OPTIONS[program])
    defaults = {
        field.name: "???" if field.default is dataclasses.MISSING else plain(field.default)
        for field in fields
        if field.name not in groups_of(program)
    }
    assert yaml_values(program) == defaults


@pytest.mark.parametrize("program", OPTIONS)
def test_a_program_composes_the_groups_that_it_says(program: str) -> None:
    config = OmegaConf.load(CONFIGS / f"{program}.yaml")
    chosen = {name for entry in config.defaults if isinstance(entry, DictConfig) for name in entry}
    chosen |= groups_of("train") if "train" in config.defaults else set()
    named = {name for name in chosen if not name.startswith(("override ", "optional "))}
    assert named - {"study"} == groups_of(program)  # a study changes values at the top


@pytest.mark.parametrize("path", CLASSES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_default_of_a_class_is_that_of_its_configuration(path: Path) -> None:
    config = OmegaConf.load(path)
    assert isinstance(config, DictConfig)
    owner = locate(current_target(config["_target_"]))
    parameters = inspect.signature(owner).parameters
    if not owner.__module__.startswith("cnnlab."):
        return  # other people's defaults are not ours
    values = OmegaConf.to_container(config, resolve=False)
    others = {
        name: (value, plain(parameters[name].default))
        for name, value in values.items()
        if name in parameters
        and parameters[name].default is not inspect.Parameter.empty
        and value != plain(parameters[name].default)
        and "${" not in str(value)
    }
    assert others == {}
