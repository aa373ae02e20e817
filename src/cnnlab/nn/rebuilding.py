"""A network from what its checkpoint says of it."""

import importlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cnnlab._choices import UsageError
from cnnlab.filters.bank import FilterBank

NETWORKS = (
    "cnnlab.nn.small_cnn.SmallCNN",
    "cnnlab.nn.torchvision_net.TorchvisionNet",
    "cnnlab.nn.edge_net.EdgeNet",
)


def describe(target: str, arguments: dict[str, Any], bank: FilterBank | None) -> dict[str, Any]:
    """Plain types and tensors from which `rebuild` makes the network again, without a look at any data."""
    plain = None
    if bank is not None:
        plain = {
            "kernels": bank.kernels,
            "names": list(bank.names),
            "source": bank.source,
            "vectors": [list(vector) for vector in bank.vectors],
        }
    return {"target": target, "arguments": arguments, "bank": plain}


def rebuild(about: dict[str, Any]) -> nn.Module:
    """The network of a checkpoint's "network" entry, with fresh weights: load its "state_dict" next.

    Raises ValueError if it names something that is no network of cnnlab.
    """
    if about["target"] not in NETWORKS:
        raise UsageError(f"{about['target']!r} is no network of cnnlab; known: {', '.join(NETWORKS)}")
    module, _, name = about["target"].rpartition(".")
    bank = about["bank"]
    if bank is not None:
        vectors = tuple(tuple(vector) for vector in bank["vectors"])
        bank = FilterBank(bank["kernels"], tuple(bank["names"]), bank["source"], vectors)
    return getattr(importlib.import_module(module), name)(bank=bank, **about["arguments"])


def load(path: Path) -> nn.Module:
    """The network of a checkpoint, or of a file of `export`, with its weights, in evaluation mode."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    network = rebuild(saved["network"])
    network.load_state_dict(saved["state_dict"])
    return network.eval()


def export(checkpoint: Path, out: Path) -> int:
    """Strips the checkpoint of a run to what `load` needs, without the optimizer. Returns the size in bytes."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"network": saved["network"], "state_dict": saved["state_dict"]}, out)
    return out.stat().st_size
