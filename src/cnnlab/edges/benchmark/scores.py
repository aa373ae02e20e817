"""ODS, OIS, AP and R50 from counts. I image, T threshold, n any leading axes.

Martin, Fowlkes, Malik, PAMI 2004 and Arbelaez et al., PAMI 2011: counts are added up over the images before precision
and recall are taken. R50: Dollar & Zitnick, PAMI 2015.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cnnlab.edges.benchmark.counts import Counts, stacked

BETWEEN = 100  # steps from one threshold to the next in which the best F is looked for
LEVELS = np.arange(101) / 100  # recall at which precision is read for AP


class Point(NamedTuple):
    """One point of a precision-recall curve; `threshold` is None where each image has its own."""

    f: float
    precision: float
    recall: float
    threshold: float | None


@dataclass(frozen=True, eq=False)
class Scores:
    """What the benchmark says of a detector, over a set of images."""

    ods: Point  # best F with one threshold for all images
    ois: Point  # F with the best threshold of each image
    ap: float  # mean precision over recall, in which recall that isn't reached counts 0
    r50: float  # largest recall at a precision of one half
    thresholds_T: np.ndarray
    precision_T: np.ndarray
    recall_T: np.ndarray


def summarise(counts: Sequence[Counts]) -> Scores:
    """The scores over images counted at the same thresholds; ValueError if they aren't, or there are none."""
    counts_I4T = stacked(counts)
    thresholds_T = np.arange(1, counts_I4T.shape[-1] + 1) / (counts_I4T.shape[-1] + 1)
    precision_T, recall_T = precision_recall(counts_I4T.sum(axis=0))
    own_precision_1, own_recall_1 = precision_recall(own_best(counts_I4T).sum(axis=0))
    own_f = float(f_measure(own_precision_1, own_recall_1)[0])
    return Scores(
        best(precision_T, recall_T, thresholds_T),
        Point(own_f, float(own_precision_1[0]), float(own_recall_1[0]), None),
        average_precision(precision_T, recall_T),
        recall_at_half(precision_T, recall_T),
        thresholds_T,
        precision_T,
        recall_T,
    )


def precision_recall(counts_n4T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., 4, T) counts -> precision and recall (..., T); 0 where nothing was predicted or drawn."""
    hits_nT, predicted_nT, found_nT, drawn_nT = np.moveaxis(counts_n4T, -2, 0)
    return hits_nT / np.maximum(predicted_nT, 1), found_nT / np.maximum(drawn_nT, 1)


def f_measure(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """The harmonic mean, 0 where both are 0."""
    total = precision + recall
    return 2 * precision * recall / np.where(total > 0, total, 1)


def best(precision_T: np.ndarray, recall_T: np.ndarray, thresholds_T: np.ndarray) -> Point:
    """The point with the largest F, between thresholds by linear interpolation of precision and recall."""
    precision, recall, threshold = (_between(values_T) for values_T in (precision_T, recall_T, thresholds_T))
    f = f_measure(precision, recall)
    at = int(f.argmax())
    return Point(float(f[at]), float(precision[at]), float(recall[at]), float(threshold[at]))


def best_f(precision_nT: np.ndarray, recall_nT: np.ndarray) -> np.ndarray:
    """(..., T) -> (...): the F of `best` for many curves at once."""
    return f_measure(_between(precision_nT), _between(recall_nT)).max(axis=-1)


def own_best(counts_I4T: np.ndarray) -> np.ndarray:
    """(I, 4, 1): the counts of each image at its best threshold, the lowest if there are several."""
    at_I = f_measure(*precision_recall(counts_I4T)).argmax(axis=-1)
    return np.take_along_axis(counts_I4T, at_I[:, None, None], axis=-1)


def average_precision(precision_T: np.ndarray, recall_T: np.ndarray) -> float:
    """A hundredth of the sum of the precision at recall 0, 0.01, ... 1, between thresholds by linear interpolation.

    Recall below the least and above the largest that was reached counts 0: a detector with few operating points has
    a small AP. Where several thresholds reach the same recall, the lowest one's precision is taken.
    """
    reached, first = np.unique(recall_T, return_index=True)
    return float(np.interp(LEVELS, reached, precision_T[first], left=0, right=0).sum() / 100)


def recall_at_half(precision_T: np.ndarray, recall_T: np.ndarray) -> float:
    """The largest recall at a precision of 1/2, between thresholds by linear interpolation; that of the lowest
    threshold where the precision never falls so low, 0 where it is never so high."""
    high_T = precision_T >= 0.5
    if not high_T.any():
        return 0.0
    at = int(high_T.argmax())  # the lowest threshold with such a precision
    if at == 0:
        return float(recall_T[0])
    share = (0.5 - precision_T[at - 1]) / (precision_T[at] - precision_T[at - 1])
    return float(recall_T[at - 1] + share * (recall_T[at] - recall_T[at - 1]))


def _between(values_nT: np.ndarray) -> np.ndarray:
    """(..., T) -> (..., (T - 1) * BETWEEN): straight lines from each value to the next, both ends included."""
    if values_nT.shape[-1] == 1:
        return values_nT
    share = np.linspace(0, 1, BETWEEN)
    lines = values_nT[..., :-1, None] * (1 - share) + values_nT[..., 1:, None] * share
    return lines.reshape(*values_nT.shape[:-1], -1)
