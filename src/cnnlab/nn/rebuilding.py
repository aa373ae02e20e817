"""A network from what its checkpoint says of it."""

import importlib
from typing import Any

from torch import nn

from cnnlab.filters.bank import FilterBank

NETWORKS = ("cnnlab.nn.small_cnn.SmallCNN", "cnnlab.nn.torchvision_net.TorchvisionNet")


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
        raise ValueError(f"{about['target']!r} is no network of cnnlab; known: {', '.join(NETWORKS)}")
    module, _, name = about["target"].rpartition(".")
    bank = about["bank"]
    if bank is not None:
        vectors = tuple(tuple(vector) for vector in bank["vectors"])
        bank = FilterBank(bank["kernels"], tuple(bank["names"]), bank["source"], vectors)
    return getattr(importlib.import_module(module), name)(bank=bank, **about["arguments"])
