"""Which images form which batch: a pure function of (seed, epoch, batch). N images, B batch.

Every random number of this room comes from `generator_for`, on the CPU, whatever the device of the images:
a run on a GPU draws what a run on a CPU draws.
"""

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from cnnlab._choices import UsageError

_MASK_64 = (1 << 64) - 1


class Purpose(IntEnum):
    """Keeps the random streams of one seed apart. The numbers are part of every result: never reuse one."""

    TEST = 1  # the fixed test split of `digits`
    VALIDATION = 2
    SUBSET = 3
    ORDER = 4
    AUGMENTATION = 5
    PATCHES = 6
    CORRUPTION = 7


def mixed(*values: int) -> int:
    """A 64-bit number that depends on every value and on their order (splitmix64; Steele et al. 2014).

    >>> mixed(0, 1) != mixed(1, 0)
    True
    """
    state = 0
    for value in values:
        state = (state + (value & _MASK_64) + 0x9E3779B97F4A7C15) & _MASK_64
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK_64
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK_64
        state ^= state >> 31
    return state


def generator_for(seed: int, purpose: Purpose, *position: int) -> torch.Generator:
    """A CPU generator for one purpose at one position, such as (epoch, batch)."""
    # 63 bits: manual_seed takes a signed number.
    return torch.Generator().manual_seed(mixed(seed, purpose, *position) >> 1)


@dataclass(frozen=True, eq=False)
class BatchOrder:
    """The batches of each epoch over the images `index_N` (int64) of a set.

    Training shuffles anew each epoch and leaves out the last, incomplete batch; evaluation keeps the order,
    leaves nothing out, and cuts batches of nearly equal size, none above `batch_size`. Rank r of `world_size`
    takes every `world_size`-th image from the r-th on; all ranks have equally many batches, else they would
    wait for each other for ever. Raises ValueError if there are fewer images than ranks.
    """

    index_N: Tensor
    batch_size: int
    seed: int
    training: bool
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if len(self.index_N) < self.world_size:
            raise UsageError(f"{len(self.index_N)} images cannot be shared by {self.world_size} processes")

    def __len__(self) -> int:
        """Batches per epoch and rank, at least one."""
        if self.training:
            per_rank = len(self.index_N) // self.world_size
            return per_rank // min(self.batch_size, per_rank)
        per_rank = -(-len(self.index_N) // self.world_size)
        return -(-per_rank // self.batch_size)

    def batches(self, epoch: int, device: torch.device | str = "cpu") -> tuple[Tensor, ...]:
        """The index tensors of one epoch, each (B,) int64 on `device`."""
        if not self.training:
            own_N = self.index_N[self.rank :: self.world_size]
            return own_N.to(device).tensor_split(len(self))
        generator = generator_for(self.seed, Purpose.ORDER, epoch)
        own_N = self.index_N[torch.randperm(len(self.index_N), generator=generator)[self.rank :: self.world_size]]
        size = min(self.batch_size, len(self.index_N) // self.world_size)
        return own_N[: len(self) * size].to(device).split(size)
