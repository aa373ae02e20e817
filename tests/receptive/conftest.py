"""Gradients as the oracle of receptive fields. B batch, C channel, H, W image."""

import pytest
import torch
from torch import Tensor, nn


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
