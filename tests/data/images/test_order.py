"""Laws of batch order and seeding."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.data.images.order import BatchOrder, Purpose, generator_for, mixed

sizes = st.integers(1, 60)
seeds = st.integers(-(2**63), 2**64 - 1)


def order(count: int, size: int, training: bool = True, **changes: int) -> BatchOrder:
    return BatchOrder(torch.arange(100, 100 + count), size, changes.pop("seed", 0), training, **changes)


@given(seeds, st.integers(0, 1000), st.integers(0, 1000))
def test_a_generator_depends_on_the_order_of_its_position(seed: int, epoch: int, batch: int) -> None:
    one = generator_for(seed, Purpose.AUGMENTATION, epoch, batch).initial_seed()
    other = generator_for(seed, Purpose.AUGMENTATION, batch, epoch).initial_seed()
    assert (one == other) == (epoch == batch)


def test_neighbouring_seeds_epochs_batches_and_purposes_all_have_their_own_stream() -> None:
    streams = {
        mixed(seed, purpose, epoch, batch) >> 1 & 0xFFFFFFFF  # the bits that the generator uses
        for seed in range(5)
        for purpose in Purpose
        for epoch in range(20)
        for batch in range(20)
    }
    # 12,000 draws of 32 bits: 0.017 collisions expected.
    assert len(streams) == 5 * len(Purpose) * 20 * 20


@given(sizes, sizes, st.integers(0, 5))
def test_a_training_epoch_gives_no_image_twice_and_leaves_out_less_than_a_batch(
    count: int, size: int, epoch: int
) -> None:
    batches = order(count, size).batches(epoch)
    given_N = torch.cat(batches)
    assert len(batches) == len(order(count, size)) >= 1
    assert {len(batch) for batch in batches} == {min(size, count)}
    assert len(given_N.unique()) == len(given_N) > count - size
    assert given_N.min() >= 100
    assert given_N.max() < 100 + count


@given(sizes, sizes)
def test_evaluation_keeps_the_order_and_leaves_nothing_out(count: int, size: int) -> None:
    batches = order(count, size, training=False).batches(7)
    assert torch.cat(batches).tolist() == list(range(100, 100 + count))
    assert len(batches) == len(order(count, size, training=False)) == -(-count // size)
    assert max(map(len, batches)) <= size


def test_an_order_changes_with_the_epoch_and_the_seed_and_nothing_else() -> None:
    def first(seed: int, epoch: int) -> list[int]:
        return torch.cat(order(50, 10, seed=seed).batches(epoch)).tolist()

    assert first(0, 0) == first(0, 0)
    assert len({tuple(first(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9
    torch.manual_seed(5)
    before = first(0, 0)
    torch.manual_seed(6)
    assert first(0, 0) == before


@pytest.mark.parametrize("training", [True, False])
@given(st.integers(1, 4), st.integers(0, 60), st.integers(2, 20))
def test_ranks_share_one_permutation_in_equally_many_batches_without_overlap(
    training: bool, world_size: int, more: int, size: int
) -> None:
    count = world_size + more
    ranks = [order(count, size, training, rank=rank, world_size=world_size).batches(3) for rank in range(world_size)]
    assert len({len(batches) for batches in ranks}) == 1
    assert all(len(batch) > 0 for batches in ranks for batch in batches)
    given_N = torch.cat([batch for batches in ranks for batch in batches])
    assert len(given_N.unique()) == len(given_N)
    if not training:
        assert len(given_N) == count
    whole_N = torch.cat(order(count, count, training).batches(3))
    own_N = torch.cat(ranks[-1])
    assert torch.equal(own_N, whole_N[world_size - 1 :: world_size][: len(own_N)])


def test_fewer_images_than_ranks_is_an_error() -> None:
    with pytest.raises(ValueError, match="3 images cannot be shared by 4 processes"):
        order(3, 1, world_size=4)
