"""What the benchmark counts in an image, threshold by threshold. T threshold, I image."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from cnnlab._choices import UsageError


@dataclass(frozen=True, eq=False)
class Counts:
    """Pixels at each of T thresholds, (T,) int64. Those of several images add up."""

    hits_T: np.ndarray  # predicted pixels that have a partner in the drawing of at least one annotator
    predicted_T: np.ndarray  # predicted pixels, after thinning
    found_T: np.ndarray  # drawn pixels that have a partner, summed over annotators
    drawn_T: np.ndarray  # drawn pixels, summed over annotators

    def plain(self) -> dict[str, list[int]]:
        """For JSON. `Counts.of` reads it."""
        return {field.name: getattr(self, field.name).tolist() for field in fields(self)}

    @classmethod
    def of(cls, plain: dict[str, list[int]]) -> "Counts":
        """Raises ValueError if these are no counts: other names, lengths or values."""
        names = [field.name for field in fields(cls)]
        if not isinstance(plain, dict) or sorted(plain) != sorted(names):
            raise UsageError(f"no counts: expected {', '.join(names)}")
        columns = [np.array(plain[name]) for name in names]
        if any(column.ndim != 1 or column.dtype.kind != "i" or len(column) != len(columns[0]) for column in columns):
            raise UsageError("no counts: expected lists of integers of one length")
        hits_T, predicted_T, found_T, drawn_T = columns
        if (hits_T > predicted_T).any() or (found_T > drawn_T).any() or min(map(np.min, columns), default=0) < 0:
            raise UsageError("no counts: more pixels have partners than there are")
        return cls(*columns)


def stacked(counts: Sequence[Counts]) -> np.ndarray:
    """(I, 4, T) int64: hits, predicted, found, drawn of each image.

    Raises ValueError for no images, and for images with different numbers of thresholds.
    """
    lengths = sorted({len(one.hits_T) for one in counts})
    if len(lengths) != 1:
        raise UsageError(f"counts of images at the same thresholds are wanted; got {lengths or 'no image'}")
    return np.stack([[one.hits_T, one.predicted_T, one.found_T, one.drawn_T] for one in counts])
