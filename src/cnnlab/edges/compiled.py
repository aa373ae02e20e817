"""Loops over pixels, compiled by numba where it is installed; without it they run as they are, slowly."""

from collections.abc import Callable

try:
    from numba import njit
except ImportError:
    njit = None

COMPILED = njit is not None


def compiled(function: Callable) -> Callable:
    """The same function, compiled at its first call and kept on disk for the next process."""
    return function if njit is None else njit(cache=True, nogil=True)(function)
