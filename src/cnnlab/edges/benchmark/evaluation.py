"""The Berkeley boundary benchmark for one image. A annotator, H height, W width, T threshold.

Martin, Fowlkes, Malik: Learning to Detect Natural Image Boundaries, PAMI 2004; Arbelaez et al., PAMI 2011.
"""

import math

import numpy as np

from cnnlab._choices import UsageError
from cnnlab.edges.benchmark.counts import Counts
from cnnlab.edges.benchmark.matching import Drawing, matched, prepare
from cnnlab.edges.benchmark.skeleton import thinned

THRESHOLDS = 99
TOLERANCE = 0.0075  # of the image's diagonal


def evaluate_map(
    strength_HW: np.ndarray,
    boundaries_AHW: np.ndarray,
    thresholds: int = THRESHOLDS,
    tolerance: float = TOLERANCE,
    thin: bool = True,
) -> Counts:
    """Count a predicted map against the drawings of its image.

    strength_HW: (H, W) in [0, 1]; a pixel is predicted at threshold t if its strength is at least t.
    boundaries_AHW: (A, H, W) bool, taken as they are. thresholds: how many, k / (thresholds + 1) for k = 1, 2, ...
    tolerance: the largest distance between partners, as a fraction of the diagonal. thin: whether the predicted
    pixels are thinned, at each threshold anew. Raises ValueError for sizes that differ and strengths outside [0, 1].
    """
    _check(strength_HW, boundaries_AHW, thresholds)
    drawings = [prepare(drawn_HW, tolerance * math.hypot(*drawn_HW.shape)) for drawn_HW in boundaries_AHW]
    counted: list[tuple[int, int, int]] = []
    before = -1
    for step in range(1, thresholds + 1):
        predicted_HW = strength_HW >= step / (thresholds + 1)
        pixels = int(predicted_HW.sum())
        # The maps of rising thresholds lie inside of one another: as many pixels are the same pixels.
        counted.append(counted[-1] if pixels == before else count(predicted_HW, drawings, thin))
        before = pixels
    hits_T, predicted_T, found_T = np.array(counted, dtype=np.int64).T
    return Counts(hits_T, predicted_T, found_T, np.full(thresholds, boundaries_AHW.sum(), dtype=np.int64))


def evaluate_people(boundaries_AHW: np.ndarray, tolerance: float = TOLERANCE) -> Counts:
    """How far the annotators agree: each one's drawing as the prediction, against those of all the others.

    Returns counts at one threshold, summed over the annotators. Raises ValueError for fewer than two.
    """
    if len(boundaries_AHW) < 2:
        raise UsageError(f"annotators can be compared where there are at least two; got {len(boundaries_AHW)}")
    drawings = [prepare(drawn_HW, tolerance * math.hypot(*drawn_HW.shape)) for drawn_HW in boundaries_AHW]
    total = np.zeros(4, dtype=np.int64)
    for one, drawn_HW in enumerate(boundaries_AHW):
        others = drawings[:one] + drawings[one + 1 :]
        total += [*count(drawn_HW, others, thin=True), sum(other.columns for other in others)]
    return Counts(*total[:, None])


def count(predicted_HW: np.ndarray, drawings: list[Drawing], thin: bool) -> tuple[int, int, int]:
    """Of a map (H, W) bool: the predicted pixels with a partner in any drawing, all of them, and the drawn pixels
    with a partner, summed over the drawings."""
    if thin:
        predicted_HW = thinned(predicted_HW)
    hit_HW = np.zeros_like(predicted_HW)
    found = 0
    for drawing in drawings:
        partnered_HW, _ = matched(predicted_HW, drawing)
        hit_HW |= partnered_HW
        found += int(partnered_HW.sum())
    return int(hit_HW.sum()), int(predicted_HW.sum()), found


def _check(strength_HW: np.ndarray, boundaries_AHW: np.ndarray, thresholds: int) -> None:
    if boundaries_AHW.ndim != 3 or boundaries_AHW.dtype != bool or not len(boundaries_AHW):
        raise UsageError(f"drawings are (A, H, W) bool; got {boundaries_AHW.dtype} of shape {boundaries_AHW.shape}")
    if strength_HW.shape != boundaries_AHW.shape[1:]:
        sizes = ("x".join(map(str, shape)) for shape in (strength_HW.shape, boundaries_AHW.shape[1:]))
        raise UsageError("the prediction is {}, the drawings are {} (height x width)".format(*sizes))
    if not ((strength_HW >= 0) & (strength_HW <= 1)).all():  # NaN is neither
        raise UsageError(f"strengths lie in [0, 1]; got {strength_HW.min():g} to {strength_HW.max():g}")
    if thresholds < 1:
        raise UsageError(f"thresholds={thresholds}: 1 or more")
