"""The space of a search: `{option: [choices]}` or `{option: {low, high, log, step}}`, read and checked."""

import json
import re
from collections.abc import Mapping
from typing import Any

from cnnlab._choices import UsageError, nearest

try:
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:
    raise UsageError(f"a search needs optuna ({error}); it comes with: pip install 'cnnlab[search]'") from error

__all__ = ["FrozenTrial", "TrialState", "as_option", "optuna", "read_space", "tried"]

EXAMPLE = "'space={optimizer.lr: {low: 0.01, high: 1, log: true}, model: [edge_fixed, edge_init]}'"
KEYS = ("low", "high", "log", "step")


def read_space(space: Any) -> dict[str, BaseDistribution]:
    """Raises ValueError for an empty space, and for a range or a list that holds nothing to choose from."""
    if not isinstance(space, Mapping) or not space:
        raise UsageError(f"space: give what to vary, such as +search=learning_rate, or {EXAMPLE}; got {space!r}")
    return {str(name): _distribution(f"space.{name}", given) for name, given in _flat(space).items()}


def as_option(name: str, value: Any) -> str:
    """`name=value` as on a command line of Hydra's: text with brackets, spaces or commas in quotes."""
    if not isinstance(value, str) or re.fullmatch(r"[\w./+-]+|[\[\"'].*", value):
        return f"{name}={value}"
    text = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{name}='{text}'"


def tried(space: Mapping[str, BaseDistribution]) -> list[str]:
    """Every choice, and the low end of every range, as an option each: what must compose before a search begins."""
    return [
        as_option(name, value)
        for name, one in space.items()
        for value in (one.choices if isinstance(one, CategoricalDistribution) else (one.low,))
    ]


def _flat(space: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """`{optimizer: {lr: ...}}`, which is how `space.optimizer.lr=...` arrives, as `{optimizer.lr: ...}`."""
    found: dict[str, Any] = {}
    for name, given in space.items():
        inner = isinstance(given, Mapping) and given and all(isinstance(one, Mapping | list) for one in given.values())
        found |= _flat(given, f"{before}{name}.") if inner else {f"{before}{name}": given}
    return found


def _distribution(where: str, given: Any) -> BaseDistribution:
    if isinstance(given, list):
        if len(given) < 2:
            raise UsageError(f"{where}: a list of at least two choices, not {given}")
        return CategoricalDistribution([one if isinstance(one, str) else json.dumps(one) for one in given])
    if not isinstance(given, Mapping):
        raise UsageError(f"{where}: a list of choices, or {{low: ..., high: ...}}, not {given!r}")
    for name in given:
        if name not in KEYS:
            raise UsageError(f"{where}: there is no {name!r}{nearest(str(name), KEYS)}; valid: {', '.join(KEYS)}")
    low, high, step, log = (given.get(name) for name in ("low", "high", "step", "log"))
    for name, value in (("low", low), ("high", high), ("step", step)):
        wanted = name == "step" and value is None
        if not wanted and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise UsageError(f"{where}.{name}: a number, not {value!r}")
    whole = all(isinstance(value, int) for value in (low, high, 1 if step is None else step)) and not log
    if not low < high or (log and low <= 0):
        raise UsageError(f"{where}: low must be below high{' and above 0, for log' if log else ''}: {dict(given)}")
    if step is not None and (log or not 0 < step <= high - low):
        raise UsageError(f"{where}.step={step}: above 0, at most high - low, and not together with log")
    if whole:
        return IntDistribution(low, high, step=step or 1)
    return FloatDistribution(float(low), float(high), log=bool(log), step=step)
