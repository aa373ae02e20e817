"""A mistake of the user's, and the nearest name to a misspelt one."""

from collections.abc import Iterable
from difflib import get_close_matches

from cnnlab._targets import WORDS


class UsageError(ValueError):
    """A mistake of the user's: what was given, what is valid. Programs show its message alone and end with status 2."""


UsageError.__module__ = "cnnlab"  # its public name


def nearest(given: object, valid: Iterable[str]) -> str:
    """` (did you mean 'x'?)`, or nothing where nothing is near.

    >>> nearest("sobl", ["sobel", "scharr"]), nearest("x", ["sobel"])
    (" (did you mean 'sobel'?)", '')
    """
    names = list(valid)
    renamed = WORDS.get(str(given).rpartition(".")[2])
    if renamed and renamed in {name.rpartition(".")[2] for name in names}:
        return f" (it is now called {renamed!r})"
    near = get_close_matches(str(given), names, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def check_choice(option: str, given: object, valid: Iterable[str]) -> None:
    """Raises UsageError if `given` is not one of `valid`.

    >>> check_choice("mode", "frozn", ["frozen", "trainable"])
    Traceback (most recent call last):
    cnnlab.UsageError: unknown mode 'frozn' (did you mean 'frozen'?); valid: frozen, trainable
    """
    names = list(valid)
    if given not in names:
        raise UsageError(f"unknown {option} {given!r}{nearest(given, names)}; valid: {', '.join(names)}")
