"""Random numbers of a batch, image by image. B batch, C channel, H height, W width.

What an image draws depends on the seed, the corruption and its own index, on nothing else: not on the batch it comes
in, the device, or the severity. So every network sees the same noise, and a higher severity is the same noise grown.
"""

from collections.abc import Sequence
from zlib import crc32

import torch
from torch import Tensor

from cnnlab.data.images.order import Purpose, generator_for


class Draws:
    """One generator an image, on the CPU; what it gives is moved to where `like` is, in its dtype."""

    def __init__(self, seed: int, name: str, index_B: Tensor | Sequence[int], like: Tensor) -> None:
        """index_B: the number of each image in its set."""
        key = crc32(name.encode())
        self._generators = [generator_for(seed, Purpose.CORRUPTION, key, int(index)) for index in index_B]
        self._like = like

    def normal(self, *shape: int) -> Tensor:
        """(B, *shape) with mean 0 and standard deviation 1."""
        return self._stacked([torch.randn(shape, generator=generator) for generator in self._generators])

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """(B, *shape) from `low` to `high`."""
        share = self._stacked([torch.rand(shape, generator=generator) for generator in self._generators])
        return low + (high - low) * share

    def sign(self, *shape: int) -> Tensor:
        """(B, *shape) of -1 and 1, equally often."""
        return torch.where(self.uniform(0, 1, *shape) < 0.5, -1.0, 1.0).to(self._like)

    def poisson(self, rate_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) counts with the given rates."""
        pairs = zip(rate_BCHW.cpu(), self._generators, strict=True)
        return self._stacked([torch.poisson(rate_CHW, generator=generator) for rate_CHW, generator in pairs])

    def _stacked(self, parts: list[Tensor]) -> Tensor:
        return torch.stack(parts).to(self._like)
