"""Files of `torch.save`, which may come from anybody: judged before they are unpacked, and tensors alone."""

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from cnnlab._choices import UsageError

MOST_BYTES = 2**30  # that a smaller file may unpack to, and a tensor of it come to when it is used
_BEFORE_1_6 = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # how files of torch before 1.6 begin: pickles in a row
_DAMAGED = "is cut off or damaged; take another copy of it"
_OTHER = "is not a file that torch.save wrote"
_ALONE = "cnnlab reads tensors only; save the state_dict alone: torch.save(model.state_dict(), ...)"


def read_torch_file(path: Path) -> object:
    """The tensors, on the CPU, and plain types of a file of `torch.save`. It runs no code of the file.

    Raises UsageError, which names the file, for one that isn't there, is something else, was cut off or changed (by
    its checksums), holds other objects, or would take far more memory than it has bytes.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    _judge(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's advice on unusual pickles
            content: object = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+) was not an allowed", str(error))
        raise UsageError(f"{path} holds {_printable(named[1]) if named else 'other'} objects; {_ALONE}") from error
    except Exception as error:  # torch has many words for a broken file
        raise UsageError(f"{path} {_DAMAGED}") from error
    for keys, tensor in tensors_in(content):
        if tensor.numel() * tensor.element_size() > max(MOST_BYTES, path.stat().st_size):
            shape = "x".join(map(str, tensor.shape))
            raise UsageError(f"{path}: {'.'.join(keys)} {shape} has more numbers than such a file may hold")
    return content


def _judge(path: Path) -> None:
    """Raises UsageError by the table of contents and the checksums, which torch doesn't look at."""
    with path.open("rb") as file:
        start = file.read(len(_BEFORE_1_6))
    if start == _BEFORE_1_6:
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = {entry.filename.partition("/")[2] for entry in archive.infolist()}
            small = sum(entry.file_size for entry in archive.infolist()) <= max(MOST_BYTES, path.stat().st_size)
            damaged = small and archive.testzip() is not None
    except Exception as error:  # zipfile has as many
        raise UsageError(f"{path} {_DAMAGED if start.startswith(b'PK') else _OTHER}") from error
    if not small:
        raise UsageError(f"{path} unpacks to far more bytes than it has; it {_OTHER}")
    if damaged:
        raise UsageError(f"{path} {_DAMAGED}")
    if "constants.pkl" in names:
        raise UsageError(f"{path} is a TorchScript archive; {_ALONE}")
    if "data.pkl" not in names:
        raise UsageError(f"{path} {_OTHER}")


def tensors_in(content: object) -> Iterator[tuple[tuple[str, ...], Tensor]]:
    """(keys, tensor) of every tensor in nested mappings and lists, in order; each of these is entered once."""
    waiting: list[tuple[tuple[str, ...], object]] = [((), content)]
    entered: set[int] = set()
    while waiting:
        keys, value = waiting.pop()
        if isinstance(value, Tensor):
            yield keys, value
        elif isinstance(value, Mapping | list | tuple) and id(value) not in entered:
            entered.add(id(value))
            parts = value.items() if isinstance(value, Mapping) else enumerate(value)
            waiting += reversed([((*keys, _printable(str(key))), part) for key, part in parts])


def _printable(text: str) -> str:
    """Terminal codes as text."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
