"""Stratified choices: pure functions of (labels, size, seed). N images, K classes."""

import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.data.images.order import Purpose, generator_for

DIGITS_TEST_FRACTION = 0.2


def proportional(count_K: list[int], total: int) -> list[int]:
    """`total` items shared out in proportion to `count_K`, each within one of its exact share.

    The largest remainders get the rest (Hamilton 1792), the first class first where they tie.

    >>> proportional([6, 3, 1], 5)
    [3, 2, 0]
    """
    everything = sum(count_K)
    assert 0 <= total <= everything
    share_K = [count * total // everything for count in count_K]
    # Whole numbers throughout: no rounding can break a tie.
    rest_K = [count * total % everything for count in count_K]
    by_rest = sorted(range(len(count_K)), key=lambda k: -rest_K[k])
    for k in by_rest[: total - sum(share_K)]:
        share_K[k] += 1
    return share_K


def validation_split(
    label_N: Tensor, fraction: float, seed: int, purpose: Purpose = Purpose.VALIDATION
) -> tuple[Tensor, Tensor]:
    """Cut a stratified `fraction` off. Returns (rest, cut), sorted int64 indices, disjoint and together all.

    Each class keeps at least one image in the rest. Raises ValueError unless 0 < fraction < 1, or if the cut
    would be empty.
    """
    if not 0 < fraction < 1:
        raise UsageError(f"data.validation={fraction}: a fraction between 0 and 1, both excluded")
    count_K = torch.bincount(label_N).tolist()
    share_K = proportional(count_K, round(fraction * len(label_N)))
    share_K = [min(share, max(count - 1, 0)) for share, count in zip(share_K, count_K, strict=True)]
    cut_N = _drawn(label_N, share_K, seed, purpose)
    if len(cut_N) == 0:
        raise UsageError(
            f"data.validation={fraction} of {len(label_N)} training images leaves none to validate with; "
            "give a larger fraction or more images"
        )
    kept_N = torch.ones(len(label_N), dtype=torch.bool)
    kept_N[cut_N] = False
    return kept_N.nonzero().squeeze(1), cut_N


def stratified_subset(label_N: Tensor, size: int, seed: int) -> Tensor:
    """`size` images, every class in proportion and with at least one. Returns sorted int64 indices.

    Raises ValueError if `size` exceeds the images there are or is below the number of classes.
    """
    count_K = torch.bincount(label_N).tolist()
    classes = sum(count > 0 for count in count_K)
    if not isinstance(size, int) or not classes <= size <= len(label_N):
        raise UsageError(
            f"data.train_size={size}: {len(label_N)} training images are there (validation set aside) "
            f"in {classes} classes, so a whole number from {classes} to {len(label_N)}"
        )
    share_K = proportional(count_K, size)
    share_K = [max(share, min(count, 1)) for share, count in zip(share_K, count_K, strict=True)]
    while sum(share_K) > size:  # the classes lifted to one image are paid for by the largest
        share_K[share_K.index(max(share_K))] -= 1
    return _drawn(label_N, share_K, seed, Purpose.SUBSET)


def _drawn(label_N: Tensor, share_K: list[int], seed: int, purpose: Purpose) -> Tensor:
    drawn = []
    for k, share in enumerate(share_K):
        member_M = (label_N == k).nonzero().squeeze(1)
        order_M = torch.randperm(len(member_M), generator=generator_for(seed, purpose, k))
        drawn.append(member_M[order_M[:share]])
    return torch.cat(drawn).sort().values
