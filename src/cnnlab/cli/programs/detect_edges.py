"""The edge-detection job: a map and a picture of each photograph, any number of them."""

import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image, UnidentifiedImageError
from torch import nn

from cnnlab._choices import UsageError
from cnnlab._files import held, write_text
from cnnlab._parallel import EVERY, cores, in_turn, shown, torch_threads
from cnnlab.data.photographs.decode import decode_deep, large_pictures
from cnnlab.data.photographs.files import RESULTS, photographs
from cnnlab.edges.choosing import build_detector, find_device, fingerprint
from cnnlab.edges.files import Target, about, check_about, digest, sort_out, target_of, write_map, write_picture
from cnnlab.edges.maps import WHOLE, detect, draw
from cnnlab.runs.record import RunRecord, recorded

LISTED = 20  # photographs without a map, on the screen; all are in summary.json
ALONE = 4 * WHOLE  # pixels from which on a photograph is worked on with no other of its kind


def run(config: DictConfig, folder: Path) -> int:
    """Leave <name>.png and <name>_edges.jpg of each photograph in `config.output`, by default in `folder`.

    Returns 1 if a photograph can't be read (the others are done), otherwise 0.
    """
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    output = folder if config.output is None else Path(str(config.output)).expanduser()
    _check(config, output)
    found = photographs(config.input, output)
    device = find_device(config.device)
    detector = build_detector(config.detector, device)
    settings = _settings(config, detector)
    scale = float(detector.full_scale)
    with large_pictures():
        check_about(output, settings, config.overwrite)
        targets = [target_of(one, output, config.pictures, digest(settings), scale) for one in found]
        sort_out(targets, config.overwrite)  # before anything is written
        output.mkdir(parents=True, exist_ok=True)
        with held(output):
            to_do, done = sort_out(targets, config.overwrite)
            facts = {"input": str(config.input), "output": str(output), "device": str(device), **settings}
            record = RunRecord(folder, **facts)
            with _how_to_go_on(output), recorded(record, folder):
                write_text(output / RESULTS, about(settings, scale))
                work = Work(detector, device, scale, grey=config.grey, pictures=config.pictures)
                broken = work_through(work, to_do, config.threads)
                record.finish("completed", written=len(to_do) - len(broken), done_before=len(done), broken=broken)
    _tell(len(to_do) - len(broken), len(done), broken, output)
    print(folder)
    return 1 if broken else 0


def _check(config: DictConfig, output: Path) -> None:
    if config.threads is not None and config.threads < 1:
        raise UsageError(f"threads={config.threads}: at least 1, or null for one on each core")
    there = next(path for path in (output, *output.absolute().parents) if path.exists())
    if not there.is_dir():
        raise UsageError(f"output: {there} is a file; results go into a folder")


def _settings(config: DictConfig, detector: nn.Module) -> dict[str, Any]:
    """All that the numbers of a map follow from, besides the photograph."""
    plain = OmegaConf.to_container(config.detector, resolve=True)
    return {"detector": plain, "grey": config.grey, "kernels": fingerprint(detector)}


class Work:
    """A photograph, from file to files. Called from several threads at once."""

    def __init__(self, detector: nn.Module, device: torch.device, scale: float, *, grey: bool, pictures: bool) -> None:
        self.detector, self.device, self.scale, self.grey, self.pictures = detector, device, scale, grey, pictures
        self._alone = threading.Lock()

    def __call__(self, target: Target) -> tuple[str, str | None]:
        """Its path, and why there is no map of it; None where there is one."""
        path = target.photograph.path
        try:
            with Image.open(path) as opened:
                pixels = opened.width * opened.height
        except Exception as error:
            return str(path), reason(error, path)
        with self._alone if pixels > ALONE else nullcontext():
            return str(path), self._make(path, target)

    def _make(self, path: Path, target: Target) -> str | None:
        try:
            pixels_HWC = decode_deep(path)
        except Exception as error:  # Pillow raises many kinds on broken files: SyntaxError, struct.error, ...
            return reason(error, path)
        told = _Told(path)
        try:
            maps = detect(self.detector, pixels_HWC, self.device, grey=self.grey, pictures=self.pictures, told=told)
            picture_HWC = draw(pixels_HWC, maps, self.scale) if self.pictures else None
        except (ValueError, MemoryError, torch.OutOfMemoryError) as error:
            return reason(error, path)
        del pixels_HWC  # of a panorama several hundred MB, which writing can use
        if picture_HWC is not None:
            write_picture(picture_HWC, target)
        write_map(maps.thinned_HW, self.scale, target)
        return None


class _Told:
    """How far a photograph is that takes longer than EVERY seconds."""

    def __init__(self, path: Path) -> None:
        self.path, self.last = path, time.monotonic()

    def __call__(self, share: float) -> None:
        if share < 1 and time.monotonic() - self.last >= EVERY:
            self.last = time.monotonic()
            print(f"{self.path.name}: {share:.0%}", flush=True)


def work_through(work: Work, targets: list[Target], threads: int | None) -> dict[str, str]:
    """All targets. Returns the paths of those that can't be read, and why."""
    threads = max(1, min(threads or cores(), len(targets)))
    with torch_threads(max(1, cores() // threads)):
        results = shown(in_turn(work, targets, threads), len(targets), "photographs")
        return {path: problem for path, problem in results if problem is not None}


def reason(error: Exception, path: Path) -> str:
    """Why a file gives no map, in words."""
    if isinstance(error, UnidentifiedImageError):
        return "the file is empty" if path.stat().st_size == 0 else "not an image"
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return "too large for the memory of this machine"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def _how_to_go_on(output: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as interrupt:
        number = interrupt.args[1] if len(interrupt.args) > 1 else signal.SIGINT
        given = [text for text in sys.argv if not text.startswith("output=")]
        command = shlex.join([*given, f"output={output}"])
        raise KeyboardInterrupt(f"interrupted; what is done stays, and to go on: {command}", number) from None


def _tell(written: int, done: int, broken: dict[str, str], output: Path) -> None:
    before = f", {done} done before" if done else ""
    print(f"edges of {written} photograph{'' if written == 1 else 's'} in {output}{before}")
    if not broken:
        return
    listed = "\n".join(f"  {path}: {problem}" for path, problem in list(broken.items())[:LISTED])
    more = f"\n  and {len(broken) - LISTED} more, in summary.json" if len(broken) > LISTED else ""
    print(f"cnnlab: {len(broken)} skipped:\n{listed}{more}", file=sys.stderr)
