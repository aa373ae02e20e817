"""Where the benchmark's predictions come from: a detector of ours, or a folder of PNG maps. H height, W width."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose
from omegaconf import DictConfig, OmegaConf

from cnnlab._choices import UsageError
from cnnlab.cli.check import check
from cnnlab.data.boundaries.berkeley import Photograph
from cnnlab.data.photographs.decode import decode_deep

LISTED = 8  # files in a message


@dataclass(frozen=True)
class Source:
    """A name for the table, what `map_of` gives, (H, W) in [0, 1], and what the numbers follow from."""

    name: str
    map_of: Callable[[Photograph], np.ndarray]
    facts: dict[str, Any] = field(default_factory=dict)


def sources_of(
    config: DictConfig, photographs: Sequence[Photograph], sizes: dict[str, tuple[int, int]]
) -> list[Source]:
    """All that the configuration asks for: `detector`, `detectors`, `predictions`, in that order.

    sizes: (H, W) of the drawings by stem. Raises ValueError for nothing, a name that isn't there, and predictions
    that don't fit, all of them in one message.
    """
    named = _listed(config.detectors)
    folders = [Path(text).expanduser() for text in _listed(config.predictions)]
    alone = config.get("detector")
    if alone is None and not named and not folders:
        raise UsageError("give detector=NAME, 'detectors=[NAME,NAME]', predictions=FOLDER or 'predictions=[A,B]'")
    for folder in folders:
        check_predictions(folder, photographs, sizes)
    chosen = [] if alone is None else [(_choice(), alone)]
    for name in named:
        composed = compose("benchmark_edges", [f"detector={name}"])
        check(composed, "cnnlab.cli.programs.benchmark_edges")
        chosen.append((name, composed.detector))
    sources = [_detector(name, one, config.device, config.grey) for name, one in chosen]
    sources += [Source(_name(folder, folders), _reader(folder), {"folder": str(folder)}) for folder in folders]
    names = [source.name for source in sources]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"asked for more than once: {', '.join(twice)}")
    return sources


def _choice() -> str:
    from hydra.core.hydra_config import HydraConfig

    return str(HydraConfig.get().runtime.choices.get("detector"))


def _listed(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else [str(one) for one in value]


def _name(folder: Path, folders: Sequence[Path]) -> str:
    """The folder's own name, or its path where another's is the same."""
    alone = [one.resolve().name for one in folders].count(folder.resolve().name) == 1
    return folder.resolve().name if alone else str(folder)


def _detector(name: str, config: DictConfig, device: str, grey: bool) -> Source:
    # Imported here: torch takes seconds to start, and maps of other programs do without it.
    from cnnlab.edges.choosing import build_detector, find_device, fingerprint
    from cnnlab.edges.maps import detect

    where = find_device(device)
    detector = build_detector(config, where)
    scale = float(detector.full_scale)

    def map_of(photograph: Photograph) -> np.ndarray:
        pixels_HWC = decode_deep(photograph.image)
        found_HW = detect(detector, pixels_HWC, where, grey=grey, pictures=False).thinned_HW
        return np.clip(found_HW / scale, 0, 1).astype(np.float32)

    settings = OmegaConf.to_container(config, resolve=True)
    return Source(name, map_of, {"detector": settings, "grey": grey, "kernels": fingerprint(detector)})


def _reader(folder: Path) -> Callable[[Photograph], np.ndarray]:
    return lambda photograph: read_map(folder / f"{photograph.stem}.png")


def read_map(path: Path) -> np.ndarray:
    """(H, W) float64 in [0, 1] of a PNG with 8 or 16 bits; white is 1. Raises ValueError if it can't be read."""
    try:
        pixels_HWC = decode_deep(path)
    except Exception as error:  # Pillow raises many kinds on broken files
        raise UsageError(_reason(path, error)) from error
    if (pixels_HWC != pixels_HWC[:, :, :1]).any():
        raise UsageError("in colour: a map is grey")
    return pixels_HWC[:, :, 0] / float(np.iinfo(pixels_HWC.dtype).max)


def _reason(path: Path, error: Exception) -> str:
    if not path.stat().st_size:
        return "the file is empty"
    return "not an image" if "cannot identify" in str(error) else " ".join(str(error).split()) or type(error).__name__


def check_predictions(folder: Path, photographs: Iterable[Photograph], sizes: dict[str, tuple[int, int]]) -> None:
    """Raises ValueError unless the folder has a readable map of the right size for each photograph: before anything
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
    problems = [f"{path}: {problem}" for path in paths if (problem := _problem(path, sizes[path.stem]))]
    if problems:
        listed = "\n  ".join(problems[:LISTED])
        raise UsageError(f"predictions: {len(problems)} of {len(paths)} can't be used:\n  {listed}{_more(problems)}")


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - LISTED} more" if len(names) > LISTED else ""


def _problem(path: Path, size: tuple[int, int]) -> str:
    """Why a map can't be used; nothing where it can."""
    try:
        shape = read_map(path).shape
    except ValueError as error:
        return str(error)
    return "" if shape == size else f"{shape[0]}x{shape[1]} pixels, but the photograph has {size[0]}x{size[1]}"
