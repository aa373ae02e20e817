"""Is a configuration allowed and complete? Answered before anything that it names is imported."""

import difflib
import inspect
import re
from collections.abc import Iterable
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

# A configuration may come from anybody, and a class that it names is imported and called.
ALLOWED = ("cnnlab.", "torch.optim.", "torchvision.models.", "lightning.")
CLASS_PATH = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*\.[A-Z]\w*")


def nearest(given: str, valid: Iterable[str]) -> str:
    """` (did you mean 'x'?)`, or nothing where nothing is near."""
    matches = difflib.get_close_matches(given, list(valid), n=1, cutoff=0.6)
    return f" (did you mean {matches[0]!r}?)" if matches else ""


def check(config: DictConfig) -> None:
    """Raises ValueError for missing values, for a `_target_` outside of ALLOWED, and for a bank's misspelt name."""
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise ValueError(f"missing: {', '.join(missing)}. Give a value, such as {missing[0]}=VALUE")
    plain = OmegaConf.to_container(config, resolve=True)
    check_targets(plain)
    assert isinstance(plain, dict)
    _check_seed(plain.get("seed", 0))
    model = plain.get("model")
    if isinstance(model, dict) and model.get("bank") is not None:
        check_bank(model["bank"])


def check_targets(plain: Any) -> None:
    """Raises ValueError if a `_target_` anywhere in nested dicts and lists names something that is not allowed."""
    if isinstance(plain, dict | DictConfig):
        if "_target_" in plain:
            check_target(plain["_target_"])
        for value in plain.values():
            check_targets(value)
    elif isinstance(plain, list | tuple | ListConfig):
        for value in plain:
            check_targets(value)


def check_target(target: Any) -> None:
    """Raises ValueError unless `target` reads as a class of an allowed package. Imports nothing."""
    if not (isinstance(target, str) and target.startswith(ALLOWED) and CLASS_PATH.fullmatch(target)):
        packages = ", ".join(name.rstrip(".") for name in ALLOWED)
        raise ValueError(f"_target_: {target!r} is refused: a configuration may only name classes of {packages}")


def check_class(target: str, located: Any) -> None:
    """The second look, after the import: `torch.optim.sgd.Tensor` reads well, but is no class of torch.optim."""
    if not inspect.isclass(located) or not f"{located.__module__}.".startswith(ALLOWED):
        raise ValueError(f"_target_: {target!r} is refused: it is no class of {target.split('.')[0]}")


def check_arguments(owner: type, given: Iterable[str]) -> None:
    """Raises ValueError for a name that the constructor of `owner` does not take."""
    valid = [name for name in inspect.signature(owner).parameters if name != "self"]
    for name in given:
        if name not in valid:
            raise ValueError(f"{owner.__name__} takes no {name!r}{nearest(name, valid)}; it takes: {', '.join(valid)}")


def check_bank(expression: Any) -> None:
    from cnnlab.filters.expression import check_expression

    if not isinstance(expression, str):
        raise ValueError(f"a bank is given as text, such as model.bank=sobel; got {expression!r}")
    check_expression(expression)


def _check_seed(seed: Any) -> None:
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise ValueError(f"seed: a whole number from 0 to 2^32 - 1, not {seed!r}")
