"""Two oracles of receptive fields: gradients, and pixels that are not numbers. B batch, C channel, H, W image."""

import contextlib

import pytest
import torch
from torch import Tensor, nn

from cnnlab.receptive import ReceptiveField


@pytest.fixture(scope="session")
def support():
    """(top, left, bottom, right) of the pixels with a gradient of unit (i, j) above a share of the largest."""
    return _support


def _support(
    network: nn.Module, image_BCHW: Tensor, i: int, j: int, above: float = 0.0
) -> tuple[int, int, int, int] | None:
    image_BCHW = image_BCHW.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(network(image_BCHW)[:, :, i, j].sum(), image_BCHW)
    size_HW = gradient.abs().sum(dim=(0, 1))
    rows, columns = (size_HW > above * size_HW.max()).nonzero().unbind(dim=1)
    if len(rows) == 0:
        return None
    return int(rows.min()), int(columns.min()), int(rows.max()), int(columns.max())


@pytest.fixture(scope="session")
def betrayed():
    """The units that are not finite, or not what they were, when all pixels outside of their boxes are NaN.

    Looked at are a row and a column of units through the middle of the map and the map's first row.
    """
    return _betrayed


@torch.no_grad()
def _betrayed(network: nn.Module, field: ReceptiveField, shape: tuple[int, int, int]) -> list[tuple[int, int]]:
    network = network.double().eval()
    image = torch.rand(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    height, width = field.grid
    units = {(i, width // 2) for i in range(height)} | {(i, j) for i in (0, height // 2) for j in range(width)}
    wrong = []
    with torch.backends.mkldnn.flags(enabled=False, allow_tf32=None):
        expected = _as_map(network(image), field)
        for some in torch.tensor(sorted(units)).split(16):
            blind = torch.cat([_blinded(image, field, i, j) for i, j in some.tolist()])
            response = _as_map(network(blind), field)
            for one, (i, j) in zip(response, some.tolist(), strict=True):
                if not torch.allclose(one[..., i, j], expected[0, ..., i, j], rtol=1e-12, atol=1e-12):
                    wrong.append((i, j))
    return wrong


def _as_map(output: Tensor, field: ReceptiveField) -> Tensor:
    """h and w last, also of a sequence of tokens."""
    rows, columns = field.map_dims
    if rows == columns:
        output, columns = output.unflatten(rows, field.grid), rows + 1
    return output.movedim((rows, columns), (-2, -1))


def _blinded(image: Tensor, field: ReceptiveField, i: int, j: int) -> Tensor:
    blind = torch.full_like(image, torch.nan)
    with contextlib.suppress(ValueError):  # a unit of a gap or a border sees nothing
        box = field.clipped(i, j, *image.shape[2:])
        inside = (..., slice(box.top, box.bottom + 1), slice(box.left, box.right + 1))
        blind[inside] = image[inside]
    return blind
