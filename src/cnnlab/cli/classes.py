"""The classes that configurations name, found and checked against the arguments that they are given."""

import importlib

from omegaconf import DictConfig, OmegaConf

from cnnlab._choices import UsageError, nearest
from cnnlab._targets import current_target
from cnnlab.cli.targets import check_arguments, check_class, check_targets

NO_ARGUMENTS = ("_target_", "_partial_", "_convert_")


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
