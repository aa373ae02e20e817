"""Analytic and learned filter banks: kernels (K, 1, h, w) with names and a source.

Importing this package imports no torch; the first use of `bank` or `FilterBank` does.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnlab.filters.bank import FilterBank, bank
    from cnnlab.filters.expression import check_expression, needs_patches
    from cnnlab.filters.families import FAMILIES, listing

__all__ = ["FAMILIES", "FilterBank", "bank", "check_expression", "listing", "needs_patches"]

_HOMES = {
    "FAMILIES": "families",
    "FilterBank": "bank",
    "bank": "bank",
    "check_expression": "expression",
    "listing": "families",
    "needs_patches": "expression",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


class _Package(ModuleType):
    """Keeps `cnnlab.filters.bank` the function: importing `bank.py` would bind itself to that name."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
