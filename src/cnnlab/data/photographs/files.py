"""Which photographs a program reads, and under which names it leaves what it makes of them."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnlab._choices import UsageError, nearest
from cnnlab.data.images.folder import SUFFIXES, natural

RESULTS = "edges.json"  # marks a folder of results, which is never read as photographs


@dataclass(frozen=True)
class Photograph:
    """A file to read; `name` is the path of its results below the folder of all results, without a suffix."""

    path: Path
    name: Path


def photographs(given: Any, output: Path) -> list[Photograph]:
    """The image file `given`, or all below the folder `given`, in natural order; hidden ones are left out.

    A name is the path inside of the folder without its suffix, so that sub-folders stay apart; files that differ in
    their suffix alone (a.jpg, a.png) keep it: a.jpg.png, a.png.png. Folders of results, `output` too, are not entered.
    Raises ValueError if there is no such file or folder, or no image in it, or `output` is the folder itself.
    """
    if not isinstance(given, str) or not given.strip():
        raise UsageError(f"input={given}: the path of a photograph, or of a folder with photographs")
    path = Path(given).expanduser()
    if path.is_file():
        return [Photograph(path, Path(path.stem))]
    if not path.is_dir():
        raise UsageError(f"input: there is no file or folder {path}{_there_is(path)}")
    if path.resolve() == output.resolve():
        raise UsageError(f"output: {output} is the folder of the photographs; name another, such as {path / 'edges'}")
    if (path / RESULTS).is_file():
        raise UsageError(f"input: {path} holds results of this program ({RESULTS}), not photographs")
    files = [file.relative_to(path) for file in _image_files(path, output.resolve())]
    if not files:
        raise UsageError(f"input: no images in {path}, which holds {_inside(path)}; looked for {' '.join(SUFFIXES)}")
    return [Photograph(path / file, name) for file, name in zip(files, _names(files), strict=True)]


def _image_files(folder: Path, output: Path) -> Iterator[Path]:
    """Every image file below, by its suffix. A folder that links lead to twice is entered once."""
    entered = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = Path(parent).resolve()
        results = real == output or (Path(parent, RESULTS).is_file() and Path(parent) != folder)
        if results or real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural)
        for name in sorted(files, key=natural):
            if not name.startswith(".") and name.lower().endswith(SUFFIXES):
                yield Path(parent, name)


def _names(files: list[Path]) -> list[Path]:
    """Without suffixes where that keeps them apart, also where capitals are the same as small letters."""
    shared = Counter(_key(file.with_suffix("")) for file in files)
    names = [file if shared[_key(file.with_suffix(""))] > 1 else file.with_suffix("") for file in files]
    owner: dict[str, Path] = {}
    for file, name in zip(files, names, strict=True):
        other = owner.setdefault(_key(name), file)
        if other != file:
            raise UsageError(
                f"input: the results of {other} and {file} would have one name, {name}; rename one of them"
            )
    return names


def _key(path: Path) -> str:
    return str(path).casefold()


def _there_is(path: Path) -> str:
    """What is there instead: the nearest name beside it, or how far the path goes."""
    parent = path.parent
    if parent.is_dir():
        names = sorted((one.name for one in parent.iterdir() if not one.name.startswith(".")), key=natural)
        near = nearest(path.name, names)
        return near or (f"; {parent.absolute()} holds {_listed(names)}" if names else "")
    there = next(folder for folder in path.absolute().parents if folder.is_dir())
    return f"; {there} is there, and holds no {path.absolute().relative_to(there).parts[0]}"


def _inside(folder: Path) -> str:
    return _listed(sorted((one.name for one in folder.iterdir()), key=natural)) or "nothing"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
