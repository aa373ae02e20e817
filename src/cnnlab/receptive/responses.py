"""The answers of one layer, from a module that is left as it was: mode, gradients, hooks and the random state.

B batch, C channel, H height, W width of images; K unit (a channel of the layer), Y and X places on the layer's map.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from difflib import get_close_matches

import torch
from torch import Tensor, nn

from cnnlab._choices import UsageError


class _Reached(Exception):  # noqa: N818 - not an error: it ends the forward pass
    """The layer has answered."""


def forward(module: nn.Module, image_BCHW: Tensor) -> None:
    """Up to the recorded layer and no further: what lies behind it is most of the work."""
    with suppress(_Reached):
        module(image_BCHW)


def map_of(answers: list, layer: str) -> Tensor:
    """(B, K, Y, X) of the layer's call, from (B, K) too; empties the list."""
    shape = tuple(getattr(answers[-1], "shape", ())) if answers else None
    if shape is None or len(shape) not in (2, 4):
        problem = "is not called in the forward pass" if shape is None else f"must answer (B, K, ...), got {shape}"
        raise UsageError(f"layer {layer!r} {problem}; valid: layers whose output is (B, K) or (B, K, Y, X)")
    answer = answers[-1]
    answers.clear()
    return answer if answer.ndim == 4 else answer[..., None, None]


def device_of(module: nn.Module) -> torch.device:
    return next((parameter.device for parameter in module.parameters()), torch.device("cpu"))


@contextmanager
def recorded(module: nn.Module, layer: str) -> Iterator[list[Tensor]]:
    """The output of the layer's first call, at which the forward pass ends."""
    layers = dict(module.named_modules())
    if layer not in layers:
        known = [name for name in layers if name]
        near = get_close_matches(layer, known, n=1)
        hint = f", did you mean {near[0]!r}?" if near else "."
        raise UsageError(f"the module has no layer {layer!r}{hint} Known: {', '.join(known)}")
    answers: list = []

    def record(_module: nn.Module, _given: tuple, answer: object) -> None:
        if isinstance(answer, Mapping):  # several named results: the first is the one that the layer computes
            answer = next(iter(answer.values()))
        answers.append(answer)
        raise _Reached

    handle = layers[layer].register_forward_hook(record)
    try:
        yield answers
    finally:
        handle.remove()


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """In evaluation mode, weights without gradients; everything as before afterwards, the random state too."""
    modes = {one: one.training for one in module.modules()}
    wanted = {parameter: parameter.requires_grad for parameter in module.parameters()}
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=list(devices)):
        try:
            module.eval()
            for parameter in wanted:
                parameter.requires_grad_(False)
            yield
        finally:
            for one, training in modes.items():
                one.training = training
            for parameter, before in wanted.items():
                parameter.requires_grad_(before)
