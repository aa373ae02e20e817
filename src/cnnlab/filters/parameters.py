"""Checks of what a caller asks of a family. Errors name family, parameter, value and what is valid."""

import math
from typing import NoReturn

from cnnlab._choices import UsageError, nearest

MOST_ORIENTATIONS = 360
LARGEST_SIDE = 1001  # pixels


def refuse(family: str, parameter: str, value: object, valid: str, near: str = "") -> NoReturn:
    """Raise the UsageError."""
    raise UsageError(f"{family}: {parameter}={value!r} is not valid{near}; valid: {valid}")


def choice(family: str, parameter: str, value: object, valid: tuple) -> None:
    """`value` is one of `valid` (and of its type: True is not 1)."""
    if not any(type(value) is type(one) and value == one for one in valid):
        words = [str(one) for one in valid]
        refuse(family, parameter, value, ", ".join(words), nearest(value, words))


def whole(family: str, parameter: str, value: object, least: int, most: int) -> int:
    """An integer from `least` to `most`."""
    if type(value) is not int or not least <= value <= most:
        refuse(family, parameter, value, f"an integer from {least} to {most}")
    return value


def odd(family: str, parameter: str, value: object, least: int = 1) -> int:
    """An odd integer from `least` to LARGEST_SIDE: a kernel side with a centre."""
    if type(value) is not int or not least <= value <= LARGEST_SIDE or value % 2 == 0:
        refuse(family, parameter, value, f"an odd integer from {least} to {LARGEST_SIDE}")
    return value


def number(family: str, parameter: str, value: object, least: float = -math.inf, most: float = math.inf) -> float:
    """A finite number from `least` to `most`."""
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not real or not math.isfinite(value) or not least <= value <= most:
        bounds = f" from {least:g} to {most:g}" if math.isfinite(least) or math.isfinite(most) else ""
        refuse(family, parameter, value, f"a finite number{bounds}")
    return float(value)


def numbers(family: str, parameter: str, value: object, least: float, most: float) -> tuple[float, ...]:
    """A number, or a sequence of different numbers, from `least` to `most`."""
    many = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    result = tuple(number(family, parameter, one, least, most) for one in many)
    if not result or len(set(result)) != len(result):
        refuse(family, parameter, value, "a number, or several different numbers")
    return result


def scale_names(family: str, letter: str, scales: tuple[float, ...]) -> list[str]:
    """The first word of the names: the family, with the scale behind it if there are several (`log_s1.5`)."""
    return [family if len(scales) == 1 else f"{family}_{letter}{scale:.6g}" for scale in scales]
