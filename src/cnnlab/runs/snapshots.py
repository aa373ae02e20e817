"""The kernels of a run, kept at its start and after every epoch. K kernels, C channels, h height, w width."""

import io
from pathlib import Path

import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab._files import write_bytes

KERNELS = "kernels"


def write_snapshot(folder: Path, epoch: int, kernels_KChw: Tensor) -> None:
    """`epoch_0000.pt` ..., float32."""
    folder.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    torch.save(kernels_KChw.detach().float().cpu().contiguous().clone(), content)
    write_bytes(folder / f"epoch_{epoch:04d}.pt", content.getbuffer())


def read_snapshots(folder: Path) -> dict[int, Tensor]:
    """Epoch -> kernels (K, C, h, w) float32, in order; {} where there are none. UsageError for a damaged file."""
    found = {}
    for file in sorted(folder.glob("epoch_*.pt")):
        try:
            kernels_KChw = torch.load(file, weights_only=True)
            epoch = int(file.stem.removeprefix("epoch_"))
        except Exception as error:  # torch has many words for a broken file
            reason = (str(error) or type(error).__name__).splitlines()[0].partition(". ")[0]
            raise UsageError(f"{file} can't be read: {reason}") from error
        if not isinstance(kernels_KChw, Tensor) or kernels_KChw.ndim != 4:
            raise UsageError(f"{file} holds no kernels")
        found[epoch] = kernels_KChw
    return found
