"""The tensors in what a layer returns, however it is packed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass

from torch import Tensor, nn


def named_leaves(result: object) -> list[tuple[str, object]]:
    """The tensors (and other values) of a layer's result with their paths: "0", "features", "0.scores".

    Opened are mappings, sequences, dataclasses and objects with attributes (a namespace, a distribution), each once;
    modules are not.
    """
    return [(".".join(path), leaf) for path, leaf in _walk(result, (), set())]


def _walk(value: object, path: tuple[str, ...], met: set[int]) -> Iterator[tuple[tuple[str, ...], object]]:
    entries = None if id(value) in met else _entries(value)
    if entries is None:
        yield path, value
    else:
        met.add(id(value))  # an object may hold itself
        for name, entry in entries:
            yield from _walk(entry, (*path, str(name)), met)


def _entries(value: object) -> Iterable[tuple[object, object]] | None:
    """The parts of a container with their names; None for what is none."""
    if isinstance(value, (Tensor, nn.Module, type, str, bytes)):
        return None
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, (list, tuple)):
        return zip(getattr(value, "_fields", range(len(value))), value, strict=True)
    if is_dataclass(value):
        return [(field.name, getattr(value, field.name)) for field in fields(value)]
    attributes: dict[str, object] = {} if callable(value) else getattr(value, "__dict__", {})
    return attributes.items() if attributes else None
