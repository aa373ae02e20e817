"""Does a value of a configuration fit what a constructor asks for? Read from the annotations, so said in one place."""

import types
import typing
from collections.abc import Collection
from pathlib import Path
from typing import Literal, Union

WORDS: dict[object, str] = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "text",
    type(None): "null",
    Path: "text",
    list: "a list",
    dict: "a mapping",
}


def fits(value: object, wanted: object) -> bool:
    """Whether `value`, as YAML gives it, is one of `wanted`: an annotation. What can't be told fits.

    >>> fits(3, float), fits(True, int), fits([1, 2], list[int]), fits("three", int | None)
    (True, False, True, False)
    """
    origin, inside = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (Union, types.UnionType):
        return any(fits(value, alternative) for alternative in inside)
    if origin is Literal:
        return value in inside
    if origin is tuple:
        return isinstance(value, list) and (Ellipsis in inside or len(value) == len(inside))
    if origin is dict:
        return isinstance(value, dict)
    if isinstance(origin, type) and issubclass(origin, Collection):
        return isinstance(value, list) and all(fits(item, inside[0]) for item in value)
    if wanted is typing.Any:
        return True
    if wanted in (int, float):
        return isinstance(value, int if wanted is int else (int, float)) and not isinstance(value, bool)
    if wanted is Path:
        return isinstance(value, str)
    return isinstance(value, wanted) if isinstance(wanted, type) else True


def in_words(wanted: object) -> str:
    """What an annotation asks for, for people. Classes that no YAML value can be are left out.

    >>> in_words(int | None), in_words(list[float])
    ('an integer or null', 'a list, each a number')
    """
    return " or ".join(dict.fromkeys(_alternatives(wanted)))


def _alternatives(wanted: object) -> list[str]:
    origin, inside = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (Union, types.UnionType):
        known = [words for alternative in inside for words in _alternatives(alternative)]
        return [words for words in known if not (words == WORDS[int] and WORDS[float] in known)]
    if origin is Literal:
        return [str(value) for value in inside]
    return [words] if (words := _words_of(wanted, origin, inside)) else []


def _words_of(wanted: object, origin: object, inside: tuple[object, ...]) -> str:
    if origin is tuple and Ellipsis not in inside:
        return f"a list of {len(inside)}"
    if origin is dict:
        return WORDS[dict]
    if isinstance(origin, type) and issubclass(origin, Collection):
        each = in_words(inside[0])
        return f"{WORDS[list]}, each {each}" if each else WORDS[list]
    return WORDS.get(wanted, "")
