"""Checks of what a caller asks of a family. Errors name family, parameter, value and what is valid."""

import math
import sys
from typing import NoReturn

from cnnlab._choices import UsageError, nearest

MOST_ORIENTATIONS = 360
LARGEST_SIDE = 1001  # pixels
LARGEST_NUMBER = sys.float_info.max


def refuse(family: str, parameter: str, value: object, valid: str, near: str = "") -> NoReturn:
    """Raise the UsageError."""
    raise UsageError(f"{family}: {parameter}={value!r} is not valid{near}; valid: {valid}")


def choice(family: str, parameter: str, value: object, valid: tuple[object, ...]) -> None:
    """`value` is one of `valid` (and of its type: True is not 1)."""
    if not any(type(value) is type(each) and value == each for each in valid):
        words = [str(each) for each in valid]
        refuse(family, parameter, value, ", ".join(words), nearest(value, words))


def integer(family: str, parameter: str, value: object, least: int, most: int) -> int:
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
    low, high = max(least, -LARGEST_NUMBER), min(most, LARGEST_NUMBER)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        bounds = f" from {least:g} to {most:g}" if math.isfinite(least) or math.isfinite(most) else ""
        refuse(family, parameter, value, f"a finite number{bounds}")
    return float(value)


def numbers(family: str, parameter: str, value: object, least: float, most: float) -> tuple[float, ...]:
    """A number, or a sequence of different numbers, from `least` to `most`."""
    many = tuple(value) if isinstance(value, tuple | list) else (value,)
    result = tuple(number(family, parameter, each, least, most) for each in many)
    if not result or len(set(result)) != len(result):
        refuse(family, parameter, value, "a number, or several different numbers")
    return result


def scale_names(family: str, letter: str, scales: tuple[float, ...]) -> list[str]:
    """The first word of the names: the family, followed by the scale if there are several (`log_s1.5`)."""
    return [family if len(scales) == 1 else f"{family}_{letter}{scale:.6g}" for scale in scales]
