"""Gradient and thinning in one walk, for a kernel of 3 x 3 on one channel and a CPU.

B batch, H, W image, h, w the same with its border, or a few rows of it, S rows at a time.

The walk takes a few rows at a time, so that strength and normal never leave the CPU's cache: for a large image
most of the time goes into moving them. A uint8 image is computed in its own integers, which float32 holds exactly,
so that what is equal in the image is equal in strength, and a tie is a tie.
"""

from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from cnnlab._compiled import COMPILED
from cnnlab.edges.fast.pixelwise import strips_of_rows
from cnnlab.edges.fast.places import WHITE, cut, side_by_side
from cnnlab.edges.gradient import Gradient

_PIXELS = 2**16  # of a few rows: 256 KiB of float32 in each of three fields
_MODES: dict[str, Literal["reflect", "edge", "constant", "wrap"]] = {  # numpy's names
    "reflect": "reflect", "replicate": "edge", "zeros": "constant", "circular": "wrap",
}  # fmt: skip
_LARGEST = 16  # weight in the smoothing, in integers


class Taps(NamedTuple):
    """d/dx = scale x the difference of `outer`, `middle`, `outer` on both sides; integers but for the scale."""

    outer: float
    middle: float
    scale: float


def small_taps(kernels: object) -> Taps | None:
    """Those of a gradient by one kernel of 3 x 3 whose smoothing is integers (`sobel`, `scharr`, `prewitt`,
    `central`); None of anything else."""
    if not isinstance(kernels, Gradient) or len(kernels.taps) != 1:
        return None
    difference_n, smoothing_n = kernels.taps[0]
    if len(difference_n) != 3 or difference_n[1] != 0:
        return None
    for parts in range(1, 2 * _LARGEST + 1):
        outer, middle = smoothing_n[0] * parts, smoothing_n[1] * parts
        if max(abs(outer - round(outer)), abs(middle - round(middle))) < 1e-6 and max(outer, middle) <= _LARGEST:
            return Taps(round(outer), round(middle), difference_n[2] / parts)
    return None


def fusible(image_B1HW: Tensor, kernels: object) -> bool:
    """Whether `walked` can thin the image: one channel, on the CPU, nothing traced."""
    fits = image_B1HW.shape[1] == 1 and image_B1HW.dtype in WHITE and small_taps(kernels) is not None
    return COMPILED and fits and image_B1HW.device.type == "cpu" and not torch.compiler.is_compiling()


def walked(image_B1HW: Tensor, border: str, taps: Taps, least: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each image the places y * W + x that stay, in order, and their strengths; with torch's number of threads.

    Without one operation of torch's: its own threads wait busily for the next one, and these would have to share the
    CPU with them.
    """
    white = WHITE[image_B1HW.dtype]
    kind = np.float64 if image_B1HW.dtype == torch.float64 else np.float32
    numbers = kind(taps.outer), kind(taps.middle), kind(taps.scale / white)
    tie_BHW = np.ascontiguousarray(image_B1HW.detach()[:, 0].numpy())
    padded_Bhw = np.pad(tie_BHW, ((0, 0), (1, 1), (1, 1)), mode=_MODES[border])
    white_1, ends = np.full(1, white, kind), cut(image_B1HW.shape[-2])
    jobs = [
        (padded_hw, (tie_HW, white_1, True), numbers, kind(least), top, bottom, _PIXELS)
        for padded_hw, tie_HW in zip(padded_Bhw, tie_BHW, strict=True)
        for top, bottom in pairwise(ends)
    ]
    strips = len(ends) - 1
    found = side_by_side(strips_of_rows, jobs, strips)
    parts = [zip(*found[start : start + strips], strict=True) for start in range(0, len(found), strips)]
    return [(np.concatenate(places), np.concatenate(strengths)) for places, strengths in parts]
