"""What a training asks of a network: `forward`, and three hooks that all have defaults. K kernel, C channel."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.filters.bank import FilterBank, bank


class Hooks(Protocol):
    """What happens around the steps of a training."""

    def at_epoch(self, epoch: int) -> None:
        """Called as every training epoch starts, from 0 on, after a resume too."""

    def penalty(self) -> Tensor | None:
        """() to be added to the loss, or None."""

    def first_layer_kernels(self) -> Tensor | None:
        """(K, C, h, w): a detached copy of the weight that is recorded during training; None without one."""


class LabNetwork(nn.Module):
    """A network of the package: `Hooks` with defaults, and what it takes to build it again.

    Subclasses are final; any other `nn.Module` is as welcome, see `hooks_of`.
    """

    arguments: dict[str, object]  # of the constructor, noted by `remembers_arguments`
    bank: FilterBank | None = None
    first_layer: str | None = None  # the name of the module whose kernels are recorded
    kernel_names: Sequence[str] = ()  # what each of these kernels started as

    def at_epoch(self, epoch: int) -> None:
        """Nothing changes."""

    def penalty(self) -> Tensor | None:
        """Nothing is added to the loss."""
        return None

    def first_layer_kernels(self) -> Tensor | None:
        """Nothing is recorded."""
        return None


class PlainHooks:
    """The hooks of any module: the weight of its first convolution is recorded."""

    def __init__(self, module: nn.Module) -> None:
        self._convolution = first_convolution(module)

    def at_epoch(self, epoch: int) -> None: ...

    def penalty(self) -> Tensor | None:
        return None

    def first_layer_kernels(self) -> Tensor | None:
        return None if self._convolution is None else self._convolution.weight.detach().clone()


def as_bank(given: FilterBank | str) -> FilterBank:
    """A bank, or the expression of one."""
    return bank(given) if isinstance(given, str) else given


def first_convolution(module: nn.Module) -> nn.Conv2d | None:
    """The first in the order in which modules were registered."""
    return next((one for one in module.modules() if isinstance(one, nn.Conv2d)), None)


def hooks_of(module: nn.Module) -> Hooks:
    """Those that a network of the package declares; the defaults for any other module."""
    return module if isinstance(module, LabNetwork) else PlainHooks(module)


@torch.no_grad()
def try_out(module: nn.Module, in_channels: int, image_size: tuple[int, int]) -> object:
    """What the module gives for two black images, in evaluation mode; left in training mode. UsageError if it can't."""
    height, width = image_size
    module.eval()
    device = next(iter(module.parameters()), torch.empty(0)).device
    try:
        return module(torch.zeros(2, in_channels, height, width, device=device))
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise UsageError(f"model: images of {height}x{width}: {error}") from error
    finally:
        module.train()


def validate_network(
    module: nn.Module, in_channels: int, image_size: tuple[int, int], num_classes: int | None = None
) -> None:
    """Raises UsageError unless the module maps images (B, C, H, W) to logits (B, K), or (B, 1, H, W)."""
    height, width = image_size
    logits = try_out(module, in_channels, image_size)
    name = type(module).__name__
    if not isinstance(logits, Tensor):
        raise UsageError(f"model: {name} gives {type(logits).__name__}; a network gives a tensor of logits")
    wanted = (2, 1, height, width) if num_classes is None else (2, num_classes)
    if tuple(logits.shape) != wanted:
        made = "a boundary map" if num_classes is None else f"logits of {num_classes} classes"
        raise UsageError(
            f"model: {name} gives {tuple(logits.shape)} for 2 images of {in_channels}x{height}x{width}; "
            f"{made} would be {wanted}"
        )
    if not logits.is_floating_point():
        raise UsageError(f"model: {name} gives {logits.dtype}; logits are floating point, such as torch.float32")
