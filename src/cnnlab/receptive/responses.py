"""The responses of one layer, from a module that is left as it was: mode, gradients, hooks and the random state.

B batch, C channel, H height, W width of images; K unit (a channel of the layer), Y and X places on the layer's map.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.receptive.capture import captured


def response_map(module: nn.Module, layer: str, image_BCHW: Tensor) -> Tensor:
    """(B, K, Y, X): the layer's first call, from (B, K) too; what follows it is not computed."""
    response = captured(module, layer, image_BCHW)
    if response.ndim not in (2, 4):
        shape = tuple(response.shape)
        raise UsageError(f"layer {layer!r} returns {shape}; valid: layers whose output is (B, K) or (B, K, Y, X)")
    return response if response.ndim == 4 else response[..., None, None]


def device_of(module: nn.Module) -> torch.device:
    return next((parameter.device for parameter in module.parameters()), torch.device("cpu"))


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """In evaluation mode, weights without gradients; everything as before afterwards, the random state too."""
    modes = {part: part.training for part in module.modules()}
    learning = {parameter: parameter.requires_grad for parameter in module.parameters()}
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=list(devices)):
        try:
            module.eval()
            for parameter in learning:
                parameter.requires_grad_(False)
            yield
        finally:
            for part, training in modes.items():
                part.training = training
            for parameter, before in learning.items():
                parameter.requires_grad_(before)
