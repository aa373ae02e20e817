"""One clear message for a mistake in the options: what was given, what is valid, what is nearest."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from cnnlab.app.check import nearest
from cnnlab.app.folders import config_folder


def explain(error: Exception, config_name: str, overrides: list[str]) -> str:
    """Hydra's and OmegaConf's errors in a line or two; any other error in its own words."""
    text = str(error).strip() or type(error).__name__
    if match := re.search(r"Could not override '([^']+)'", text):
        return _unknown_key(match[1].removesuffix("@"), config_name, overrides)
    if match := re.search(r"(?:Could not find|In '[^']+': Could not find) '([^']+)'", text):
        return _unknown_option(match[1])
    if isinstance(error, yaml.YAMLError):
        return f"not a readable YAML file: {' '.join(text.split())}"
    if "Error merging override" in text or "Could not append to config" in text:
        cause = error.__cause__ or error
        return " ".join(f"{text.splitlines()[0]}: {str(cause).splitlines()[0]}".split())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("See https://hydra.cc")]
    return "\n".join(lines[:6])


def _unknown_key(key: str, config_name: str, overrides: list[str]) -> str:
    groups = {path.name for path in config_folder().iterdir() if path.is_dir() and path.name != "hydra"}
    config = _compose(config_name, overrides)
    keys = sorted(set(_keys(config)) | groups)
    parent, _, _ = key.rpartition(".")
    siblings = [name for name in keys if name.rpartition(".")[0] == parent] if parent else []
    listed = siblings or sorted({name.split(".")[0] for name in keys})
    last_parts = [name.split(".")[-1] for name in listed]
    guess = nearest(key, keys) or nearest(key.split(".")[-1], last_parts)
    valid = ", ".join(name for name in last_parts if not name.startswith("_"))
    where = f"in {parent}" if siblings else "here"
    return f"there is no option {key!r}{guess}; valid {where}: {valid}. (+{key}=... adds a new one.)"


def _unknown_option(path: str) -> str:
    group, _, name = path.rpartition("/")
    folder = config_folder() / group
    if not group or not folder.is_dir():
        return f"there is no configuration {path!r}"
    options = sorted(file.stem for file in folder.glob("*.yaml"))
    return f"{group}: there is no {name!r}{nearest(name, options)}; there are: {', '.join(options)}"


def _keys(config: DictConfig, prefix: str = "") -> Iterator[str]:
    for key in config:
        yield f"{prefix}{key}"
        if OmegaConf.is_dict(config) and not OmegaConf.is_missing(config, key):
            node = OmegaConf.to_container(config, resolve=False).get(key)
            if isinstance(node, dict):
                yield from _keys(OmegaConf.create(node), f"{prefix}{key}.")


def _compose(config_name: str, overrides: list[str]) -> DictConfig:
    """The configuration with the choices of groups that still hold, for its keys alone."""
    GlobalHydra.instance().clear()
    choices = [text for text in overrides if re.fullmatch(r"\w+=\w+", text) and _is_choice(*text.split("="))]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose(config_name, choices)


def _is_choice(group: str, name: str) -> bool:
    return Path(config_folder(), group, f"{name}.yaml").is_file()
