"""One clear message for a mistake in the options: what was given, what is valid, what is nearest."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cnnlab._choices import UsageError, nearest
from cnnlab.cli.folders import config_folder

# What counts as a mistake of the user's. While a run is prepared, cnnlab and the libraries raise ValueError for
# values that can't be; an OSError names the file or folder that the machine refused. Everything else is a bug and
# keeps its traceback, and so does a ValueError after the first step (see `run` in train).
MISTAKES = (HydraException, OmegaConfBaseException, yaml.YAMLError, UsageError, OSError)


def explain(error: Exception, config_name: str, overrides: list[str], config_dir: str | None = None) -> str:
    """Hydra's and OmegaConf's errors in a line or two; any other error in its own words."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override, text)
    if isinstance(error, OSError) and not isinstance(error, HydraException) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OmegaConfBaseException) and (refused := _refused_by_the_machine(error)):
        return explain(refused, config_name, overrides, config_dir)
    if match := re.search(r"Could not override '([^']+)'", text):
        return _unknown_key(match[1].removesuffix("@"), config_name, overrides, config_dir)
    if match := re.search(r"Could not find '([^']+)'", text):
        return _unknown_option(match[1], re.findall(r"^\t(\S+)$", text.partition("Available options in")[2], re.M))
    if isinstance(error, yaml.YAMLError):
        return f"not a readable YAML file: {' '.join(text.split())}"
    if "must be a string or a list. Got" in text:
        return f"a group is chosen by a name, as in model=edge_init; got: {' '.join(overrides)}"
    if "Error merging override" in text or "Could not append to config" in text:
        cause = error.__cause__ or error
        match = re.search(r"override \+*([\w.]+)=(.?)", text)
        if match and "Cannot merge DictConfig with" in str(cause):
            return f"{match[1]} has no names in it" if match[2] == "{" else _by_name(match[1])
        return " ".join(f"{text.splitlines()[0]}: {str(cause).splitlines()[0]}".split())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("See https://hydra.cc")]
    return "\n".join(line for line in lines[:14] if "HYDRA_FULL_ERROR" not in line and "object_type=" not in line)


def _refused_by_the_machine(error: BaseException | None) -> OSError | None:
    """What lies behind an error of OmegaConf's: the folder of a run is made while `${new_folder:...}` is resolved."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def _unreadable(override: str, reason: str) -> str:
    """Brackets, commas and spaces mean something to Hydra: text with them needs quotes inside of the shell's."""
    key, equal, value = override.partition("=")
    lines = [line for line in reason.splitlines() if not line.startswith(("See ", "Error parsing override"))]
    reason = "it reads as a call of a function" if "Unknown function" in reason else (lines or ["not readable"])[0]
    if not equal:
        return f"can't read {override!r}: an option is NAME=VALUE"
    return f"can't read {override!r}: {reason}. Text with brackets or commas needs quotes: '{key}=\"{value}\"'"


def _unknown_key(key: str, config_name: str, overrides: list[str], config_dir: str | None) -> str:
    config = _compose(config_name, overrides, config_dir)
    groups = {group for group in config.hydra.runtime.choices if "/" not in group}
    keys = sorted({name for name in _keys(config) if not name.startswith("hydra")} | groups)
    if key in groups:
        return f"{key} is a group: choose one by its name ({key}=NAME), or change an option of it ({key}.OPTION=VALUE)"
    if key in keys:
        value = OmegaConf.select(config, key)
        return _by_name(key) if isinstance(value, DictConfig) else f"{key} has no names in it; here it is {value}"
    parent, _, _ = key.rpartition(".")
    siblings = [name for name in keys if name.rpartition(".")[0] == parent] if parent else []
    listed = siblings or sorted({name.split(".")[0] for name in keys})
    last_parts = [name.split(".")[-1] for name in listed]
    guess = nearest(key, keys) or nearest(key.split(".")[-1], last_parts)
    valid = ", ".join(name for name in last_parts if not name.startswith("_"))
    where = f"in {parent}" if siblings else "here"
    return f"there is no option {key!r}{guess}; valid {where}: {valid}. (+{key}=... adds a new one.)"


def _by_name(key: str) -> str:
    """A mapping cannot be overridden by one with other names, nor by a list; Hydra merges it."""
    return (
        f"{key} has values by name here: give one value for all ({key}=VALUE), change one of them ({key}.NAME=VALUE), "
        f"or put others in the place of all: '~{key}' '+{key}={{NAME: VALUE}}' or '+{key}=[VALUE]'"
    )


def _unknown_option(path: str, options: list[str]) -> str:
    group, _, name = path.rpartition("/")
    if not group or not options:
        return f"there is no configuration {path!r}"
    return f"{group}: there is no {name!r}{nearest(name, options)}; there are: {', '.join(options)}"


def _keys(config: DictConfig, prefix: str = "") -> Iterator[str]:
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    yield from _names(plain, prefix)


def _names(plain: dict, prefix: str) -> Iterator[str]:
    for key, value in plain.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _names(value, f"{prefix}{key}.")


def _compose(config_name: str, overrides: list[str], config_dir: str | None) -> DictConfig:
    """The configuration with the choices of groups that still hold, for its keys alone."""
    GlobalHydra.instance().clear()
    roots = [config_folder()] + ([Path(config_dir).absolute()] if config_dir else [])
    pairs = (text.split("=") for text in overrides if re.fullmatch(r"\w+=\w+", text))
    choices = [f"{group}={name}" for group, name in pairs if any((r / group / f"{name}.yaml").is_file() for r in roots)]
    search = [f"hydra.searchpath=[file://{root}]" for root in roots[1:]]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose(config_name, choices + search, return_hydra_config=True)
