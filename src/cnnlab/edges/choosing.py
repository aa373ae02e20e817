"""From a configuration `detector=NAME` to the detector, on its device."""

import hashlib
import inspect
from typing import Any

import torch
from omegaconf import DictConfig
from torch import nn

from cnnlab._choices import UsageError
from cnnlab.cli.classes import read


def build_detector(config: DictConfig, device: torch.device) -> nn.Module:
    """The detector that `config` describes, ready to detect: `thinned(image)`, `full_scale`, and strength and
    orientation by calling it.

    One that takes a network gets the edge network that comes with cnnlab. Raises ValueError for a class that is no
    module of an allowed package, and for arguments, also a bank, that can't be.
    """
    located, values = read("detector", config, nn.Module)
    objects: dict[str, Any] = {}
    if "network" in inspect.signature(located).parameters:
        from cnnlab.nn.edge_net import pretrained

        objects["network"] = pretrained()
    try:
        detector = located(**values, **objects)
    except (TypeError, ValueError) as error:
        raise UsageError(f"detector: {error}") from error
    return detector.to(device).eval()


def find_device(name: str) -> torch.device:
    """`cpu`, `cuda`, or the better one that is here for `auto`. Raises ValueError for a GPU that isn't."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("device=cuda: torch finds no GPU here; take device=auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def fingerprint(detector: nn.Module) -> str:
    """Of the kernels and weights: changes when they do. 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in detector.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
