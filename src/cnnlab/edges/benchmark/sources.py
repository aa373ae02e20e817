"""Where the benchmark's predictions come from: a detector, or a folder of PNG maps. H height, W width."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnlab._choices import UsageError
from cnnlab.data.boundaries.berkeley import Photograph
from cnnlab.data.photographs.decode import decode_deep, reason, upright_size
from cnnlab.edges.contract import Detector
from cnnlab.edges.devices import on_device, settings_of
from cnnlab.edges.maps import detect

LISTED = 8  # files in a message
MapOf = Callable[[Photograph], np.ndarray]


@dataclass(frozen=True)
class Source:
    """A name for the table, what `map_of` gives, (H, W) in [0, 1], and what the numbers follow from."""

    name: str
    map_of: MapOf
    facts: Mapping[str, object]


def sources_of(
    detectors: Detector | Mapping[str, Detector] | None,
    predictions: Sequence[str | Path],
    photographs: Sequence[Photograph],
    sizes: Mapping[str, tuple[int, int]],
    *,
    device: str,
    grey: bool,
) -> list[Source]:
    """All detectors and folders, in that order.

    sizes: (H, W) of the drawings by stem. Raises UsageError for nothing, a name that comes twice, and predictions
    that don't fit, all of them in one message.
    """
    folders = [Path(folder).expanduser() for folder in predictions]
    if detectors is not None and not isinstance(detectors, Mapping):
        detectors = {type(detectors).__name__: detectors}
    if not detectors and not folders:
        raise UsageError("give detector=NAME, 'detectors=[NAME,NAME]', predictions=FOLDER or 'predictions=[A,B]'")
    for folder in folders:
        check_predictions(folder, photographs, sizes)
    sources = [_of_detector(name, detector, device, grey) for name, detector in (detectors or {}).items()]
    sources += [Source(_name(folder, folders), _reader(folder), {"folder": str(folder)}) for folder in folders]
    check_names([source.name for source in sources])
    return sources


def check_names(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"asked for more than once: {', '.join(twice)}")


def check_truths(photographs: Iterable[Photograph], sizes: Mapping[str, tuple[int, int]]) -> None:
    """Raises UsageError for boundaries of another size than their photograph, naming both."""
    for one in photographs:
        try:
            height, width = upright_size(one.image)
        except Exception as error:  # Pillow raises many kinds on broken files
            raise UsageError(f"{one.image} can't be read: {reason(error, one.image)}") from error
        if sizes[one.stem] != (height, width):
            drawn = "x".join(map(str, sizes[one.stem]))
            raise UsageError(f"{one.truth}: boundaries of {drawn}, but {one.image.name} has {height}x{width} pixels")


def _name(folder: Path, folders: Sequence[Path]) -> str:
    """The folder's own name, or its path where another's is the same."""
    alone = [one.resolve().name for one in folders].count(folder.resolve().name) == 1
    return folder.resolve().name if alone else str(folder)


def _of_detector(name: str, detector: Detector, device: str, grey: bool) -> Source:
    detector, where = on_device(detector, device)
    scale = float(detector.full_scale)

    def map_of(photograph: Photograph) -> np.ndarray:
        pixels_HWC = decode_deep(photograph.image)
        thinned_HW = detect(detector, pixels_HWC, where, grey=grey, pictures=False).thinned_HW
        return np.clip(thinned_HW / scale, 0, 1).astype(np.float32)

    return Source(name, map_of, settings_of(detector, grey))


def _reader(folder: Path) -> Callable[[Photograph], np.ndarray]:
    return lambda photograph: read_map(folder / f"{photograph.stem}.png")


def read_map(path: Path) -> np.ndarray:
    """(H, W) float64 in [0, 1] of a PNG with 8 or 16 bits; white is 1. Raises UsageError if it can't be read."""
    try:
        pixels_HWC = decode_deep(path)
    except Exception as error:  # Pillow raises many kinds on broken files
        raise UsageError(reason(error, path)) from error
    if (pixels_HWC != pixels_HWC[:, :, :1]).any():
        raise UsageError("in colour: a map is grey")
    return pixels_HWC[:, :, 0] / float(np.iinfo(pixels_HWC.dtype).max)


def check_predictions(folder: Path, photographs: Iterable[Photograph], sizes: Mapping[str, tuple[int, int]]) -> None:
    """Raises UsageError unless the folder has a readable map of the right size for each photograph: before anything
    is counted, since that takes minutes."""
    if not folder.is_dir():
        raise UsageError(f"predictions: there is no folder {folder}")
    paths = [folder / f"{one.stem}.png" for one in photographs]
    lacking = [path.name for path in paths if not path.is_file()]
    if lacking:
        there = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        holds = f"it holds {', '.join(there[:LISTED])}{_more(there)}" if there else "it is empty"
        raise UsageError(
            f"predictions: {folder} lacks {len(lacking)} of {len(paths)} maps: "
            f"{', '.join(lacking[:LISTED])}{_more(lacking)}; {holds}"
        )
    problems: list[str] = []
    levels = [_levels(path, sizes[path.stem], problems) for path in paths]
    if problems:
        listed = "\n  ".join(problems[:LISTED])
        raise UsageError(f"predictions: {len(problems)} of {len(paths)} can't be used:\n  {listed}{_more(problems)}")
    _warn(folder, levels)


def _levels(path: Path, size: tuple[int, int], problems: list[str]) -> tuple[float, float]:
    """The largest and the middle value of a map; why it can't be used joins the problems."""
    try:
        map_HW = read_map(path)
    except UsageError as error:
        problems.append(f"{path}: {error}")
        return 0.0, 0.0
    if map_HW.shape != size:
        shape = "x".join(map(str, map_HW.shape))
        problems.append(f"{path}: {shape} pixels, but the photograph has {size[0]}x{size[1]}")
    return float(map_HW.max()), float(np.median(map_HW))


def _warn(folder: Path, levels: Sequence[tuple[float, float]]) -> None:
    """A line for maps that look as if they were in another range."""
    if max(largest for largest, _ in levels) <= 1 / 255:
        print(f"warning: no map of {folder} exceeds 1 of 255; white, 255, is a sure boundary", file=sys.stderr)
    inverted = sum(middle > 0.5 for _, middle in levels)
    if inverted > len(levels) / 2:
        maps = f"{inverted} of {len(levels)} maps of {folder} are"
        print(f"warning: {maps} bright nearly everywhere; white is a sure boundary", file=sys.stderr)


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
