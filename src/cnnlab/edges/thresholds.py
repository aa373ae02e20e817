"""The two thresholds of hysteresis, for each image of a batch. B batch, H W image.

`absolute`   low and high are strengths
`quantile`   low and high are quantiles, 0 to 1, of the strengths above 0 after thinning
`automatic`  high is Otsu's threshold (1979, IEEE SMC 9(1)) on the strengths above 0 after thinning, in 256 classes;
             low is 0.4 times it, between the halves and the thirds that Canny advises (1986, IEEE PAMI 8(6))
"""

import torch
from torch import Tensor

from cnnlab._choices import UsageError

KINDS = ("absolute", "quantile", "automatic")
LOW_FRACTION = 0.4
LARGEST = 1e30  # that a number may be
_CLASSES = 256


def thresholds(thin_B1HW: Tensor, kind: str, low: float | None, high: float | None) -> tuple[Tensor, Tensor]:
    """(low, high), each (B,), of the strength's dtype and device; for an image without edges both are infinite."""
    if kind == "absolute":
        assert low is not None
        assert high is not None
        return thin_B1HW.new_full((len(thin_B1HW),), low), thin_B1HW.new_full((len(thin_B1HW),), high)
    pairs = [levels(thin_1HW[thin_1HW > 0], kind, low, high) for thin_1HW in thin_B1HW]
    low_B, high_B = torch.stack(pairs).unbind(1)
    return low_B, high_B


def levels(positive_N: Tensor, kind: str, low: float | None, high: float | None) -> Tensor:
    """(2,): the low and the high threshold of one image, from its strengths above 0 after thinning."""
    if kind == "absolute":
        return positive_N.new_tensor([low, high])
    if not len(positive_N):
        return positive_N.new_full((2,), torch.inf)
    if kind == "quantile":
        return torch.stack([_quantile(positive_N, low), _quantile(positive_N, high)])
    level = otsu(positive_N)
    return torch.stack([level * LOW_FRACTION, level])


def otsu(values_N: Tensor) -> Tensor:
    """The upper end of the last class below the split that leaves most variance between both sides; () like the values.

    Classes are `_CLASSES` equal parts of the values' range. Of equally good splits the lowest.
    """
    least, most = values_N.aminmax()
    if least == most:
        return most
    width = (most - least) / _CLASSES
    class_N = ((values_N - least) / width).long().clamp_max(_CLASSES - 1)
    count_K = torch.bincount(class_N, minlength=_CLASSES).double()
    middle_K = torch.arange(_CLASSES, device=values_N.device, dtype=torch.float64)
    below_K, moment_K = count_K.cumsum(0)[:-1], (count_K * middle_K).cumsum(0)
    above_K = len(values_N) - below_K
    gap_K = moment_K[:-1] / below_K - (moment_K[-1] - moment_K[:-1]) / above_K
    return least + (torch.argmax(below_K * above_K * gap_K.square()) + 1) * width


def _quantile(values_N: Tensor, share: float | None) -> Tensor:
    """The smallest value that at least `share` of the values do not exceed (`torch.quantile` ends at 16 million)."""
    assert share is not None
    rank = min(max(int(-(-share * len(values_N) // 1)), 1), len(values_N))
    return values_N.kthvalue(rank).values


def check_number(name: str, value: object, least: float = 0.0, most: float = torch.inf) -> None:
    """UsageError unless the value is a finite number in the range."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= min(most, LARGEST):
        limit = f"at least {least:g}" if most == torch.inf else f"{least:g} to {most:g}"
        raise UsageError(f"{name} must be a finite number, {limit}; got {value!r}")


def check_thresholds(kind: str, low: float | None, high: float | None) -> None:
    """UsageError unless low and high fit the kind: both or neither, in order; quantiles from 0 to 1."""
    if kind == "automatic":
        if low is not None or high is not None:
            raise UsageError(f"automatic thresholds take no low and no high, got low={low} and high={high}")
        return
    if (low is None) != (high is None):
        raise UsageError(f"low and high come together, got low={low} and high={high}")
    if low is None or high is None:
        if kind == "quantile":
            raise UsageError("thresholds=quantile needs low and high, such as low=0.7 and high=0.9")
        return
    for name, value in (("low", low), ("high", high)):
        check_number(name, value, most=1.0 if kind == "quantile" else torch.inf)
    if low > high:
        raise UsageError(f"low must not be above high, got low={low} and high={high}")
