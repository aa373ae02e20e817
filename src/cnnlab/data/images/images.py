"""A set of images at rest, in memory or in files, behind one face. N images, M some of them, C H W as ever.

Both kinds have `shape` (C, H, W), `class_names` (K), `label_N` int64, `skipped` (files left out),
`read(index_M)`, `totals(index_M)`, and are map-style datasets of (image_CHW uint8, label).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.data.photographs.decode import decode


@dataclass(frozen=True, eq=False)
class TensorImages:
    """All images in one uint8 tensor."""

    image_NCHW: Tensor
    label_N: Tensor
    class_names: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of every image."""
        _, channels, height, width = self.image_NCHW.shape
        return channels, height, width

    def __len__(self) -> int:
        return len(self.label_N)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.image_NCHW[index], self.label_N[index]

    def to(self, device: torch.device) -> "TensorImages":
        """The same set with its pixels and labels on `device`."""
        return replace(self, image_NCHW=self.image_NCHW.to(device), label_N=self.label_N.to(device))

    def read(self, index_M: Tensor) -> Tensor:
        """The chosen images, (M, C, H, W) uint8."""
        return self.image_NCHW[index_M]

    def totals(self, index_M: Tensor) -> tuple[Tensor, Tensor]:
        """Per channel, the sum and the sum of squares of the chosen images' pixels, (C,) int64: exact."""
        value = torch.arange(256)
        count_CV = torch.zeros(self.shape[0], 256, dtype=torch.int64)
        # By histogram: pixels have 256 values, so nothing larger than a chunk of bytes is made.
        for chunk_M in index_M.split(4096):
            channels = self.image_NCHW[chunk_M].transpose(0, 1).flatten(1)
            count_CV += torch.stack([torch.bincount(channel, minlength=256) for channel in channels])
        return (count_CV * value).sum(1), (count_CV * value**2).sum(1)


@dataclass(frozen=True, eq=False)
class FolderImages:
    """Images that stay in their files and are decoded when asked for."""

    paths: tuple[Path, ...]
    label_N: Tensor
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    sum_NC: Tensor  # of each image's pixels, int64, found when the files were checked
    square_NC: Tensor  # of each image's squared pixels
    threads: int
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self._image(int(index)), self.label_N[index]

    def read(self, index_M: Tensor) -> Tensor:
        """The chosen images, (M, C, H, W) uint8, decoded in parallel."""
        with ThreadPoolExecutor(self.threads) as pool:
            return torch.stack(list(pool.map(self._image, index_M.tolist())))

    def totals(self, index_M: Tensor) -> tuple[Tensor, Tensor]:
        """Per channel, the sum and the sum of squares of the chosen images' pixels, (C,) int64: exact."""
        return self.sum_NC[index_M].sum(0), self.square_NC[index_M].sum(0)

    def _image(self, index: int) -> Tensor:
        channels, height, width = self.shape
        array_HWC = decode(self.paths[index], (height, width), channels)
        return torch.from_numpy(array_HWC.transpose(2, 0, 1).copy())  # Pillow's array can't be written to


Images = TensorImages | FolderImages


def mean_and_std(images: Images, index_M: Tensor) -> tuple[Tensor, Tensor]:
    """Per channel over all pixels of the chosen images, in [0, 1], (C,) float64; std divides by the count.

    A channel that never changes has std 1, so that normalising it gives 0 and not a division by 0.
    """
    _, height, width = images.shape
    pixels = len(index_M) * height * width
    sum_C, square_C = images.totals(index_M)
    mean_C = sum_C.double() / pixels
    # Exact whole numbers before the one subtraction that could cancel: pixels * squares - sum^2.
    spread = [pixels * square - total**2 for total, square in zip(sum_C.tolist(), square_C.tolist(), strict=True)]
    std_C = torch.tensor(spread, dtype=torch.float64).sqrt() / pixels
    return mean_C / 255, torch.where(std_C > 0, std_C / 255, 1.0)


def patches(images: Images, index_M: Tensor, size: int, count: int, generator: torch.Generator) -> Tensor:
    """Random square windows of the chosen images, (count, C, size, size) float32 in [0, 1], with replacement.

    Raises ValueError if `size` is not from 1 to the shorter side of the images.
    """
    channels, height, width = images.shape
    if not 1 <= size <= min(height, width):
        raise UsageError(f"patches of {size}x{size} from images of {height}x{width}: 1 to {min(height, width)}")
    chosen = index_M[torch.randint(len(index_M), (count,), generator=generator)]
    top = torch.randint(height - size + 1, (count,), generator=generator)
    left = torch.randint(width - size + 1, (count,), generator=generator)
    within = torch.arange(size)
    out = torch.empty(count, channels, size, size)
    for part in torch.arange(count).split(1024):  # so that large images are not all in memory at once
        image_PCHW = images.read(chosen[part])
        row = (top[part, None] + within)[:, None, :, None]
        column = (left[part, None] + within)[:, None, None, :]
        one = torch.arange(len(part))[:, None, None, None]
        out[part] = image_PCHW[one, torch.arange(channels)[:, None, None], row, column] / 255
    return out
