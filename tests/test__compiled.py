"""What is compiled and kept on disk."""

import importlib
import pkgutil

import pytest

import cnnlab.edges
import cnnlab.training
from cnnlab._compiled import COMPILED, compiled


@pytest.mark.skipif(not COMPILED, reason="numba is not installed")
def test_compiled_functions_call_compiled_functions_of_their_own_file_only() -> None:
    """numba looks for changes in a function's own file alone; another one's would leave the old code in use."""
    seen = 0
    rooms = cnnlab.edges, cnnlab.training
    for module in (one for room in rooms for one in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")):
        names = vars(importlib.import_module(module.name))
        own = [one for one in names.values() if hasattr(one, "py_func") and one.__module__.endswith(module.name)]
        for one in own:
            called = [names.get(name) for name in one.py_func.__code__.co_names]
            others = [other for other in called if hasattr(other, "py_func")]
            assert {other.__module__ for other in others} <= {one.__module__}, one.__name__
            seen += len(others)
    assert seen > 5


def test_where_nothing_can_be_kept_on_disk_functions_are_compiled_all_the_same() -> None:
    """A package folder and a home that cannot be written, as in a container; here: code without a file."""
    names: dict = {}
    exec("def double(number):\n    return 2 * number", names)
    assert compiled(names["double"])(3) == 6
