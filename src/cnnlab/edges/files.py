"""What detect_edges leaves on disk: maps and pictures that say what they were made from. H height, W width, C channel.

A result is whole or not there, and carries a stamp: the photograph's name, size and time, and the settings. So a
second run knows what is done, also after the first was killed, and whose files it would overwrite.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cnnlab._choices import UsageError
from cnnlab._files import whole_file
from cnnlab.data.photographs.decode import opened
from cnnlab.data.photographs.files import RESULTS, Photograph, short_name

PROGRAM = "cnnlab detect_edges"
KEY = "cnnlab"  # of the text chunk in a PNG
WHITE = 65535  # the value of a strength of `full_scale` or more
STRIPE = 512  # rows of a map at once: a panorama is large in floating point


def digest(settings: Mapping[str, object]) -> str:
    """Of settings as plain values: 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def about(settings: Mapping[str, object], full_scale: float) -> str:
    """The contents of RESULTS: what the numbers in a folder mean and follow from."""
    value = f"16-bit grey, linear: 0 no edge, {WHITE} a strength of full_scale or more; after thinning"
    return json.dumps({"program": PROGRAM, "value": value, "full_scale": full_scale, **settings}, indent=2) + "\n"


def check_about(output: Path, settings: Mapping[str, object], overwrite: bool) -> None:
    """Raises UsageError if the folder holds edges of other settings, unless `overwrite`: one folder, one detector."""
    if overwrite or not (output / RESULTS).is_file():
        return
    try:
        there = json.loads((output / RESULTS).read_text())
        there = {name: there[name] for name in settings}
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"output: {output / RESULTS} is no file of this program; name another folder") from None
    before, now = dict(_flat(there)), dict(_flat(settings))
    differ = [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]
    if differ:
        words = ", ".join(f"{name} {before.get(name)} there, {now.get(name)} now" for name in differ)
        raise UsageError(
            f"output: {output} holds edges of other settings ({words}); name another folder, or take overwrite=true"
        )


def _flat(plain: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(plain, dict):
        for name, value in plain.items():
            yield from _flat(value, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, plain


@dataclass(frozen=True)
class Target:
    """Where the results of a photograph go. `picture` is None where none is wanted."""

    photograph: Photograph
    map: Path
    picture: Path | None
    stamp: str

    @property
    def files(self) -> list[Path]:
        """In the order in which they are written: the map, written last, says that all is done."""
        return [file for file in (self.picture, self.map) if file is not None]


def target_of(photograph: Photograph, output: Path, pictures: bool, settings: str, full_scale: float) -> Target:
    name = output / photograph.name
    picture = short_name(name, "_edges.jpg") if pictures else None
    return Target(photograph, short_name(name, ".png"), picture, _stamp(photograph.path, settings, full_scale))


def _stamp(path: Path, settings: str, full_scale: float) -> str:
    facts: dict[str, object] = {"program": PROGRAM, "source": path.name, "bytes": -1, "modified": -1}
    try:
        status = path.stat()
        facts |= {"bytes": status.st_size, "modified": status.st_mtime_ns}
    except OSError:
        pass  # reading it will say what is wrong
    return json.dumps({**facts, "settings": settings, "full_scale": full_scale})


def split_done_and_pending(targets: list[Target], overwrite: bool) -> tuple[list[Target], list[Target]]:
    """Done is what has all its files, each with the right stamp.

    Raises UsageError, before anything is written, for a file in the way: one without a stamp or with another, unless
    `overwrite`; and for one that is itself a photograph to read, always.
    """
    inputs = {target.photograph.path.resolve() for target in targets}
    done: list[Target] = []
    pending: list[Target] = []
    in_the_way: list[Path] = []
    for target in targets:
        there = [file for file in target.files if os.path.lexists(file)]
        for file in there:
            if file.resolve() in inputs:
                raise UsageError(
                    f"output: {file} is one of the photographs and is never overwritten; name another folder"
                )
        other = [file for file in there if file.is_dir() or read_stamp(file) != target.stamp]
        in_the_way += [file for file in other if file.is_dir() or not overwrite]
        (pending if other or len(there) < len(target.files) else done).append(target)
    if in_the_way:
        raise UsageError(_refusal(in_the_way))
    return done, pending


def remove_parts(targets: list[Target]) -> None:
    """Halves of results that a killed process left: NAME.NUMBER.part, as `whole_file` calls them."""
    results = {file for target in targets for file in target.files}
    for folder in {file.parent for file in results}:
        for part in folder.glob("*.part"):
            name, _, number = part.stem.rpartition(".")
            if number.isdigit() and (folder / name in results or name.removeprefix(".").isdigit()):
                part.unlink(missing_ok=True)


def _refusal(files: list[Path]) -> str:
    listed = "\n".join(f"  {file}" for file in files[:10])
    more = f"\n  and {len(files) - 10} more" if len(files) > 10 else ""
    count = f"{len(files)} file{'s are' if len(files) > 1 else ' is'}"
    return (
        f"output: {count} there already, made from other photographs, with other settings, or by another program:\n"
        f"{listed}{more}\nname another folder, or take overwrite=true"
    )


def read_stamp(file: Path) -> str | None:
    """What a result says of itself; None for a file of any other kind."""
    try:
        with opened(file) as image:
            text = image.info.get(KEY) or image.info.get("comment")
    except Exception:  # broken, unreadable: in any case no result of ours
        return None
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def write_map(thinned_HW: np.ndarray, full_scale: float, target: Target) -> None:
    """A 16-bit grey PNG, linear: 0 is no edge, WHITE a strength of `full_scale` or more."""
    value_HW = np.empty(thinned_HW.shape, np.uint16)
    for top in range(0, len(thinned_HW), STRIPE):
        stripe_hW = thinned_HW[top : top + STRIPE] * np.float32(WHITE / full_scale)
        value_HW[top : top + STRIPE] = np.rint(stripe_hW.clip(0, WHITE))
    text = PngInfo()
    text.add_text(KEY, target.stamp)
    picture = Image.fromarray(value_HW)
    target.map.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target.map) as file:
        picture.save(file, "PNG", pnginfo=text, compress_level=1)


def write_picture(picture_HWC: np.ndarray, target: Target) -> None:
    """A JPEG, its colours at full resolution: lines one pixel wide stay clean."""
    assert target.picture is not None
    target.picture.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target.picture) as file:
        Image.fromarray(picture_HWC).save(file, "JPEG", quality=92, subsampling=0, comment=target.stamp.encode())
