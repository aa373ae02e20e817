"""Which classes a configuration may name, and what they are given: looked at before and after they are imported."""

import importlib
import inspect
import json
import re
import typing
from collections.abc import Mapping

from omegaconf import DictConfig, ListConfig, OmegaConf

from cnnlab._choices import UsageError, nearest
from cnnlab._targets import current_target
from cnnlab.cli.values import fits, in_words

# A configuration may come from anybody, and a class that it names is imported and called.
ALLOWED = ("cnnlab.", "torch.optim.", "torchvision.models.", "lightning.")
NO_ARGUMENTS = ("_target_", "_partial_", "_convert_")
CLASS_PATH = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*\.[A-Z]\w*")


def check_targets(plain: object, allowed: tuple[str, ...] = ALLOWED) -> None:
    """Raises UsageError if a `_target_` anywhere in nested dicts and lists names something that is not allowed."""
    if isinstance(plain, dict | DictConfig):
        if "_target_" in plain:
            check_target(plain["_target_"], allowed)
        for value in plain.values():
            check_targets(value, allowed)
    elif isinstance(plain, list | tuple | ListConfig):
        for value in plain:
            check_targets(value, allowed)


def check_target(target: object, allowed: tuple[str, ...] = ALLOWED) -> None:
    """Raises UsageError unless `target` reads as a class of an allowed package. Imports nothing."""
    if not (isinstance(target, str) and target.startswith(allowed) and CLASS_PATH.fullmatch(target)):
        packages = ", ".join(name.rstrip(".") for name in ALLOWED)
        raise UsageError(f"_target_: {target!r} is refused: a configuration may only name classes of {packages}")


def check_class(target: str, located: object) -> None:
    """The second look, after the import: `torch.optim.sgd.Tensor` reads well, but is no class of torch.optim."""
    if not inspect.isclass(located) or not f"{located.__module__}.".startswith(ALLOWED):
        raise UsageError(f"_target_: {target!r} is refused: it is no class of {target.split('.')[0]}")


def check_arguments(group: str, owner: type, values: Mapping[str, object]) -> None:
    """Raises UsageError for a name that the constructor of `owner` does not take, or a value of another type."""
    valid = [name for name in inspect.signature(owner).parameters if name != "self"]
    for name in values:
        if name not in valid:
            raise UsageError(f"{owner.__name__} takes no {name!r}{nearest(name, valid)}; it takes: {', '.join(valid)}")
    try:
        wanted = typing.get_type_hints(inspect.getattr_static(owner, "__init__"))
    except NameError:  # annotated with a package that is not installed
        return
    check_types(f"{group}.", wanted, values)


def check_types(prefix: str, wanted: Mapping[str, object], values: Mapping[str, object]) -> None:
    """Raises UsageError for the first of `values` that is not of the type that `wanted` has for its name."""
    for name, value in values.items():
        if name in wanted and not fits(value, wanted[name]):
            shown = json.dumps(value, default=str).strip('"')
            words = in_words(wanted[name])
            near = nearest(shown, words.split(" or "))
            raise UsageError(f"{prefix}{name}={shown}: expected {words or 'another value'}{near}")


def read(group: str, config: DictConfig, kind: type) -> tuple[type, dict[str, object]]:
    """The class that `config` names and its arguments, checked by name and type.

    Raises UsageError for a class that is not allowed or no `kind`, and for arguments that it doesn't take.
    """
    check_targets(config)
    located = locate(current_target(config._target_))
    if not issubclass(located, kind):
        raise UsageError(f"{group}: {config._target_} is no {kind.__name__}")
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    values = {str(key): value for key, value in plain.items() if key not in NO_ARGUMENTS}
    check_arguments(group, located, {name: value for name, value in values.items() if name != "bank"})
    return located, values


def locate(target: str) -> type:
    """The class of this name, its package one of those allowed. Raises UsageError if there is none."""
    module, _, name = target.rpartition(".")
    try:
        package = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(f"_target_: there is no {target}: {error}") from error
    located = getattr(package, name, None)
    if located is None:
        raise UsageError(f"_target_: there is no {name!r} in {module}{nearest(name, dir(package))}")
    check_class(target, located)
    assert isinstance(located, type)
    return located
