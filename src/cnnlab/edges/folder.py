"""Edges of a photograph, or of all below a folder, as files. H, W photograph, C channel."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch

from cnnlab._choices import UsageError
from cnnlab._files import held, write_text
from cnnlab._parallel import EVERY, cores, in_turn, shown, torch_threads
from cnnlab.data.photographs.decode import decode_deep, opened, reason
from cnnlab.data.photographs.files import RESULTS, photographs
from cnnlab.draw.edges import edge_picture
from cnnlab.edges.contract import Detector
from cnnlab.edges.detector import EdgeDetector
from cnnlab.edges.devices import on_device, settings_of
from cnnlab.edges.files import (
    Target,
    about,
    check_about,
    digest,
    remove_parts,
    split_done_and_pending,
    target_of,
    write_map,
    write_picture,
)
from cnnlab.edges.maps import WHOLE, detect

ALONE = 4 * WHOLE  # pixels from which on a photograph is worked on with no other of its kind


@dataclass(frozen=True)
class Detected:
    """What `detect_folder` left: maps made now and before, and why a photograph or another file has none."""

    folder: Path
    made: tuple[Path, ...]
    done_before: tuple[Path, ...]
    broken: Mapping[str, str]  # photographs that can't be read
    left_out: Mapping[str, str]  # files that are no photographs
    settings: Mapping[str, object] = field(repr=False)  # what the numbers follow from

    @property
    def skipped(self) -> dict[str, str]:
        """All that have no map, and why."""
        return {**self.broken, **self.left_out}


def detect_folder(
    input: str | Path,
    output: str | Path,
    detector: Detector | None = None,
    *,
    grey: bool = False,
    pictures: bool = True,
    overwrite: bool = False,
    device: str = "auto",
    threads: int | None = None,
) -> Detected:
    """Edges of the photograph `input`, or of all below the folder `input`: NAME.png and NAME_edges.jpg of each.

    NAME.png is a 16-bit grey map of the thinned strengths, linear, 65535 for the detector's `full_scale`; the picture
    shows the photograph, its edges in colour by orientation, and the map. edges.json says what the numbers mean. What
    is done with the same settings is not done again, so an interrupted call goes on when it is repeated.

    detector: any `Detector`; None is `EdgeDetector()`. A module is put on the device and in evaluation mode.
    grey: detect in the luma alone. pictures: leave NAME_edges.jpg too. overwrite: replace what is there.
    device: cpu, cuda, or auto. threads: cores to work on at most, which bounds the memory; None: all.
    Raises UsageError, before anything is written, for an input that isn't there or holds no photograph, an output that
    holds other files or other settings' results, and what can't be; OSError where the disk is full.

    >>> from cnnlab import detect_folder
    >>> found = detect_folder("photographs", "edges")  # doctest: +SKIP
    >>> found.made, found.skipped  # doctest: +SKIP
    """
    output = Path(output).expanduser()
    if threads is not None and threads < 1:
        raise UsageError(f"threads={threads}: at least 1, or null for one on each core")
    there = next(path for path in (output, *output.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UsageError(f"output: {there} is a file; results go into a folder")
    listing = photographs(input, output)
    detector, where = on_device(EdgeDetector() if detector is None else detector, device)
    settings, scale = settings_of(detector, grey), float(detector.full_scale)
    check_about(output, settings, overwrite)
    targets = [target_of(one, output, pictures, digest(settings), scale) for one in listing.photographs]
    split_done_and_pending(targets, overwrite)  # before anything is written
    output.mkdir(parents=True, exist_ok=True)
    with held(output):
        remove_parts(targets)
        done, pending = split_done_and_pending(targets, overwrite)
        write_text(output / RESULTS, about(settings, scale))
        threads = threads or cores()
        at_once = max(1, min(threads, len(pending)))
        work = _Work(detector, where, scale, grey, pictures, threads, threads // at_once)
        with torch_threads(1):  # handing small operations to others costs more than it saves
            results = shown(in_turn(work, pending, at_once), len(pending), "photographs")
            broken = {path: problem for path, problem in results if problem is not None}
    made = tuple(target.map for target in pending if str(target.photograph.path) not in broken)
    facts = {"device": str(where), **settings}
    return Detected(output, made, tuple(target.map for target in done), broken, listing.left_out, facts)


@dataclass(frozen=True)
class _Work:
    """A photograph, from file to files. Called from several threads at once."""

    detector: Detector
    device: torch.device
    scale: float
    grey: bool
    pictures: bool
    threads: int  # for the tiles of a photograph that is worked on alone
    usual: int  # of them, for any other
    alone: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, target: Target) -> tuple[str, str | None]:
        """Its path, and why there is no map of it; None where there is one."""
        path = target.photograph.path
        try:
            with opened(path) as image:
                large = image.width * image.height > ALONE
        except Exception as error:
            return str(path), reason(error, path)
        with self.alone if large else nullcontext():
            return str(path), self._make(path, target, self.threads if large else self.usual)

    def _make(self, path: Path, target: Target, threads: int) -> str | None:
        try:
            pixels_HWC = decode_deep(path)
        except Exception as error:  # Pillow raises many kinds on broken files: SyntaxError, struct.error, ...
            return reason(error, path)
        try:
            maps = detect(
                self.detector, pixels_HWC, self.device,
                grey=self.grey, pictures=self.pictures, threads=threads, tell=_progress(path),
            )  # fmt: skip
            picture_HWC = edge_picture(pixels_HWC, *maps.fields, maps.thinned_HW, self.scale) if maps.fields else None
        except torch.OutOfMemoryError:
            return reason(MemoryError(), path)
        except (UsageError, MemoryError) as error:
            return reason(error, path)
        del pixels_HWC  # of a panorama several hundred MB, which writing can use
        if picture_HWC is not None:
            write_picture(picture_HWC, target)
        write_map(maps.thinned_HW, self.scale, target)
        return None


def _progress(path: Path) -> Callable[[float], None]:
    """Says how far a photograph is that takes longer than EVERY seconds."""
    last = time.monotonic()

    def tell(fraction: float) -> None:
        nonlocal last
        if fraction < 1 and time.monotonic() - last >= EVERY:
            last = time.monotonic()
            print(f"{path.name}: {fraction:.0%}", flush=True)

    return tell
