"""What an object was made with, so that it can be made again."""

import functools
import inspect
from typing import TypeVar

Class = TypeVar("Class", bound=type)


def remembers_arguments(cls: Class) -> Class:
    """Class decorator: instances have `arguments`, {parameter: value}, defaults included.

    >>> @remembers_arguments
    ... class Pair:
    ...     def __init__(self, first: int, second: int = 2) -> None: ...
    >>> Pair(1).arguments
    {'first': 1, 'second': 2}
    """
    make = cls.__init__  # type: ignore[misc]  # of the class itself: what is made here belongs to it
    signature = inspect.signature(make)

    @functools.wraps(make)
    def remembering(self: object, *args: object, **kwargs: object) -> None:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        make(self, *args, **kwargs)
        self.__dict__["arguments"] = dict(list(bound.arguments.items())[1:])

    cls.__init__ = remembering  # type: ignore[misc]
    return cls


def plain(value: object) -> object:
    """The value as JSON and a checkpoint hold it: sequences as lists."""
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value
