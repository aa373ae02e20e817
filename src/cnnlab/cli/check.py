"""Is a configuration allowed and complete? Answered before anything that it names is imported."""

import re
import typing
from collections.abc import Mapping, Sequence

from omegaconf import DictConfig, OmegaConf

from cnnlab._choices import UsageError
from cnnlab.cli.messages import meant, while_composing
from cnnlab.cli.options import OPTIONS, UNUSED, Group
from cnnlab.cli.targets import check_targets, check_types


def check(config: DictConfig, program: str) -> None:
    """Raises UsageError for missing values and groups, for a `_target_` outside of ALLOWED, for a value at the top
    that the program doesn't have or that is of another type, and for a bank's misspelt name."""
    program = program.rpartition(".")[2]
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise UsageError(f"missing: {', '.join(missing)}. Give a value, such as {missing[0]}=VALUE")
    with while_composing(program):
        plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    values = {str(name): value for name, value in plain.items()}
    check_targets(values)
    options = typing.get_type_hints(OPTIONS[program])
    _check_names(program, options, config)
    groups = {name: wanted is Group for name, wanted in options.items() if Group in (wanted, *typing.get_args(wanted))}
    for group, needed in groups.items():
        chosen = values.get(group)
        if (needed or chosen) and not (isinstance(chosen, dict) and {"_target_", "factory"} & set(chosen)):
            raise UsageError(f"there is no {group}: it names no class; choose one with {group}=NAME")
    check_types("", {name: wanted for name, wanted in options.items() if name not in groups}, values)
    _check_ranges(values)
    for group in ("model", "detector"):
        chosen = values.get(group)
        if isinstance(chosen, dict) and chosen.get("bank") is not None:
            check_bank(group, chosen["bank"])


def _check_names(program: str, options: Mapping[str, object], config: DictConfig) -> None:
    """Raises UsageError for a name at the top that nobody reads: neither the program nor another value."""
    text = OmegaConf.to_yaml(config)
    for name in map(str, config):
        if name in options or re.search(rf"\$\{{\.*{re.escape(name)}\b", text):
            continue
        groups = {str(group): part for group, part in config.items() if isinstance(part, DictConfig)}
        inner = [f"{group}.{key!s}" for group, part in groups.items() if group != name for key in part]
        guess = meant(name, [*options, *inner])
        raise UsageError(f"{program} has no option {name!r}{guess}; valid: {', '.join(sorted(options))}")


def check_used(program: str, config: DictConfig, overrides: Sequence[str]) -> None:
    """Raises UsageError for an option that the command line gives and that has no use beside another one."""
    names = {text.lstrip("+~").partition("=")[0] for text in overrides}
    for (of, other, is_given), unused in UNUSED.items():
        useless = sorted(names & set(unused))
        if of == program and (config.get(other) is not None) == is_given and useless:
            raise UsageError(f"{useless[0]} is not used {'with' if is_given else 'without'} {other}=...")


def check_bank(group: str, expression: object) -> None:
    from cnnlab.filters.expression import check_expression

    if not isinstance(expression, str):
        raise UsageError(f"a bank is given as text, such as {group}.bank=sobel; got {expression!r}")
    check_expression(expression)


def _check_ranges(values: Mapping[str, object]) -> None:
    seed, patience = values.get("seed", 0), values.get("early_stopping")
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UsageError(f"seed: an integer from 0 to 2^32 - 1, not {seed!r}")
    if isinstance(patience, int) and patience < 1:
        raise UsageError(f"early_stopping={patience}: at least 1 epoch, or null to go on to the end")
