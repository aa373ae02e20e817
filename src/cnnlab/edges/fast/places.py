"""The places that stay when a field is thinned, by several threads. B batch, H W image."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from cnnlab.edges.fast.pixelwise import places_in_rows

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
