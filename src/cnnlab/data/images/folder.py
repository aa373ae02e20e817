"""A folder of images, one folder per class. All files are decoded once, in parallel, before training starts.

That one pass finds the broken files, the odd sizes and the colour. It keeps the pixels if they fit in memory,
and otherwise their sums, from which normalisation follows.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress

from cnnlab._choices import UsageError, check_choice
from cnnlab.data.images.images import FolderImages, Images, TensorImages
from cnnlab.data.photographs.decode import decode, reason
from cnnlab.data.photographs.files import image_files, natural, no_images

MEMORY_SHARE = 1 / 4  # of the machine's memory: what `data.in_memory=auto` gives to one split


@dataclass(frozen=True)
class FolderOptions:
    """How a folder is read; the values of `ImageData` with the same names."""

    image_size: tuple[int, int] | None
    on_broken: str
    in_memory: bool | str
    threads: int


@dataclass(frozen=True, eq=False)
class _Found:
    """What one file holds; `array_HWC` is None where it is not kept."""

    path: Path
    label: int
    shape_HWC: tuple[int, int, int]
    array_HWC: np.ndarray | None
    sum_C: list[int]
    square_C: list[int]


@dataclass(frozen=True)
class _Broken:
    path: Path
    reason: str


def class_folders(folder: Path) -> tuple[str, ...]:
    """Names of the class folders, hidden ones left out, in natural order.

    Raises ValueError if the folder is missing or holds no class folder.
    """
    if not folder.is_dir():
        parent = folder.parent
        if not parent.is_dir():
            raise UsageError(f"image_folder: there is no folder {parent.absolute()}; give data.root=FOLDER")
        there = ", ".join(sorted((path.name for path in parent.iterdir()), key=natural)[:10]) or "nothing"
        raise UsageError(
            f"image_folder: no {folder.name}/ in {parent.absolute()}, which holds {there}; "
            f"images are expected in {folder.name}/<class>/"
        )
    names = (path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    classes = tuple(sorted(names, key=natural))
    if not classes:
        raise UsageError(f"image_folder: {folder.absolute()} has no class folders; expected <class>/<image>")
    return classes


def read_folder(folder: Path, options: FolderOptions, like: Images | None = None) -> Images:
    """Read every image below `folder`/<class>/.

    like: the training images, whose classes, size and channels a validation or test folder takes over.
    Raises ValueError for a missing or empty folder, a single class, a class that training does not have,
    broken files (unless options.on_broken is "skip"), and images of different sizes.
    """
    classes = class_folders(folder)
    if like is None and len(classes) == 1:
        raise UsageError(f"image_folder: only one class, {classes[0]!r}, in {folder.absolute()}; at least two")
    known = classes if like is None else like.class_names
    for name in classes:
        if name not in known:
            check_choice(f"class in {folder.absolute()}:", name, known)
    listings = {name: image_files(folder / name) for name in classes}
    files = [(path, known.index(name)) for name in classes for path in listings[name].images]
    if not files:
        raise UsageError(f"image_folder: {no_images(folder)}")
    left_out = {path: reason for listing in listings.values() for path, reason in listing.left_out.items()}
    _tell_doubts(folder, left_out, [path for listing in listings.values() for path in listing.real])
    size = options.image_size if like is None else like.shape[1:]
    natural_size = None if like is None or options.image_size else size
    channels = None if like is None else like.shape[0]
    found, broken = _read_all(files, options, None if natural_size else size, channels)
    skipped = (*_without_broken(broken, folder, options), *left_out)
    _check_classes(found, classes if like is None else (), known, folder)
    return _images(found, known, skipped, options, natural_size)


def _tell_doubts(folder: Path, left_out: Mapping[str, str], real: list[str]) -> None:
    """One line for files that are no images, one for images that links give to several classes."""
    if left_out:
        path, reason = next(iter(left_out.items()))
        others = f", and {len(left_out) - 1} others" if len(left_out) > 1 else ""
        print(f"image_folder: left out {path}: {reason}{others}", file=sys.stderr)
    twice = [path for path, count in Counter(real).items() if count > 1]
    if twice:
        print(f"image_folder: {len(twice)} images of {folder} have two classes by links: {twice[0]}", file=sys.stderr)


def _read_all(
    files: list[tuple[Path, int]], options: FolderOptions, size: tuple[int, int] | None, channels: int | None
) -> tuple[list[_Found], list[_Broken]]:
    keep = _fits(files, options, size)

    def read(chunk: list[tuple[Path, int]]) -> list[_Found | _Broken]:
        return [_examine(path, label, size, channels, keep) for path, label in chunk]

    console = Console(stderr=True)
    results: list[_Found | _Broken] = []
    with (
        ThreadPoolExecutor(options.threads) as pool,
        Progress(console=console, disable=not console.is_terminal, transient=True) as progress,
    ):
        bar = progress.add_task("reading images", total=len(files))
        for part in pool.map(read, _chunks(files, 64)):
            results += part
            progress.advance(bar, len(part))
    broken = [result for result in results if isinstance(result, _Broken)]
    return [result for result in results if isinstance(result, _Found)], broken


def _chunks(items: Sequence[tuple[Path, int]], size: int) -> Iterator[Sequence[tuple[Path, int]]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _examine(
    path: Path, label: int, size: tuple[int, int] | None, channels: int | None, keep: bool
) -> _Found | _Broken:
    try:
        array_HWC = decode(path, size, channels)
    except Exception as error:  # Pillow raises many kinds on broken files: SyntaxError, struct.error, ...
        return _Broken(path, reason(error, path))
    if keep:
        return _Found(path, label, array_HWC.shape, array_HWC, [], [])
    value = array_HWC.reshape(-1, array_HWC.shape[2]).astype(np.int64)
    return _Found(path, label, array_HWC.shape, None, value.sum(0).tolist(), (value**2).sum(0).tolist())


def _fits(files: list[tuple[Path, int]], options: FolderOptions, size: tuple[int, int] | None) -> bool:
    """Whether the pixels are kept: as asked, or for "auto" by the first image that can be read."""
    if options.in_memory != "auto":
        return bool(options.in_memory)
    for path, label in files:
        first = _examine(path, label, size, 3, keep=False)
        if isinstance(first, _Found):
            memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
            return len(files) * int(np.prod(first.shape_HWC)) <= memory * MEMORY_SHARE
    return True


def _without_broken(broken: list[_Broken], folder: Path, options: FolderOptions) -> tuple[str, ...]:
    if broken and options.on_broken == "error":
        first = "\n".join(f"  {item.path}: {item.reason}" for item in broken[:10])
        more = f"\n  and {len(broken) - 10} more" if len(broken) > 10 else ""
        raise UsageError(
            f"{len(broken)} broken image{'s' * (len(broken) > 1)} in {folder.absolute()}:\n{first}{more}\n"
            "mend or remove them, or leave them out with data.on_broken=skip"
        )
    return tuple(str(item.path) for item in broken)


def _check_classes(found: list[_Found], needed: tuple[str, ...], known: tuple[str, ...], folder: Path) -> None:
    present = {item.label for item in found}
    empty = [name for name in needed if known.index(name) not in present]
    if empty or not found:
        raise UsageError(
            f"image_folder: no readable images in {folder.absolute()} for class {', '.join(empty) or 'any'}"
        )


def _images(
    found: list[_Found],
    classes: tuple[str, ...],
    skipped: tuple[str, ...],
    options: FolderOptions,
    wanted: tuple[int, int] | None,
) -> Images:
    """Bring all to one number of channels; raises ValueError if they have not one size."""
    wanted = wanted or found[0].shape_HWC[:2]
    odd = [item for item in found if item.shape_HWC[:2] != wanted]
    if odd:
        height, width = odd[0].shape_HWC[:2]
        raise UsageError(
            f"images differ in size: {wanted[0]}x{wanted[1]} (height x width) expected, but {odd[0].path} is "
            f"{height}x{width}, one of {len(odd)}; "
            f"data.image_size=[{wanted[0]},{wanted[1]}] scales and crops all"
        )
    channels = max(item.shape_HWC[2] for item in found)
    label_N = torch.tensor([item.label for item in found])
    if found[0].array_HWC is None:
        # A grey image among colour is the same in each channel.
        sum_NC = torch.tensor([(item.sum_C * 3)[:channels] for item in found])
        square_NC = torch.tensor([(item.square_C * 3)[:channels] for item in found])
        paths = tuple(item.path for item in found)
        shape = (channels, *wanted)
        return FolderImages(paths, label_N, classes, shape, sum_NC, square_NC, options.threads, skipped)
    image_NCHW = torch.empty(len(found), channels, *wanted, dtype=torch.uint8)
    for n, item in enumerate(found):
        assert item.array_HWC is not None
        image_NCHW[n] = torch.from_numpy(item.array_HWC.copy()).permute(2, 0, 1)
    return TensorImages(image_NCHW, label_N, classes, skipped)
