"""Loops over pixels and activations, compiled by numba where it is installed; without it they run as they are, slowly.

Here because the rooms that have such loops, edges and training, don't stand on each other.

numba keeps what it compiled until the file of the function changes, and looks at no other file. So a compiled function
calls only compiled functions of its own file: else a change in the other one would go unnoticed.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

try:
    from numba import njit
except ImportError:
    COMPILED = False
else:
    COMPILED = True

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, compiled at its first call and kept on disk for the next process where it can be."""
    if not COMPILED:
        return function
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written
        return njit(nogil=True)(function)
