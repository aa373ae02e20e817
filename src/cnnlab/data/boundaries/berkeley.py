"""The Berkeley segmentation data set as its distribution lays it out. A annotator, H height, W width.

Arbelaez, Maire, Fowlkes, Malik: Contour Detection and Hierarchical Image Segmentation, PAMI 2011. Photographs of
481x321 or 321x481 pixels, each with the drawings of 4 to 9 people.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from cnnlab._choices import UsageError, nearest
from cnnlab.data.photographs.files import image_suffixes

# Where the folder may start that people point at: the data, the unpacked archive, or what holds either.
INSIDE = (".", "BSDS500", "data", "BSDS500/data", "BSR/BSDS500/data")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Photograph:
    """One photograph, and the file with the boundaries that people drew in it."""

    stem: str
    image: Path
    truth: Path


def photographs(root: Path, split: str) -> list[Photograph]:
    """The photographs of a split, sorted by name.

    root: the folder that holds `images/SPLIT/*.jpg` and `groundTruth/SPLIT/*.mat`, or a folder above it (INSIDE).
    Raises UsageError, saying what was expected where, if that is not what lies there.
    """
    if split not in SPLITS:
        raise UsageError(f"split: there is no {split!r}{nearest(split, SPLITS)}; there are: {', '.join(SPLITS)}")
    images, truths = (top / split for top in _tops(root, split))
    found = [path for path in _files(images) if path.suffix.lower() in image_suffixes()]
    if not found:
        raise UsageError(f"{images} holds no images that Pillow reads; {_about(_files(images))}")
    lacking = [path.stem for path in found if not (truths / f"{path.stem}.mat").is_file()]
    if lacking:
        raise UsageError(
            f"{truths}: no .mat for {len(lacking)} of the {len(found)} images in {images}: {_few(sorted(lacking))}"
        )
    pairs = [Photograph(path.stem, path, truths / f"{path.stem}.mat") for path in found]
    pairs.sort(key=lambda one: one.stem)
    twice = sorted({one.stem for one, other in pairwise(pairs) if one.stem == other.stem})
    if twice:
        raise UsageError(f"{images}: more than one image is called {_few(twice)}")
    return pairs


def read_boundaries(path: Path) -> np.ndarray:
    """Returns (A, H, W) bool, one drawing for each annotator, True on a boundary, exactly as stored.

    Reads the distribution's files: a cell array `groundTruth` of structures with a field `Boundaries`. Raises
    UsageError for a file that is something else, or whose drawings are of different sizes.
    """
    content = _read_mat(path)
    if "groundTruth" not in content:
        names = [name for name in content if not name.startswith("__")]
        raise UsageError(f"{path} holds no boundaries: it has no groundTruth, but {_few(names) or 'nothing'}")
    drawings = [_boundaries(cell, path) for cell in np.asarray(content["groundTruth"], dtype=object).flat]
    if not drawings:
        raise UsageError(f"{path} holds no boundaries: its groundTruth is empty")
    sizes = sorted({drawing.shape for drawing in drawings})
    if len(sizes) > 1:
        told = " and ".join("x".join(map(str, size)) for size in sizes)
        raise UsageError(f"{path}: its boundaries are of different sizes, {told} (height x width)")
    return np.stack(drawings)


def _tops(root: Path, split: str) -> tuple[Path, Path]:
    """The folders `images` and `groundTruth` that hold the split."""
    root = Path(root).expanduser()
    if not root.is_dir():
        raise UsageError(f"there is no folder {root}; expected one with images/{split} and groundTruth/{split}")
    tops = [root / inside for inside in INSIDE]
    for top in tops:
        if (top / "images" / split).is_dir() and (top / "groundTruth" / split).is_dir():
            return top / "images", top / "groundTruth"
    for top in tops:
        splits = [name for name in SPLITS if all((top / kind / name).is_dir() for kind in ("images", "groundTruth"))]
        if splits:
            raise UsageError(f"split: there is no {split!r} in {top}; there are: {', '.join(splits)}")
    raise UsageError(
        f"{root} is not laid out as the Berkeley distribution: expected images/{split}/*.jpg and "
        f"groundTruth/{split}/*.mat in it, or in {', '.join(INSIDE[1:])} below it; {_about(sorted(root.iterdir()))}"
    )


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _read_mat(path: Path) -> dict[str, object]:
    # Imported here: scipy.io takes a third of a second to start, and only this function needs it.
    from scipy.io import loadmat

    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    try:
        content: dict[str, object] = loadmat(path, squeeze_me=False, struct_as_record=True)
        return content
    except Exception as error:  # scipy has many words for a broken file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"{path} is no readable .mat file: {reason}") from error


def _boundaries(cell: object, path: Path) -> np.ndarray:
    names = (cell.dtype.names if isinstance(cell, np.ndarray | np.void) else None) or ()
    if not isinstance(cell, np.ndarray) or "Boundaries" not in names or not cell.size:
        raise UsageError(f"{path} holds no boundaries: its groundTruth has {_few(list(names)) or 'no fields'}")
    drawing_HW = np.asarray(cell["Boundaries"].flat[0])
    if drawing_HW.ndim != 2 or drawing_HW.dtype.kind not in "buif" or not drawing_HW.size:
        raise UsageError(f"{path}: its boundaries are no picture, but {drawing_HW.dtype} of shape {drawing_HW.shape}")
    return drawing_HW != 0


def _about(paths: list[Path]) -> str:
    return f"there is: {_few([path.name for path in paths])}" if paths else "it is empty"


def _few(names: list[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
