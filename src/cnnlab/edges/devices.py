"""Where a detector works, and what its numbers follow from."""

import hashlib

import torch
from torch import nn

from cnnlab._choices import UsageError, check_choice
from cnnlab.edges.contract import Detector

DEVICES = ("auto", "cpu", "cuda")


def on_device(detector: Detector, name: str) -> tuple[Detector, torch.device]:
    """The detector, a module put there and in evaluation mode; one that is no module works on the CPU."""
    device = find_device(name)
    if isinstance(detector, nn.Module):
        detector.to(device).eval()
        return detector, device
    return detector, torch.device("cpu")


def find_device(name: str) -> torch.device:
    """`cpu`, `cuda`, or the better one that is here for `auto`. Raises UsageError for a GPU that isn't."""
    check_choice("device", name, DEVICES)
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("device=cuda: torch finds no GPU here; take device=auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def settings_of(detector: Detector, grey: bool) -> dict[str, object]:
    """All that the numbers of a map follow from, besides the photograph."""
    return {"detector": dict(detector.settings), "grey": grey, "kernels": fingerprint(detector)}


def fingerprint(detector: Detector) -> str:
    """Of the kernels and weights of a module: changes when they do. 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in (detector.state_dict() if isinstance(detector, nn.Module) else {}).items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
