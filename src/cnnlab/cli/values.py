"""Does a value of a configuration fit what a constructor asks for? Read from the annotations, so said in one place."""

import types
import typing
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, Union

WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null", Path: "text"}


def fits(value: Any, wanted: Any) -> bool:
    """Whether `value`, as YAML gives it, is one of `wanted`: an annotation. What can't be told fits.

    >>> fits(3, float), fits(True, int), fits([1, 2], list[int]), fits("three", int | None)
    (True, False, True, False)
    """
    origin, inside = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in inside)
    if origin is Literal:
        return value in inside
    if origin is tuple:
        return isinstance(value, list) and (Ellipsis in inside or len(value) == len(inside))
    if origin is dict:
        return isinstance(value, dict)
    if isinstance(origin, type) and issubclass(origin, Collection):
        return isinstance(value, list) and all(fits(one, inside[0]) for one in value)
    if wanted is Any:
        return True
    if wanted in (int, float):
        return isinstance(value, int if wanted is int else (int, float)) and not isinstance(value, bool)
    if wanted is Path:
        return isinstance(value, str)
    return isinstance(value, wanted) if isinstance(wanted, type) else True


def in_words(wanted: Any) -> str:
    """What an annotation asks for, for people. Classes that no YAML value can be are left out.

    >>> in_words(int | None), in_words(list[float])
    ('a whole number or null', 'a list, each a number')
    """
    return " or ".join(dict.fromkeys(_alternatives(wanted)))


def _alternatives(wanted: Any) -> list[str]:
    origin, inside = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (Union, types.UnionType):
        found = [words for one in inside for words in _alternatives(one)]
        return [words for words in found if not (words == WORDS[int] and WORDS[float] in found)]
    if origin is Literal:
        return [str(value) for value in inside]
    return [words] if (words := _one_in_words(wanted, origin, inside)) else []


def _one_in_words(wanted: Any, origin: Any, inside: tuple[Any, ...]) -> str:
    if origin is tuple:
        return f"a list of {len(inside)}"
    if origin is dict:
        return "a mapping"
    if isinstance(origin, type) and issubclass(origin, Collection):
        return f"a list, each {in_words(inside[0])}"
    return WORDS.get(wanted, "")
