"""A forward pass that leaves no trace in the module: weights, buffers, mode, hooks, gradients, random numbers."""

import contextlib
import random
import sys
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.autograd.grad_mode import _unsafe_preserve_version_counter
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode

from cnnlab._choices import UsageError

_TABLES = ("_parameters", "_buffers", "_modules")


@contextlib.contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """Between, forward passes of `module` may do what they like; after, the module is as before.

    Buffers are replaced by copies and put back; attributes that forward sets are reset; what forward writes
    into a parameter is undone. The generators of torch (all devices of the module), Python and NumPy are reset.
    Raises ValueError for lazy layers: their first forward pass would make their weights.
    """
    parts = list(module.modules())
    lazy = [name for name, tensor in (*module.named_parameters(), *module.named_buffers()) if is_lazy(tensor)]
    if lazy:
        raise UsageError(f"lazy layers have no weights yet ({', '.join(lazy)}): run the network once first")
    attributes = [dict(part.__dict__) for part in parts]
    tables = [{name: dict(part.__dict__[name]) for name in _TABLES if _is_open(part, name)} for part in parts]
    parameters = list(module.parameters())
    data = [parameter.detach() for parameter in parameters]
    closed = [buffer for part in parts if not _is_open(part, "_buffers") for buffer in part.buffers(recurse=False)]
    guard = _Undo([*parameters, *closed])
    for buffer in closed:
        guard.keep(buffer)
    copies: dict[int, Tensor] = {}
    for part, entries in zip(parts, tables, strict=True):
        for name, buffer in entries.get("_buffers", {}).items():
            if buffer is not None:
                part._buffers[name] = copies.setdefault(id(buffer), buffer.detach().clone())
    # Graphs that wait for their backward pass hold weights by their version.
    counted = tuple(tensor for tensor in (*parameters, *closed) if not tensor.is_inference())
    with _unsafe_preserve_version_counter(counted):
        try:
            with _random_state(parameters), guard:
                yield
        finally:
            for part, before, entries in zip(parts, attributes, tables, strict=True):
                _reset(part.__dict__, before)
                for name, entry in entries.items():
                    _reset(part.__dict__[name], entry)
            for parameter, old in zip(parameters, data, strict=True):
                if parameter.data_ptr() != old.data_ptr() or parameter.shape != old.shape:
                    parameter.data = old
            guard.undo()


class _Undo(TorchDispatchMode):
    """Copies a tensor of the module before the first in-place write to it, also through a view."""

    def __init__(self, owners: list[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's has no annotations
        self.owners = {owner.untyped_storage()._cdata: owner for owner in owners}
        self.before: dict[int, Tensor] = {}

    def __torch_dispatch__(
        self, function: OpOverload[..., object], types: Sequence[type], args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:  # fmt: skip
        kwargs = kwargs or {}
        if function._schema.is_mutable:
            for value in (*args, *kwargs.values()):
                if isinstance(value, Tensor) and type(value) in (Tensor, nn.Parameter) and not value.is_meta:
                    self.keep(value)
        return function(*args, **kwargs)

    def keep(self, tensor: Tensor) -> None:
        key = tensor.untyped_storage()._cdata
        if key in self.owners and key not in self.before:
            self.before[key] = self.owners[key].detach().clone()

    def undo(self) -> None:
        for key, old in self.before.items():
            with torch.no_grad():
                self.owners[key].copy_(old)


def _is_open(part: nn.Module, table: str) -> bool:
    """False for scripted modules: what their tables hold can't be exchanged."""
    return isinstance(part.__dict__.get(table), dict)


@contextlib.contextmanager
def _random_state(parameters: list[nn.Parameter]) -> Iterator[None]:
    devices = {parameter.device for parameter in parameters if parameter.device.type not in ("cpu", "meta")}
    kind = next(iter(devices)).type if devices else "cuda"
    python, numpy = random.getstate(), sys.modules.get("numpy")
    legacy = numpy.random.get_state() if numpy is not None else None
    try:
        with torch.random.fork_rng([device.index or 0 for device in devices], device_type=kind):
            yield
    finally:
        random.setstate(python)
        if numpy is not None:
            numpy.random.set_state(legacy)


def _reset(table: dict[str, object], before: dict[str, object]) -> None:
    """The same keys and objects in the same dictionary, in the old order."""
    unchanged = len(table) == len(before) and all(
        mine is theirs and name is old
        for (name, mine), (old, theirs) in zip(table.items(), before.items(), strict=True)
    )
    if not unchanged:
        table.clear()
        table.update(before)
