"""The answer to a misspelt name: what was given, the nearest match, what is valid."""

from collections.abc import Iterable
from difflib import get_close_matches


def check_choice(what: str, given: str, valid: Iterable[str]) -> None:
    """Raises ValueError if `given` is not one of `valid`.

    >>> check_choice("mode", "frozn", ["frozen", "trainable"])
    Traceback (most recent call last):
    ValueError: unknown mode 'frozn'; did you mean 'frozen'? valid: frozen, trainable
    """
    names = list(valid)
    if given in names:
        return
    near = get_close_matches(str(given), names, n=3)
    hint = f" did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise ValueError(f"unknown {what} {given!r};{hint} valid: {', '.join(names)}")
