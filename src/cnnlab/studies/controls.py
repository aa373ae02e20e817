"""Controls of structured starts: what is destroyed in the filters, and what stays. O filter, C channel, h, w kernel."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from cnnlab.studies.starts import check_free

Destroy = Callable[[Tensor, torch.Generator], Tensor]
Line = Literal["dashed", "dotted", "dashdot"]


@dataclass(frozen=True)
class Control:
    """`words` follow those of the start; `line` is how its curves are drawn; `destroy` is what it does."""

    words: str
    line: Line
    destroy: Destroy


CONTROLS: dict[str, Control] = {}


def control(words: str, line: Line = "dashdot") -> Callable[[Destroy], Destroy]:
    """Decorator: makes a function a control of the function's name, so that `jet/mine` is an arm.

    The function takes filters (O, C, h, w) float64 and a generator of the seed, and returns filters of that shape. It
    is known once its module is imported; a study imports it in each of its processes.

    Args:
        words: What it destroys, and what stays, as the page says it.
        line: How its curves are drawn: dashed, dotted or dashdot.

    Raises:
        UsageError: By the decorator: for a name that another module has taken.

    >>> @control("every kernel rotated by 90 degrees: all stays but its direction")
    ... def rotated(filter_OChw, generator):
    ...     return filter_OChw.rot90(1, (2, 3))
    """

    return partial(_register, words, line)


def _register(words: str, line: Line, destroy: Destroy) -> Destroy:
    check_free("control", destroy, {name: row.destroy for name, row in CONTROLS.items()})
    CONTROLS[destroy.__name__] = Control(words, line, destroy)
    return destroy


@control("its pixels in another order, one for the whole bank: norms, means, rank and inner products stay", "dashed")
def permuted(filter_OChw: Tensor, generator: torch.Generator) -> Tensor:
    return _reordered(filter_OChw, generator, orders=1)


@control("its pixels in another order, one for each kernel: norms and means stay", "dotted")
def shuffled(filter_OChw: Tensor, generator: torch.Generator) -> Tensor:
    return _reordered(filter_OChw, generator, orders=len(filter_OChw))


def _reordered(filter_OChw: Tensor, generator: torch.Generator, orders: int) -> Tensor:
    """The same order for all channels of a filter."""
    outputs, channels, height, width = filter_OChw.shape
    pixels = height * width
    order_OP = torch.stack([torch.randperm(pixels, generator=generator) for _ in range(orders)])
    order_OCP = order_OP[:, None].expand(outputs, channels, pixels)
    return filter_OChw.flatten(2).gather(2, order_OCP).reshape(filter_OChw.shape)
