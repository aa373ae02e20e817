"""The one check that all constructors share."""

from collections.abc import Collection
from difflib import get_close_matches

from cnnlab._choices import UsageError


def choice(name: str, value: object, valid: Collection[str]) -> str:
    """`value`, if it is one of `valid`; otherwise ValueError with the list and the nearest."""
    if isinstance(value, str) and value in valid:
        return value
    near = get_close_matches(str(value), valid, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise UsageError(f"unknown {name} {value!r}{hint}; known: {', '.join(valid)}")
