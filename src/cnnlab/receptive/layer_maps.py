"""A layer's output as a map of units, and the energy of many of its units in one pass.

U units, N images, B = U * N, C channel, H, W image, i, j unit, K whatever else the layer has.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cnnlab.receptive.capture import captured
from cnnlab.receptive.field import ReceptiveField


def unit_energy(
    network: nn.Module, name: str, field: ReceptiveField, image_NCHW: Tensor, units: Sequence[tuple[int, int]]
) -> Tensor | None:
    """(U, H, W) float64: of each unit what `receptive.effective_field` calls heat, all in one pass.

    The network must be in eval mode, so that no image sees another. None where the layer's output has no map.
    """
    assert not network.training, "images of a batch see each other in train mode"
    count = len(image_NCHW)
    image_BCHW = image_NCHW.repeat(len(units), 1, 1, 1).requires_grad_()
    with torch.enable_grad():
        output_BijK = layer_map(network, name, field, image_BCHW)
        if output_BijK is None:
            return None
        seen = [output_BijK[u * count : (u + 1) * count, i, j].sum() for u, (i, j) in enumerate(units)]
        (gradient_BCHW,) = torch.autograd.grad(torch.stack(seen).sum(), image_BCHW)
    return gradient_BCHW.double().square().sum(1).unflatten(0, (len(units), count)).mean(1)


def layer_map(network: nn.Module, name: str, field: ReceptiveField, image_BCHW: Tensor) -> Tensor | None:
    """(B, i, j, K); None where the batch is not the first axis of what the layer returns."""
    assert field.map_dims is not None
    assert field.grid is not None
    output, batch = captured(network, name, image_BCHW), len(image_BCHW)
    first, second = field.map_dims
    if output.shape[0] != batch or first == 0:
        return None
    if first == second:
        if output.shape[first] != field.grid[0] * field.grid[1]:
            return None
        output, second = output.unflatten(first, field.grid), first + 1
    return output.movedim((first, second), (1, 2)).reshape(batch, *field.grid, -1)
