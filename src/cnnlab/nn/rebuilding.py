"""A network from what its checkpoint says of it."""

import importlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor, nn
from typing_extensions import NotRequired

from cnnlab._arguments import plain
from cnnlab._choices import UsageError
from cnnlab._targets import current_arguments
from cnnlab._torch_files import read_torch_file
from cnnlab._trust import taken, trusted_factory
from cnnlab.filters.bank import FilterBank
from cnnlab.nn.contract import LabNetwork

PACKAGE = "cnnlab.nn."


class BankRecord(TypedDict):
    """A filter bank in plain types."""

    kernels: Tensor
    names: list[str]
    source: str
    vectors: list[list[int]]


class NetworkRecord(TypedDict):
    """A checkpoint's "network": what `rebuild` needs, and what the images were like."""

    target: str  # a class of the package, a trusted factory "package:function", or "" for a module of one's own
    arguments: dict[str, object]
    bank: BankRecord | None
    mean: NotRequired[list[float]]
    std: NotRequired[list[float]]
    image_size: NotRequired[list[int]]
    class_names: NotRequired[list[str]]  # of classifiers


def describe(network: nn.Module, factory: str = "", arguments: Mapping[str, object] | None = None) -> NetworkRecord:
    """Plain types and tensors from which `rebuild` makes the network again, without a look at any data.

    `factory` and its `arguments` name where a module of one's own came from; without, it can't be rebuilt.
    """
    if not isinstance(network, LabNetwork):
        return {"target": factory, "arguments": dict(arguments or {}), "bank": None}
    return {
        "target": f"{type(network).__module__}.{type(network).__qualname__}",
        "arguments": {name: plain(value) for name, value in network.arguments.items() if name != "bank"},
        "bank": None if network.bank is None else _bank_record(network.bank),
    }


def _bank_record(bank: FilterBank) -> BankRecord:
    vectors = [list(vector) for vector in bank.vectors]
    return {"kernels": bank.kernels, "names": list(bank.names), "source": bank.source, "vectors": vectors}


def rebuild(about: NetworkRecord, trust: Collection[str] = ()) -> nn.Module:
    """The network of a checkpoint's "network" entry, with fresh weights: load its "state_dict" next.

    Raises UsageError if it names something that is no network of cnnlab, and a factory that is not trusted.
    """
    target = about["target"]
    if not target:
        raise UsageError("this network was passed in Python and can't be rebuilt: give the module, network(module=...)")
    if ":" in target:
        factory = trusted_factory(target, trust)
        made = factory(**taken(factory, about["arguments"]))
        if not isinstance(made, nn.Module):
            raise UsageError(f"{target} makes {type(made).__name__}, which is no torch.nn.Module")
        return made
    arguments = current_arguments(about["arguments"])
    if about["bank"] is not None:
        arguments["bank"] = _bank_of(about["bank"])
    return _network_class(target)(**arguments)


def _bank_of(record: BankRecord) -> FilterBank:
    vectors = tuple(tuple(vector) for vector in record["vectors"])
    return FilterBank(record["kernels"], tuple(record["names"]), record["source"], vectors)


def _network_class(target: str) -> type[LabNetwork]:
    module, _, name = target.rpartition(".")
    found = None
    if target.startswith(PACKAGE) and module.count(".") == PACKAGE.count("."):
        try:
            found = vars(importlib.import_module(module)).get(name)
        except ModuleNotFoundError:
            found = None
    if not (isinstance(found, type) and issubclass(found, LabNetwork) and found.__module__ == module):
        raise UsageError(f"{target!r} is no network of cnnlab")
    return found


def load(path: Path) -> nn.Module:
    """The network of a checkpoint, or of a file of `export`, with its weights, in evaluation mode."""
    saved = _saved(path)
    network = rebuild(saved["network"])
    network.load_state_dict(saved["state_dict"])
    return network.eval()


def export(checkpoint: Path, out: Path) -> int:
    """Strips the checkpoint of a run to what `load` needs, without the optimizer. Returns the size in bytes."""
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(_saved(checkpoint), out)
    return out.stat().st_size


class _Saved(TypedDict):
    network: NetworkRecord
    state_dict: dict[str, Tensor]


def _saved(path: Path) -> _Saved:
    saved = read_torch_file(path)
    if not isinstance(saved, dict) or not {"network", "state_dict"} <= set(saved):
        raise UsageError(f"{path} is no checkpoint of cnnlab: it has no 'network' and 'state_dict'")
    return {"network": saved["network"], "state_dict": saved["state_dict"]}
