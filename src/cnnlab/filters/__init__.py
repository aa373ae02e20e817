"""Analytic and learned filter banks: kernels (K, 1, h, w) with names and a source.

Importing this package imports no torch; the first use of `bank` or `FilterBank` does.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnlab.filters.analysis.identify import identify
    from cnnlab.filters.bank import FilterBank, bank
    from cnnlab.filters.expression import check_expression, needs_patches
    from cnnlab.filters.families import family, listing
    from cnnlab.filters.validate import validate_family

__all__ = [
    "FilterBank", "bank", "check_expression", "family", "identify", "listing", "needs_patches", "validate_family"
]  # fmt: skip

_HOMES = {
    "FilterBank": "bank",
    "bank": "bank",
    "check_expression": "expression",
    "family": "families",
    "identify": "analysis.identify",
    "listing": "families",
    "needs_patches": "expression",
    "validate_family": "validate",
}


def __getattr__(name: str) -> object:
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
