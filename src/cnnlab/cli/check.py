"""Is a configuration allowed and complete? Answered before anything that it names is imported."""

import inspect
import json
import re
import typing
from collections.abc import Mapping
from typing import Any, Literal

from omegaconf import DictConfig, ListConfig, OmegaConf

from cnnlab._choices import UsageError, nearest
from cnnlab.cli.values import fits, in_words

# A configuration may come from anybody, and a class that it names is imported and called.
ALLOWED = ("cnnlab.", "torch.optim.", "torchvision.models.", "lightning.")
CLASS_PATH = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*\.[A-Z]\w*")
# What a job can't do without.
GROUPS = {
    "cnnlab.cli.programs.train": ("model", "data", "task", "optimizer", "schedule", "trainer"),
    "cnnlab.cli.programs.search": ("model", "data", "task", "optimizer", "schedule", "trainer"),
    "cnnlab.cli.programs.study": ("model", "data", "task", "optimizer", "schedule", "trainer"),
    "cnnlab.cli.programs.evaluate": ("trainer",),
    "cnnlab.cli.programs.receptive_fields": ("model",),
    "cnnlab.cli.programs.kernels": (),
    "cnnlab.cli.programs.report": (),
    "cnnlab.cli.programs.detect_edges": ("detector",),
    "cnnlab.cli.programs.benchmark_edges": (),
    "cnnlab.cli.programs.tour": (),
}
VALUES = {
    "compile": bool,
    "channels_last": bool,
    "early_stopping": int | None,
    "test": bool,
    "figures": bool,
    "report": bool,
    "trials": int,
    "reference": str,
    "filters": int,
    "kernel_size": int,
    "match": Literal["norm", "response"],
    "search_seeds": int,
    "learning_rates": list[float] | None,
    "curve_points": int,
    "threshold": float,
    "corruptions": list[str] | str,
    "severities": list[int],
    "corruption_images": int,
    "relevant": float,
    "timeout": float | None,
    "checkpoint": str,
    "channels": int,
    "classes": int,
    "inputs": int,
    "layers": list | None,
    "attribution": list | None,
    "overwrite": bool,
    "pictures": bool,
    "grey": bool,
    "device": Literal["auto", "cpu", "cuda"],
    "threads": int | None,
    "detectors": list[str] | None,
    "predictions": str | list[str] | None,
    "limit": int | None,
    "thresholds": int,
    "tolerance": float,
    "thin": bool,
    "people": bool,
    "resamples": int,
    "processes": int | None,
    "runs": str | list[str] | None,
    "notebook": bool,
    "epochs": int | list | dict,  # a number; of a study a list or a mapping as well
}


def check(config: DictConfig, job: str) -> None:
    """Raises ValueError for missing values and groups, for a `_target_` outside of ALLOWED, for a value at the top
    that is of another type, and for a bank's misspelt name."""
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise UsageError(f"missing: {', '.join(missing)}. Give a value, such as {missing[0]}=VALUE")
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    check_targets(plain)
    for group in GROUPS[job]:
        if not isinstance(plain.get(group), dict) or "_target_" not in plain[group]:
            raise UsageError(f"there is no {group}: it names no class; choose one with {group}=NAME")
    check_types("", VALUES, plain)
    _check_seed(plain.get("seed", 0))
    patience = plain.get("early_stopping")
    if patience is not None and patience < 1:
        raise UsageError(f"early_stopping={patience}: at least 1 epoch, or null to go on to the end")
    for group in ("model", "detector"):
        chosen = plain.get(group)
        if isinstance(chosen, dict) and chosen.get("bank") is not None:
            check_bank(group, chosen["bank"])


def check_targets(plain: Any, allowed: tuple[str, ...] = ALLOWED) -> None:
    """Raises ValueError if a `_target_` anywhere in nested dicts and lists names something that is not allowed."""
    if isinstance(plain, dict | DictConfig):
        if "_target_" in plain:
            check_target(plain["_target_"], allowed)
        for value in plain.values():
            check_targets(value, allowed)
    elif isinstance(plain, list | tuple | ListConfig):
        for value in plain:
            check_targets(value, allowed)


def check_target(target: Any, allowed: tuple[str, ...] = ALLOWED) -> None:
    """Raises ValueError unless `target` reads as a class of an allowed package. Imports nothing."""
    if not (isinstance(target, str) and target.startswith(allowed) and CLASS_PATH.fullmatch(target)):
        packages = ", ".join(name.rstrip(".") for name in ALLOWED)
        raise UsageError(f"_target_: {target!r} is refused: a configuration may only name classes of {packages}")


def check_class(target: str, located: Any) -> None:
    """The second look, after the import: `torch.optim.sgd.Tensor` reads well, but is no class of torch.optim."""
    if not inspect.isclass(located) or not f"{located.__module__}.".startswith(ALLOWED):
        raise UsageError(f"_target_: {target!r} is refused: it is no class of {target.split('.')[0]}")


def check_arguments(group: str, owner: type, values: Mapping[str, Any]) -> None:
    """Raises ValueError for a name that the constructor of `owner` does not take, or a value of another type."""
    valid = [name for name in inspect.signature(owner).parameters if name != "self"]
    for name in values:
        if name not in valid:
            raise UsageError(f"{owner.__name__} takes no {name!r}{nearest(name, valid)}; it takes: {', '.join(valid)}")
    try:
        wanted = typing.get_type_hints(owner.__init__)
    except NameError:  # annotated with a package that is not installed
        return
    check_types(f"{group}.", wanted, values)


def check_types(prefix: str, wanted: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name in wanted and not fits(value, wanted[name]):
            given = json.dumps(value, default=str).strip('"')
            words = in_words(wanted[name])
            near = nearest(given, words.split(" or "))
            raise UsageError(f"{prefix}{name}={given}: expected {words or 'another value'}{near}")


def check_bank(group: str, expression: Any) -> None:
    from cnnlab.filters.expression import check_expression

    if not isinstance(expression, str):
        raise UsageError(f"a bank is given as text, such as {group}.bank=sobel; got {expression!r}")
    check_expression(expression)


def _check_seed(seed: Any) -> None:
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise UsageError(f"seed: a whole number from 0 to 2^32 - 1, not {seed!r}")
