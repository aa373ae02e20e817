"""Thinning and hysteresis on a CPU by the places that stay, a few in a hundred pixels, by several threads.

B batch, H W image.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from cnnlab.edges.fast.pixelwise import places_in_rows
from cnnlab.edges.hysteresis import follow
from cnnlab.edges.thresholds import levels

Limits = tuple[str, float | None, float | None]
Result = TypeVar("Result")
WHITE = {torch.uint8: 255, torch.float32: 1, torch.float64: 1}
_ROWS = 64  # so few at least for each thread


def places_along(
    strength_B1HW: Tensor, dy_B1HW: Tensor, dx_B1HW: Tensor, tie_B1HW: Tensor | None, least: float
) -> list[np.ndarray]:
    """Of each image the places that stay, in order; with as many threads as torch uses."""
    tie_B1HW, tied = (strength_B1HW, False) if tie_B1HW is None else (tie_B1HW, True)
    fields = [field.detach().contiguous()[:, 0].numpy() for field in (strength_B1HW, dy_B1HW, dx_B1HW, tie_B1HW)]
    strength_BHW, dy_BHW, dx_BHW, tie_BHW = fields
    kind = strength_BHW.dtype.type
    white_1 = np.full(1, WHITE[tie_B1HW.dtype], kind)
    ends = cut(strength_B1HW.shape[-2])
    strips = len(ends) - 1
    jobs = [
        (strength_BHW[index], (dy_BHW[index], dx_BHW[index]), (tie_BHW[index], white_1, tied), kind(least), top, bottom)
        for index in range(len(strength_B1HW))
        for top, bottom in pairwise(ends)
    ]
    found = side_by_side(places_in_rows, jobs, strips)
    return [np.concatenate(found[start : start + strips]) for start in range(0, len(found), strips)]


def thinned_by_places(
    fields_3B1HW: tuple[Tensor, Tensor, Tensor],
    tie_B1HW: Tensor,
    damped_B1HW: Tensor,
    least: float,
    limits: Limits | None,
) -> Tensor:
    """The damped strength where the strength stays along the normal and by hysteresis, 0 elsewhere.

    Fields: strength, dy, dx. limits: kind of the thresholds, low and high, as in `thresholds.py`; None: no hysteresis.
    """
    places = places_along(*fields_3B1HW, tie_B1HW, least)
    damped_BN = damped_B1HW.contiguous().flatten(1).numpy()
    found = ((place_n, damped_N[place_n]) for place_n, damped_N in zip(places, damped_BN, strict=True))
    return spread(found, torch.zeros_like(damped_B1HW, memory_format=torch.contiguous_format), limits)


def spread(found: Iterable[tuple[np.ndarray, np.ndarray]], thin_B1HW: Tensor, limits: Limits | None) -> Tensor:
    """`thin`, full of 0, with the strengths at the places found in each image, as far as hysteresis keeps them."""
    for thin_1HW, (place_n, value_n) in zip(thin_B1HW, found, strict=True):
        value_N = torch.from_numpy(value_n)
        if limits is None or limits[:2] == ("absolute", 0):  # from 0 on: all pixels of an image are connected
            if limits is None or (levels(value_N, *limits)[1] <= value_N).any():
                thin_1HW.view(-1)[torch.from_numpy(place_n)] = value_N
            continue
        low, high = levels(value_N[value_N > 0] if limits[0] != "absolute" else value_N, *limits).numpy()
        follow(place_n, value_n, low, high, thin_1HW[0].numpy())
    return thin_B1HW


def cut(height: int) -> list[int]:
    """Where the rows of an image are cut, a part for each thread; its ends too."""
    strips = max(1, min(torch.get_num_threads(), height // _ROWS))
    return [height * strip // strips for strip in range(strips + 1)]


def side_by_side(work: Callable[..., Result], jobs: Sequence[tuple[object, ...]], threads: int) -> list[Result]:
    """`work` of each job, in order."""
    if threads == 1:
        return [work(*job) for job in jobs]
    return list(_workers(threads, os.getpid()).map(lambda job: work(*job), jobs))


@lru_cache
def _workers(threads: int, process: int) -> ThreadPoolExecutor:
    """Kept: new threads would fetch new memory, which costs half as much as the work. A forked process has none of
    its parent's threads, and makes its own."""
    return ThreadPoolExecutor(threads)
