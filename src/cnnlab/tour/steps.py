"""The nine steps of the tour in order, and the code of each figure as text.

This text is what runs, what the page prints, and what a cell of the notebook holds: the imports it needs, the
functions that are shown, and the lines that call them.
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from itertools import groupby

from cnnlab.tour import contours, corners, derivatives, fields, in_a_row, learned, matrices, patterns, slide
from cnnlab.tour.step import Part

STEPS = tuple(
    module.STEP for module in (matrices, slide, derivatives, contours, in_a_row, patterns, corners, fields, learned)
)
PARTS = tuple(part for step in STEPS for part in step.parts)


def snippet(part: Part) -> str:
    """Complete lines of Python that leave a Sheet in `figure`; they know the names that earlier parts left."""
    body = "\n\n\n".join(inspect.getsource(function).rstrip() for function in part.shown)
    used = {node.id for node in ast.walk(ast.parse(f"{body}\n{part.lines}")) if isinstance(node, ast.Name)}
    used -= {function.__name__ for other in PARTS[: PARTS.index(part) + 1] for function in other.shown}
    return "\n".join(_joined(set(_imports(part, used)))) + f"\n\n\n{body}\n\n\n{part.lines}\n"


def _imports(part: Part, used: set[str]) -> Iterator[tuple[str, str]]:
    """(module or "", name) of the import lines for the names that the code uses; the front door, where one is there."""
    module = sys.modules[part.shown[0].__module__]
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name.split(".")[0]) in used:
                    name = f"{alias.name} as {alias.asname}" if alias.asname else alias.name
                    source = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
                    yield (
                        "cnnlab" if source.startswith("cnnlab.") and name in dir(sys.modules["cnnlab"]) else source,
                        name,
                    )
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in used:
            yield module.__name__, node.name


def _joined(imports: set[tuple[str, str]]) -> Iterator[str]:
    """Lines as linters sort them: the standard library, other packages, ours; `import` before `from`."""

    def order(line: tuple[str, str]) -> tuple[int, bool, str, str]:
        module, name = line
        package = (module or name).split(".")[0]
        return 0 if package in sys.stdlib_module_names else 2 if package == "cnnlab" else 1, bool(module), module, name

    for module, group in groupby(sorted(imports, key=order), key=lambda line: line[0]):
        names = [name for _, name in group]
        yield from [f"from {module} import {', '.join(names)}"] if module else [f"import {name}" for name in names]
