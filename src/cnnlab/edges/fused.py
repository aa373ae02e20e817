"""Gradient and thinning in one walk, for a kernel of 3 x 3 on one channel and a processor.

B batch, H, W image, h, w the same with its border, or a few rows of it, S rows at a time.

The walk takes a few rows at a time, so that strength and normal never leave the processor's cache: for a large image
most of the time goes into moving them. A uint8 image is computed in its own whole numbers, which float32 holds exactly,
so that what is equal in the image is equal in strength, and a tie is a tie.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cnnlab.edges.compiled import COMPILED, compiled
from cnnlab.edges.gradient import Gradient
from cnnlab.edges.pixelwise import WHITE, cut, places_in_rows, side_by_side

_PIXELS = 2**16  # of a few rows: 256 KiB of float32 in each of three fields
_MODES = {"reflect": "reflect", "replicate": "edge", "zeros": "constant", "circular": "wrap"}  # numpy's names
_LARGEST = 16  # weight in the smoothing, in whole numbers


class Taps(NamedTuple):
    """d/dx = scale x the difference of `outer`, `middle`, `outer` on both sides; whole numbers but for the scale."""

    outer: float
    middle: float
    scale: float


def small_taps(kernels: object) -> Taps | None:
    """Those of a gradient by one kernel of 3 x 3 whose smoothing is whole numbers (`sobel`, `scharr`, `prewitt`,
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
    """Whether `walked` can thin the image: one channel, on a processor, nothing traced."""
    fits = image_B1HW.shape[1] == 1 and image_B1HW.dtype in WHITE and small_taps(kernels) is not None
    return COMPILED and fits and image_B1HW.device.type == "cpu" and not torch.compiler.is_compiling()


def walked(image_B1HW: Tensor, border: str, taps: Taps, least: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each image the places y * W + x that stay, in order, and their strengths; with torch's number of threads.

    Without one operation of torch's: its own threads wait busily for the next one, and these would have to share the
    processor with them.
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


@compiled
def strips_of_rows(
    padded_hw: np.ndarray,
    ties: tuple[np.ndarray, np.ndarray, bool],
    numbers: tuple[float, float, float],
    least: float,
    top: int,
    bottom: int,
    pixels: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Places and strengths in the rows from top to before bottom, so many pixels at a time."""
    (height, width), (tie_HW, white_1, tied) = (padded_hw.shape[0] - 2, padded_hw.shape[1] - 2), ties
    step = min(max(pixels // width, 1), bottom - top)
    shape = (step + 4, width)
    strength_SW, dy_SW, dx_SW = (
        np.empty(shape, white_1.dtype),
        np.empty(shape, white_1.dtype),
        np.empty(shape, white_1.dtype),
    )
    place_N, strength_N = np.empty((bottom - top) * width, np.int64), np.empty((bottom - top) * width, white_1.dtype)
    count = 0
    for start in range(top, bottom, step):
        end = min(start + step, bottom)
        first, last = max(start - 2, 0), min(end + 2, height)  # thinning looks two rows further
        rows = last - first
        strength_hW, dy_hW, dx_hW = strength_SW[:rows], dy_SW[:rows], dx_SW[:rows]
        gradient_of_rows(padded_hw, numbers, first, last, strength_hW, dy_hW, dx_hW)
        tie_hW = (tie_HW[first:last], white_1, tied)
        found_N = places_in_rows(strength_hW, (dy_hW, dx_hW), tie_hW, least, start - first, end - first)
        for place in found_N:
            place_N[count] = place + first * width
            strength_N[count] = strength_hW[place // width, place % width]
            count += 1
    return place_N[:count].copy(), strength_N[:count].copy()


@compiled
def gradient_of_rows(
    padded_hw: np.ndarray,
    numbers: tuple[float, float, float],
    first: int,
    last: int,
    strength_hW: np.ndarray,
    dy_hW: np.ndarray,
    dx_hW: np.ndarray,
) -> None:
    """Strength, and the normal times any number, of the rows from first to before last. Compiled to vectors.

    Smoothed before it is differentiated, pairs first: the answer turns and mirrors with the image to the last bit.
    """
    outer, middle, scale = numbers
    kind, width = strength_hW.dtype.type, strength_hW.shape[1]
    smooth_w = np.empty(width + 2, strength_hW.dtype)
    for y in range(first, last):
        above_w, here_w, below_w = padded_hw[y], padded_hw[y + 1], padded_hw[y + 2]
        strength_W, dy_W, dx_W = strength_hW[y - first], dy_hW[y - first], dx_hW[y - first]
        for x in range(width + 2):
            smooth_w[x] = (kind(above_w[x]) + kind(below_w[x])) * outer + kind(here_w[x]) * middle
        for x in range(width):
            north = (kind(above_w[x]) + kind(above_w[x + 2])) * outer + kind(above_w[x + 1]) * middle
            south = (kind(below_w[x]) + kind(below_w[x + 2])) * outer + kind(below_w[x + 1]) * middle
            down, right = south - north, smooth_w[x + 2] - smooth_w[x]
            dy_W[x], dx_W[x] = down, right
            strength_W[x] = np.sqrt(down * down + right * right) * scale
