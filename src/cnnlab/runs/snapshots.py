"""The kernels of a run, kept at its start and after every epoch. K kernels, C channels, h height, w width."""

import io
from pathlib import Path

import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab._files import write_bytes
from cnnlab._torch_files import read_torch_file

KERNELS = "kernels"


def write_snapshot(folder: Path, epoch: int, kernels_KChw: Tensor) -> None:
    """`epoch_0000.pt` ..., float32."""
    folder.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    torch.save(kernels_KChw.detach().float().cpu().contiguous().clone(), content)
    write_bytes(folder / f"epoch_{epoch:04d}.pt", content.getbuffer())


def read_snapshots(folder: Path) -> dict[int, Tensor]:
    """Epoch -> kernels (K, C, h, w) float32, in order; {} where there are none. UsageError for a damaged file."""
    snapshots = {}
    for file in folder.glob("epoch_*.pt"):
        kernels_KChw, epoch = read_torch_file(file), file.stem.removeprefix("epoch_")
        if not isinstance(kernels_KChw, Tensor) or kernels_KChw.ndim != 4 or not epoch.isdecimal():
            raise UsageError(f"{file} holds no kernels of an epoch")
        snapshots[int(epoch)] = kernels_KChw
    return dict(sorted(snapshots.items()))
