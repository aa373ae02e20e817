"""The configuration of a job in its folder: as asked, every interpolation resolved.

The folder may come from a stranger: whose code is trusted is never read from it, and nothing in it is resolved.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from cnnlab._choices import UsageError
from cnnlab._files import write_text
from cnnlab._targets import current_arguments
from cnnlab.runs import folder as run_folder


def save_config(config: DictConfig, folder: Path) -> None:
    """Write it, without what was trusted this time."""
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    plain.pop("trust", None)
    write_text(folder / run_folder.CONFIG, OmegaConf.to_yaml(plain))


def read_config(folder: Path, trust: Sequence[str] = ()) -> DictConfig:
    """That of a training. Raises UsageError if it is no configuration of a training any more."""
    plain = run_folder.read_config(folder)
    for text in _texts(plain):
        if "${" in text:
            raise UsageError(
                f"{folder / run_folder.CONFIG}: {text!r} is refused: the values of a run stand for themselves"
            )
    model = plain["model"]
    if isinstance(model, Mapping):
        plain["model"] = current_arguments(model)
    config = OmegaConf.create({**plain, "trust": list(trust)})
    assert isinstance(config, DictConfig)
    return config


def check_trust(config: DictConfig, overrides: Sequence[str]) -> None:
    """Raises UsageError for code that a file of configurations trusts: that is said on the command line."""
    if config.get("trust") and not any(text.lstrip("+").startswith("trust=") for text in overrides):
        raise UsageError(f"trust={config.trust} is refused: it stands in a configuration; give it on the command line")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from (*_texts(key), *_texts(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def trusted(config: DictConfig) -> tuple[str, ...]:
    """The packages of one's own that the command line trusts."""
    given = config.get("trust") or ()
    return (given,) if isinstance(given, str) else tuple(given)
