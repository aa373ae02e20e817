"""The architecture: imports point down only, files end, and no room is a drawer for everything."""

import ast
from pathlib import Path

import pytest

import cnnlab

PACKAGE = Path(cnnlab.__file__).parent
# A room may import the rooms listed behind it. A room that isn't here may not exist.
BELOW = {
    "filters": set(),
    "receptive": set(),
    "edges": {"filters"},
    "data": set(),
    "nn": {"filters"},
    "training": set(),
    "studies": {"filters", "training"},
    "views": {"filters", "receptive"},
    "reports": {"views"},
    "app": {"filters", "receptive", "edges", "data", "nn", "training", "studies", "views", "reports"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, also inside of functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down_only(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0]
    if room == "__init__.py":
        return
    for name in imports_of(path):
        package, *rest = name.split(".")
        if package == "cnnlab" and rest and rest[0] in BELOW:
            assert rest[0] == room or rest[0] in BELOW[room], f"{room} may not import {name}"
        if package in ("hydra", "omegaconf"):
            assert room == "app", f"only app imports {package}"


def test_every_room_is_in_the_plan() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert rooms <= set(BELOW)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_ends_before_line_300_and_a_function_before_40(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) < 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            documented = ast.get_docstring(node, clean=False) or ""
            lines = node.end_lineno - node.body[0].lineno - documented.count("\n")
            assert lines < 40, f"{node.name}: {lines} lines"


def test_scripts_are_thin() -> None:
    for path in sorted((PACKAGE.parents[1] / "scripts").glob("*.py")):
        assert len(path.read_text().splitlines()) <= 20, path
