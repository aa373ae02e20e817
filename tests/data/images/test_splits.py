"""Laws of stratified splits. N images, K classes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cnnlab.data.images.splits import proportional, stratified_subset, validation_split

counts = st.lists(st.integers(2, 40), min_size=2, max_size=8)
seeds = st.integers(0, 2**32)


def shuffled_labels(count_K: list[int]) -> Tensor:
    label_N = torch.repeat_interleave(torch.arange(len(count_K)), torch.tensor(count_K))
    return label_N[torch.randperm(len(label_N), generator=torch.Generator().manual_seed(1))]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(any), st.data())
def test_shares_add_up_and_lie_within_one_of_the_exact_share(count_K: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(0, sum(count_K)))
    share_K = proportional(count_K, total)
    assert sum(share_K) == total
    for share, count in zip(share_K, count_K, strict=True):
        assert abs(share - count * total / sum(count_K)) < 1
        assert 0 <= share <= count


@given(counts, st.floats(0.2, 0.8), seeds)
def test_a_validation_split_is_stratified_disjoint_and_complete(count_K: list[int], fraction: float, seed: int) -> None:
    label_N = shuffled_labels(count_K)
    rest_N, cut_N = validation_split(label_N, fraction, seed)
    assert torch.cat([rest_N, cut_N]).sort().values.tolist() == list(range(len(label_N)))
    for k, count in enumerate(count_K):
        assert abs((label_N[cut_N] == k).sum().item() - fraction * count) <= 1.5  # 1, and rounding of the total
        assert (label_N[rest_N] == k).any()


@given(counts, st.data(), seeds)
def test_a_subset_has_the_asked_size_and_every_class(count_K: list[int], data: st.DataObject, seed: int) -> None:
    label_N = shuffled_labels(count_K)
    size = data.draw(st.integers(len(count_K), len(label_N)))
    subset_N = stratified_subset(label_N, size, seed)
    assert len(subset_N.unique()) == len(subset_N) == size
    exact_K = [count * size / len(label_N) for count in count_K]
    taken_K = torch.bincount(label_N[subset_N], minlength=len(count_K)).tolist()
    assert min(taken_K) >= 1
    if min(exact_K) >= 1:
        assert all(abs(taken - exact) < 1 for taken, exact in zip(taken_K, exact_K, strict=True))


def test_rare_classes_keep_an_image_in_a_subset_as_small_as_the_number_of_classes() -> None:
    label_N = shuffled_labels([500, 2, 2, 2])
    assert torch.bincount(label_N[stratified_subset(label_N, 4, 0)]).tolist() == [1, 1, 1, 1]


def test_a_class_of_one_image_stays_in_training() -> None:
    rest_N, cut_N = validation_split(torch.tensor([0, 0, 0, 0, 1]), 0.9, 0)
    assert 4 in rest_N.tolist()
    assert len(cut_N) == 3


def test_the_same_seed_gives_the_same_split_and_zero_differs_from_one() -> None:
    label_N = shuffled_labels([50, 50])
    cuts = [validation_split(label_N, 0.3, seed)[1].tolist() for seed in (0, 0, 1, 2)]
    subsets = [stratified_subset(label_N, 30, seed).tolist() for seed in (0, 0, 1, 2)]
    for same, again, *others in (cuts, subsets):
        assert same == again
        assert same not in others
    assert cuts[0] != subsets[0]


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_a_fraction_outside_zero_and_one_is_an_error(fraction: float) -> None:
    with pytest.raises(ValueError, match="a fraction between 0 and 1"):
        validation_split(torch.tensor([0, 1]), fraction, 0)


def test_a_fraction_that_leaves_no_validation_image_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"validation=0.01 of 4 training images leaves none"):
        validation_split(torch.tensor([0, 0, 1, 1]), 0.01, 0)


@pytest.mark.parametrize("size", [0, 1, 101, -3, 50.0])
def test_a_train_size_that_cannot_be_names_the_sizes_that_can(size: float) -> None:
    with pytest.raises(ValueError, match=rf"train_size={size}.* from 2 to 100"):
        stratified_subset(shuffled_labels([50, 50]), size, 0)
