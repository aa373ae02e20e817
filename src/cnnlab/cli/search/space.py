"""The space of a search: `{option: [choices]}` or `{option: {low, high, log, step}}`, read and checked."""

import json
import re
from collections.abc import Mapping

from cnnlab._choices import UsageError, check_choice
from cnnlab.cli.arguments import quoted

try:
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
except ImportError as error:
    raise UsageError(f"a search needs optuna ({error}); it comes with: pip install 'cnnlab[search]'") from error

EXAMPLE = "'space={optimizer.lr: {low: 0.01, high: 1, log: true}, model: [edge_fixed, edge_init]}'"
KEYS = ("low", "high", "log", "step")

Space = dict[str, BaseDistribution]


def read_space(space: object) -> Space:
    """Raises UsageError for an empty space, and for a range or a list that holds nothing to choose from."""
    if not isinstance(space, Mapping) or not space:
        raise UsageError(f"space: give what to vary, such as +search=learning_rate, or {EXAMPLE}; got {space!r}")
    return {name: _distribution(f"space.{name}", values) for name, values in _flat(space).items()}


def as_option(name: str, value: object) -> str:
    """`name=value` as on a command line of Hydra's: text with brackets, spaces or commas in quotes."""
    plain = not isinstance(value, str) or re.fullmatch(r"[\w./+-]+|[\[\"'].*", value)
    return f"{name}={value if plain else quoted(str(value))}"


def tried(space: Space) -> list[str]:
    """Every choice, and the low end of every range, as an option each: what must compose before a search begins."""
    return [as_option(name, value) for name, distribution in space.items() for value in _samples(distribution)]


def _samples(distribution: BaseDistribution) -> tuple[object, ...]:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return (distribution.low,)


def _flat(space: Mapping[object, object], before: str = "") -> dict[str, object]:
    """`{optimizer: {lr: ...}}`, which is how `space.optimizer.lr=...` arrives, as `{optimizer.lr: ...}`."""
    flat: dict[str, object] = {}
    for name, value in space.items():
        if isinstance(value, Mapping) and value and all(isinstance(part, Mapping | list) for part in value.values()):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[f"{before}{name}"] = value
    return flat


def _distribution(where: str, values: object) -> BaseDistribution:
    if isinstance(values, list):
        if len(values) < 2:
            raise UsageError(f"{where}: a list of at least two choices, not {values}")
        return CategoricalDistribution([value if isinstance(value, str) else json.dumps(value) for value in values])
    if not isinstance(values, Mapping):
        raise UsageError(f"{where}: a list of choices, or {{low: ..., high: ...}}, not {values!r}")
    for name in values:
        check_choice(where, name, KEYS)
    return _range(where, values)


def _range(where: str, values: Mapping[str, object]) -> BaseDistribution:
    low, high = (_number(f"{where}.{name}", values.get(name)) for name in ("low", "high"))
    step = None if values.get("step") is None else _number(f"{where}.step", values["step"])
    log = bool(values.get("log"))
    if not low < high or (log and low <= 0):
        raise UsageError(f"{where}: low must be below high{' and above 0, for log' if log else ''}: {dict(values)}")
    if step is not None and (log or not 0 < step <= high - low):
        raise UsageError(f"{where}.step={step}: above 0, at most high - low, and not together with log")
    if isinstance(low, int) and isinstance(high, int) and isinstance(step, int | None) and not log:
        return IntDistribution(low, high, step=step or 1)
    return FloatDistribution(float(low), float(high), log=log, step=step)


def _number(where: str, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{where}: a number, not {value!r}")
    return value
