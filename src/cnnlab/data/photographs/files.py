"""Which files of a folder are images, and under which names a program leaves what it makes of them."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image

from cnnlab._choices import UsageError, nearest

RESULTS = "edges.json"  # marks a folder of results, which is never read as photographs
UNREAD = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}  # Pillow knows their heads, and reads them by other programs
SYSTEM = {"Thumbs.db", "desktop.ini"}  # of Windows, unasked
LONGEST = 255  # bytes of a file's name


@dataclass(frozen=True)
class Listing:
    """The images of a folder, where each really lies, and why other files are none."""

    images: tuple[Path, ...]
    real: tuple[str, ...]
    left_out: Mapping[str, str]


@dataclass(frozen=True)
class Photograph:
    """A file to read; `name` is the path of its results below the folder of all results, without a suffix."""

    path: Path
    name: Path


@dataclass(frozen=True)
class Photographs:
    """Those of an input, and why other files of it are none."""

    photographs: tuple[Photograph, ...]
    left_out: Mapping[str, str]


@lru_cache(maxsize=1)
def image_suffixes() -> tuple[str, ...]:
    """Of all that the installed Pillow reads, such as `.jpg`, sorted."""
    known = Image.registered_extensions()
    return tuple(sorted(suffix for suffix, kind in known.items() if kind in Image.OPEN and kind not in UNREAD))


def natural(name: str) -> tuple[list[str | int], str]:
    """Sorting key: numbers in a name count as numbers, case does not.

    >>> sorted(["b", "A10", "a9"], key=natural)
    ['a9', 'A10', 'b']
    """
    parts = re.split(r"([0-9]+)", name.lower())
    # Every second part is a number, so that text is only ever compared with text.
    return [int(part) if n % 2 else part for n, part in enumerate(parts)], name


def image_files(folder: Path, skip: Callable[[Path], bool] = lambda folder: False) -> Listing:
    """Every image file below, by its suffix, in natural order; hidden ones and folders to `skip` are passed over.

    Every real folder and file comes once, whatever links lead to it.
    """
    images: dict[str, Path] = {}  # by where it really lies
    left_out: dict[str, str] = {}
    entered: set[str] = set()
    to_enter = [(str(folder), os.path.realpath(folder))]
    while to_enter:
        parent, real_parent = to_enter.pop()
        if real_parent in entered or skip(Path(parent)):
            continue
        entered.add(real_parent)
        folders: list[tuple[str, str]] = []
        for entry in _entries(parent, left_out):
            real = os.path.realpath(entry.path) if entry.is_symlink() else f"{real_parent}{os.sep}{entry.name}"
            if entry.is_dir():
                folders.append((entry.path, real))
            elif problem := _no_image(entry):
                left_out[entry.path] = problem
            else:
                images.setdefault(real, Path(entry.path))
        to_enter += reversed(folders)
    return Listing(tuple(images.values()), tuple(images), left_out)


def _entries(folder: str, left_out: dict[str, str]) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as found:
            entries = [entry for entry in found if not entry.name.startswith(".") and entry.name not in SYSTEM]
    except OSError as error:
        left_out[folder] = error.strerror or str(error)
        return []
    return sorted(entries, key=lambda entry: natural(entry.name))


def _no_image(entry: "os.DirEntry[str]") -> str:
    """Why a file is not read; nothing where it is."""
    suffix = Path(entry.name).suffix.lower()
    if suffix not in image_suffixes():
        return f"no image that Pillow reads ({suffix or 'no suffix'})"
    return "" if entry.is_file() or not Path(entry.path).exists() else "not a regular file"


def photographs(given: str | Path, output: Path) -> Photographs:
    """The image file `given`, or all below the folder `given`, in natural order; hidden ones are passed over.

    A name is the path inside of the folder without its suffix, so that sub-folders stay apart; files that differ in
    their suffix alone (a.jpg, a.png) keep it: a.jpg.png, a.png.png. Folders of results, `output` too, are not entered.
    Raises UsageError if there is no such file or folder, or no image in it, or `output` is the folder itself.
    """
    if not isinstance(given, str | Path) or not str(given).strip():
        raise UsageError(f"input={given}: the path of a photograph, or of a folder with photographs")
    path = Path(given).expanduser()
    if path.is_file():
        return Photographs((Photograph(path, Path(path.stem)),), {})
    if not path.is_dir():
        raise UsageError(f"input: {path} is no file" if path.exists() else _missing(path))
    if path.resolve() == output.resolve():
        raise UsageError(f"output: {output} is the folder of the photographs; name another, such as {path / 'edges'}")
    if (path / RESULTS).is_file():
        raise UsageError(f"input: {path} holds results of this program ({RESULTS}), not photographs")
    results = output.resolve()
    listing = image_files(path, lambda one: one.resolve() == results or ((one / RESULTS).is_file() and one != path))
    files = [file.relative_to(path) for file in listing.images]
    if not files:
        raise UsageError(f"input: {no_images(path)}")
    found = (Photograph(path / file, name) for file, name in zip(files, _names(files), strict=True))
    return Photographs(tuple(found), listing.left_out)


def no_images(folder: Path) -> str:
    """What to say of a folder without images."""
    inside = _listed(sorted((one.name for one in folder.iterdir()), key=natural)) or "nothing"
    return f"no images in {folder}, which holds {inside}; looked for all that Pillow reads, such as .jpg .png .tif"


def short_name(path: Path, suffix: str) -> Path:
    """`path` with the suffix; the end of a name that would be too long for a file is a digest of all of it."""
    whole = os.fsencode(f"{path.name}{suffix}")
    if len(whole) <= LONGEST:
        return path.with_name(f"{path.name}{suffix}")
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]
    kept = os.fsencode(path.name)[: LONGEST - len(os.fsencode(suffix)) - len(digest) - 1].decode("utf-8", "ignore")
    return path.with_name(f"{kept}_{digest}{suffix}")


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


def _missing(path: Path) -> str:
    """What is there instead: the nearest name beside it, or how far the path goes."""
    text, parent = f"input: there is no file or folder {path}", path.parent
    if parent.is_dir():
        names = sorted((one.name for one in parent.iterdir() if not one.name.startswith(".")), key=natural)
        near = nearest(path.name, names)
        return text + (near or (f"; {parent.absolute()} holds {_listed(names)}" if names else ""))
    there = next(folder for folder in path.absolute().parents if folder.is_dir())
    return f"{text}; {there} is there, and holds no {path.absolute().relative_to(there).parts[0]}"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
