"""The code of a part as text: the imports it needs, the functions that are shown, and the lines that call them.

This text is what runs, what the page prints, and what a cell of the notebook holds.
"""

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from itertools import groupby

from cnnlab.tour import derivative_figures as tour_derivatives
from cnnlab.tour import linear_figures as tour_linear
from cnnlab.tour import network_figures as tour_networks
from cnnlab.tour import pattern_figures as tour_patterns
from cnnlab.tour import shapes as tour_shapes
from cnnlab.tour.steps import STEPS, Part

CALLED = (tour_shapes, tour_linear, tour_derivatives, tour_patterns, tour_networks)  # what the lines of parts call


def snippet(part: Part) -> str:
    """Complete lines of Python that leave a Sheet in `figure`; they know the names that earlier parts left."""
    sources = [inspect.getsource(function).rstrip() for function in part.shown]
    body = "\n\n\n".join(sources)
    used = {node.id for node in ast.walk(ast.parse(f"{body}\n{part.lines}")) if isinstance(node, ast.Name)}
    used -= {function.__name__ for function in _so_far(part)}
    return "\n".join(_joined(set(_imports(part, used)))) + f"\n\n\n{body}\n\n\n{part.lines}\n"


def _so_far(part: Part) -> Iterator[Callable]:
    """The functions that this part and those before it show: they are defined where its lines run."""
    for one in (one for step in STEPS for one in step.parts):
        yield from one.shown
        if one is part:
            return


def _imports(part: Part, used: set[str]) -> Iterator[tuple[str, str]]:
    """(module or "", name) of the import lines for the names that the code uses."""
    for module in {sys.modules[function.__module__] for function in part.shown}:
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from _of_node(node, used)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in used:
                yield module.__name__, node.name
    for module in CALLED:
        for name in used:
            if getattr(getattr(module, name, None), "__module__", None) == module.__name__:
                yield module.__name__, name


def _of_node(node: ast.Import | ast.ImportFrom, used: set[str]) -> Iterator[tuple[str, str]]:
    for alias in node.names:
        if (alias.asname or alias.name.split(".")[0]) in used:
            name = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
            yield (node.module or "") if isinstance(node, ast.ImportFrom) else "", name


def _joined(imports: set[tuple[str, str]]) -> Iterator[str]:
    """Lines as linters sort them: the standard library, other packages, ours; `import` before `from`."""

    def order(one: tuple[str, str]) -> tuple[int, bool, str]:
        module, name = one
        package = (module or name).split(".")[0]
        return 0 if package in sys.stdlib_module_names else 2 if package == "cnnlab" else 1, bool(module), module

    for module, group in groupby(sorted(imports, key=lambda one: (*order(one), one[1])), key=lambda one: one[0]):
        names = [name for _, name in group]
        yield from [f"from {module} import {', '.join(names)}"] if module else [f"import {name}" for name in names]
