"""One clear message for a mistake: what was given, what is valid, what is nearest.

UsageError(ValueError)         a mistake of the user's, found by our own checks     its message, status 2
  while_composing              of Hydra, OmegaConf and YAML, as a UsageError        what they mean, status 2
OSError that names a file      the machine refused a file or a folder               file and reason, status 2
KeyboardInterrupt              Ctrl-C, SIGTERM                                      how to go on, status 130, 143
any other exception            a bug, also a ValueError                             its traceback, status 1
"""

import argparse
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cnnlab._choices import UsageError, nearest
from cnnlab.cli.folders import config_folder

# What people know by another name, or expect at the top.
LIKELY = {
    "epochs": "trainer.max_epochs",
    "max_epochs": "trainer.max_epochs",
    "lr": "optimizer.lr",
    "learning_rate": "optimizer.lr",
    "batch_size": "data.batch_size",
    "bank": "model.bank",
    "ckpt_path": "resume",
    "precision": "trainer.precision",
    "devices": "trainer.devices",
    "gpus": "trainer.devices",
}


def is_mistake(error: BaseException) -> bool:
    """Whether its message alone helps: no bug of ours."""
    return isinstance(error, UsageError) or (isinstance(error, OSError) and bool(error.filename and error.strerror))


def explain(error: BaseException) -> str:
    """The message of a mistake."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error).strip() or type(error).__name__


@contextmanager
def while_composing(program: str, flags: argparse.Namespace | None = None) -> Iterator[None]:
    """An error of Hydra's, of OmegaConf's or in a YAML file leaves as the UsageError or OSError that it stands for."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        refused = _refused_by_the_machine(error) if isinstance(error, OmegaConfBaseException) else None
        bare = argparse.Namespace(overrides=[], config_dir=None)
        raise refused or UsageError(_in_words(error, program, flags or bare)) from error
    except ValueError as error:
        if "must be a string or a list. Got" not in str(error):
            raise
        given = " ".join(text for text in (flags.overrides if flags else ()) if not text.startswith("hydra."))
        raise UsageError(f"a group is chosen by a name, as in model=edge_init; got: {given}") from error


def _in_words(error: Exception, program: str, flags: argparse.Namespace) -> str:
    text = str(error).strip() or type(error).__name__
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override, text)
    if match := re.search(r"Could not override '([^']+)'", text):
        return _unknown_key(match[1].removesuffix("@"), program, flags)
    if match := re.search(r"Could not find '([^']+)'", text):
        return _unknown_option(match[1], re.findall(r"^\t(\S+)$", text.partition("Available options in")[2], re.M))
    if isinstance(error, yaml.YAMLError):
        return f"not a readable YAML file: {' '.join(text.split())}"
    if "Error merging override" in text or "Could not append to config" in text:
        return _unmergeable(error, text)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("See https://hydra.cc")]
    return "\n".join(line for line in lines[:14] if "HYDRA_FULL_ERROR" not in line and "object_type=" not in line)


def _unmergeable(error: Exception, text: str) -> str:
    cause = error.__cause__ or error
    match = re.search(r"override \+*([\w.]+)=(.?)", text)
    if match and "Cannot merge DictConfig with" in str(cause):
        return f"{match[1]} has no names in it" if match[2] == "{" else _by_name(match[1])
    return " ".join(f"{text.splitlines()[0]}: {str(cause).splitlines()[0]}".split())


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


def _unknown_key(key: str, program: str, flags: argparse.Namespace) -> str:
    config = _compose(program, flags)
    groups = {group for group in config.hydra.runtime.choices if "/" not in group}
    keys = sorted({name for name in _keys(config) if not name.startswith("hydra")} | groups)
    if key in groups:
        return f"{key} is a group: choose one by its name ({key}=NAME), or change an option of it ({key}.OPTION=VALUE)"
    if key in keys:
        value = OmegaConf.select(config, key)
        return _by_name(key) if isinstance(value, DictConfig) else f"{key} has no names in it; here it is {value}"
    parent, _, _ = key.rpartition(".")
    siblings = [name for name in keys if name.rpartition(".")[0] == parent] if parent else []
    last_parts = [name.split(".")[-1] for name in siblings or sorted({name.split(".")[0] for name in keys})]
    guess = meant(key, keys) or nearest(key.split(".")[-1], last_parts)
    valid = ", ".join(name for name in last_parts if not name.startswith("_"))
    if siblings:
        return f"there is no option {key!r}{guess}; valid in {parent}: {valid}. (+{key}=... adds one to the class.)"
    return f"there is no option {key!r}{guess}; valid here: {valid}"


def meant(name: str, keys: Collection[str]) -> str:
    """The option that a name stands for in other programs, or the nearest one."""
    return f" (did you mean {LIKELY[name]!r}?)" if LIKELY.get(name) in keys else nearest(name, keys)


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
    guess = nearest(name, options)
    if group == "model" and not guess:
        guess = f" (of torchvision: model=torchvision model.name={name})"
    return f"{group}: there is no {name!r}{guess}; there are: {', '.join(options)}"


def _keys(config: DictConfig, prefix: str = "") -> Iterator[str]:
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    yield from _names({str(key): value for key, value in plain.items()}, prefix)


def _names(plain: Mapping[str, object], prefix: str) -> Iterator[str]:
    for key, value in plain.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _names(value, f"{prefix}{key}.")


def _compose(program: str, flags: argparse.Namespace) -> DictConfig:
    """The configuration with the choices of groups that still hold, for its keys alone."""
    GlobalHydra.instance().clear()
    roots = [config_folder(), *([Path(flags.config_dir).absolute()] if flags.config_dir else [])]
    pairs = (text.split("=") for text in flags.overrides if re.fullmatch(r"\w+=\w+", text))
    choices = [f"{group}={name}" for group, name in pairs if any((r / group / f"{name}.yaml").is_file() for r in roots)]
    search = [f"hydra.searchpath=[file://{root}]" for root in roots[1:]]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        try:
            return compose(program, choices + search, return_hydra_config=True)
        except HydraException:  # a group that the program doesn't have
            return compose(program, return_hydra_config=True)
