"""How far scores would change with other images of the kind. I image, T threshold, B resample.

Images are drawn with replacement, as many as there are (Efron & Tibshirani 1993, the percentile interval). Detectors
that saw the same images are compared on the same resamples, so what makes an image hard for both cancels out.
"""

from collections.abc import Sequence

import numpy as np

from cnnlab._choices import UsageError
from cnnlab.edges.benchmark.counts import Counts, stacked
from cnnlab.edges.benchmark.scores import average_precision, best_f, own_best, precision_recall, recall_at_half

SCORES = ("ods", "ois", "ap", "r50")
AT_ONCE = 50  # resamples whose curves are in memory together


def draws(images: int, resamples: int, seed: int) -> np.ndarray:
    """(B, I) int64: how often each image is in each resample; the rows sum to `images`."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(images, np.full(images, 1 / images), size=resamples)


def resampled(counts: Sequence[Counts], draws_BI: np.ndarray) -> dict[str, np.ndarray]:
    """Each of SCORES for every resample, (B,) float64.

    Raises ValueError for counts that don't go together, and draws of another number of images.
    """
    counts_I4T = stacked(counts)
    if draws_BI.shape[1:] != (len(counts_I4T),):
        raise UsageError(f"draws of {draws_BI.shape[1:]} images for counts of {len(counts_I4T)}")
    parts = [_scores(counts_I4T, part) for part in np.split(draws_BI, range(AT_ONCE, len(draws_BI), AT_ONCE))]
    return {name: np.concatenate([part[name] for part in parts]) for name in SCORES}


def interval(values_B: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The middle `level` of the values."""
    low, high = np.quantile(values_B, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _scores(counts_I4T: np.ndarray, draws_BI: np.ndarray) -> dict[str, np.ndarray]:
    precision_BT, recall_BT = precision_recall(np.tensordot(draws_BI, counts_I4T, axes=1))
    own_BT = precision_recall(np.tensordot(draws_BI, own_best(counts_I4T), axes=1))
    curves = list(zip(precision_BT, recall_BT, strict=True))
    return {
        "ods": best_f(precision_BT, recall_BT),
        "ois": best_f(*own_BT),
        "ap": np.array([average_precision(*curve) for curve in curves]),
        "r50": np.array([recall_at_half(*curve) for curve in curves]),
    }
