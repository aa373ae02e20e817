"""The house: imports point down only and never in a circle, files end, and no room is a drawer for everything."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import cnnlab

PACKAGE = Path(cnnlab.__file__).parent
# From the bottom up: a room imports rooms above it in this list, those on its own line not.
FLOORS = [
    ["private"],  # the files _*.py at the root
    ["filters", "receptive"],
    ["draw"],
    ["data"],
    ["nn"],
    ["edges"],
    ["report"],
    ["runs"],
    ["training"],
    ["kernels", "studies", "tour"],
    ["cli"],
    ["front door"],  # __init__.py and __main__.py
]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(PACKAGE.rglob("*.py"))
TEXTS = {path: path.read_text() for path in FILES}
TREES = {path: ast.parse(text) for path, text in TEXTS.items()}
LATER: dict[str, str] = {}  # what does not hold yet: a file, a room or "Any" -> what is missing


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def room_of(path: Path) -> str:
    first, *rest = path.relative_to(PACKAGE).parts
    return first if rest else "private" if first.startswith("_") and not first.startswith("__") else "front door"


def nodes_of(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes, but not what only type checkers import."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        yield from nodes_of(node)


def imports_of(path: Path) -> set[str]:
    """The dotted names of all that a file imports, also inside of functions."""
    names = set()
    for node in nodes_of(TREES[path]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def file_of(name: str) -> Path | None:
    """The file that a dotted name stands for: a module, or the one that an attribute is in."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        path = PACKAGE.joinpath(*parts[1:end])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if parts[0] == "cnnlab" and file in TEXTS:
                return file
    return None


def imported_files(path: Path) -> set[Path]:
    return {file for name in imports_of(path) if (file := file_of(name)) and file != path}


def later(name: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.xfail(strict=True, reason=LATER[name])] if name in LATER else []


EACH_FILE = pytest.mark.parametrize("path", [pytest.param(path, id=name_of(path)) for path in FILES])
ROOMS = sorted({room_of(path) for path in FILES} - {"private", "front door"})
EACH_ROOM = pytest.mark.parametrize("room", [pytest.param(room, marks=later(room)) for room in ROOMS])


def test_every_room_is_in_the_plan() -> None:
    assert {room_of(path) for path in FILES} == set(LEVEL)


@pytest.mark.parametrize("path", [pytest.param(path, id=name_of(path), marks=later(name_of(path))) for path in FILES])
def test_imports_point_down_only(path: Path) -> None:
    room = room_of(path)
    for file in imported_files(path):
        other = room_of(file)
        assert other == room or LEVEL[other] < LEVEL[room], f"{room} may not import {name_of(file)}"
    for name in imports_of(path):
        assert room == "cli" or name.split(".")[0] not in ("hydra", "omegaconf"), f"only cli imports {name}"


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = {path: imported_files(path) for path in FILES if room_of(path) != "front door"}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise AssertionError(" -> ".join(name_of(path) for path in error.args[1])) from None


def test_no_folder_has_more_than_20_files() -> None:
    folders = {path.parent for path in FILES}
    full = {name_of(folder): len(list(folder.glob("*.py"))) for folder in folders}
    assert {folder: count for folder, count in full.items() if count > 20} == {}


def lines_of(room: str) -> int:
    return sum(len(text.splitlines()) for path, text in TEXTS.items() if room_of(path) == room)


@EACH_ROOM
def test_a_room_holds_no_more_than_its_part(room: str) -> None:
    assert lines_of(room) < 0.15 * sum(map(len, map(str.splitlines, TEXTS.values())))


def test_the_command_line_is_thin() -> None:
    assert lines_of("cli") < 3000
    for path in (PACKAGE.parents[1] / "scripts").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 20, path


@pytest.mark.parametrize("most", [pytest.param(50, marks=later("Any"))])
def test_any_is_the_exception(most: int) -> None:
    """In annotations and calls; imports not counted."""
    used = {
        name_of(path): sum(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(tree))
        for path, tree in TREES.items()
    }
    assert sum(used.values()) <= most, {name: count for name, count in used.items() if count}


@EACH_FILE
def test_a_file_ends_before_line_300_and_a_function_before_40(path: Path) -> None:
    assert len(TEXTS[path].splitlines()) < 300
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.FunctionDef):
            documented = ast.get_docstring(node, clean=False) or ""
            lines = (node.end_lineno or 0) - node.body[0].lineno - documented.count("\n")
            assert lines < 40, f"{node.name}: {lines} lines"
