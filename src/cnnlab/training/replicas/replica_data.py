"""Batches for R replicas from the loaders of their data. S stream (distinct data), B batch, C channel, H, W image."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.data.contract import Batches
from cnnlab.data.images.loader import EpochLoader

Own = TypeVar("Own")


class ReplicaLoader:
    """(image_RBCHW, label_RB) a step. Each stream is gathered and augmented once, however many replicas read it.

    `stream_R` says which loader each replica reads. The loaders are those of a separate run, so that batches and
    augmentation draws are too. Raises UsageError where they differ in the number of batches.
    """

    batch_sampler = None  # Lightning looks for it beside `sampler`

    def __init__(self, loaders: Sequence[Batches], stream_R: Sequence[int]) -> None:
        lengths = list(dict.fromkeys(len(loader) for loader in loaders))
        if len(lengths) > 1:
            raise UsageError(
                f"replicas trained together have equally many batches an epoch; got {' and '.join(map(str, lengths))}"
            )
        self._loaders = list(loaders)
        self._stream_R = torch.tensor(stream_R)
        self._as_they_come = list(stream_R) == list(range(len(loaders)))

    @property
    def sampler(self) -> "ReplicaLoader":
        """Itself: Lightning calls `loader.sampler.set_epoch(epoch)` at the start of each epoch."""
        return self

    def set_epoch(self, epoch: int) -> None:
        for loader in self._loaders:
            if isinstance(loader, EpochLoader):
                loader.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self._loaders[0])

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batches in zip(*self._loaders, strict=True):
            image_SBCHW = self._stack([image for image, _ in batches])
            yield self._spread(image_SBCHW), self._spread(self._stack([label for _, label in batches]))

    @staticmethod
    def _stack(parts: list[Tensor]) -> Tensor:
        shapes = list(dict.fromkeys(tuple(part.shape) for part in parts))
        if len(shapes) > 1:
            raise UsageError(
                f"replicas trained together have batches of one shape, got {' and '.join(map(str, shapes))}"
            )
        return torch.stack(parts)

    def _spread(self, value_S: Tensor) -> Tensor:
        """(S, ...) -> (R, ...), without a copy where that is possible."""
        if len(value_S) == 1:
            return value_S.expand(len(self._stream_R), *value_S.shape[1:])
        if self._as_they_come:
            return value_S
        self._stream_R = self._stream_R.to(value_S.device)  # moved once: a GPU waits for whatever comes to it
        return value_S.index_select(0, self._stream_R)


def streams(data: Sequence[Own]) -> tuple[list[Own], list[int]]:
    """The distinct objects, in order, and which of them each replica has."""
    distinct = {id(one): one for one in data}
    number = {key: n for n, key in enumerate(distinct)}
    return list(distinct.values()), [number[id(one)] for one in data]
