"""How many replicas fit into memory. B batch, C channel, H, W image."""

import copy
import ctypes
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

SHARE = 0.5  # of the free memory; the rest is for the images, the libraries' workspace and everybody else
# On a CPU a larger group gains no more: beyond this its activations go to and from memory in every layer. Measured:
# digits in batches of 64 are fastest in groups of 16, those of 32 lose a tenth.
CPU_ENOUGH = 160 * 2**20
PER_WEIGHT = 4  # the weight, its gradient and up to two moments of an optimizer
PER_SAVED = 2  # what the backward pass needs, and as much again for gradients and the folding of layouts


def replicas_that_fit(network: nn.Module, batch_shape: Sequence[int], device: torch.device | str = "cpu") -> int:
    """At least 1. From the tensors that one forward of one replica keeps for its backward, at `batch_shape`
    (B, C, H, W), and the memory that is free on `device` now; on a CPU no more than gain by it."""
    device = torch.device(device)
    allowed = free_bytes(device) * SHARE
    if device.type == "cpu":
        allowed = min(allowed, CPU_ENOUGH)
    return max(1, int(allowed / replica_bytes(network, batch_shape)))


def replica_bytes(network: nn.Module, batch_shape: Sequence[int]) -> int:
    """Bytes that one replica takes in training. The network is copied and stays as it is."""
    network = copy.deepcopy(network).cpu().train()
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    state = sum(p.nbytes for p in network.parameters()) * PER_WEIGHT + sum(b.nbytes for b in network.buffers())
    dtype = next(network.parameters()).dtype
    with torch.random.fork_rng(devices=[]), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = network(torch.zeros(*batch_shape, dtype=dtype))
    assert logits.requires_grad, "nothing trains"
    return state + PER_SAVED * sum(kept.values())


def free_bytes(device: torch.device) -> int:
    """Of the GPU, or what the system and the limit of a container leave to this process."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free = [_available(), _left_in_container()]
    known = [value for value in free if value is not None]
    return min(known) if known else 2 * 2**30  # an old system or another one: a modest guess


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None


def _left_in_container() -> int | None:
    folder = Path("/sys/fs/cgroup")
    try:
        limit, used = ((folder / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        return None if limit == "max" else max(0, int(limit) - int(used))
    except (OSError, ValueError):
        return None


def release_memory() -> None:
    """To the system what the process has freed. Groups of several shapes break glibc's heap into pieces that it keeps:
    a process of a study grew from 0.7 to 3.3 GB so.

    Python's collector is not called: a signal that comes while it runs finalizers raises there, and is lost.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return  # another C library, which has no such call or no need of it
