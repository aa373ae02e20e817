"""Laws of the loaders. N images, B batch, C channel, H height, W width."""

from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from cnnlab.data.images.augmentation import Augmentation
from cnnlab.data.images.images import TensorImages, mean_and_std
from cnnlab.data.images.loader import EpochLoader, Finish, InMemoryLoader, StreamingLoader
from cnnlab.data.images.order import BatchOrder

COUNT = 50
CPU = torch.device("cpu")
AUGMENTATION = Augmentation(flip=True, shift=1, rotation=20, cutout=2)
Maker = Callable[..., EpochLoader]


def images() -> TensorImages:
    image_NCHW = np.random.default_rng(0).integers(0, 256, (COUNT, 2, 6, 5), dtype=np.uint8)
    return TensorImages(torch.from_numpy(image_NCHW), torch.arange(COUNT), ("a",))


def order_and_finish(augmentation: Augmentation | None, **changes: object) -> tuple[BatchOrder, Finish]:
    values = {"index_N": torch.arange(COUNT), "batch_size": 8, "seed": 0, "training": True, **changes}
    order = BatchOrder(**values)
    return order, Finish(*mean_and_std(images(), torch.arange(COUNT)), augmentation, order)


def in_memory(augmentation: Augmentation | None = AUGMENTATION, **changes: object) -> InMemoryLoader:
    return InMemoryLoader(images(), *order_and_finish(augmentation, **changes), CPU)


def streaming(augmentation: Augmentation | None = AUGMENTATION, workers: int = 0, **changes: object) -> StreamingLoader:
    return StreamingLoader(images(), *order_and_finish(augmentation, **changes), CPU, workers)


both = pytest.mark.parametrize("make", [in_memory, streaming])


def same(ones: list[tuple[Tensor, Tensor]], others: list[tuple[Tensor, Tensor]]) -> bool:
    return len(ones) == len(others) and all(
        torch.equal(one, other) for pair in zip(ones, others, strict=True) for one, other in zip(*pair, strict=True)
    )


@both
def test_batches_are_normalised_floats_with_their_own_labels(make: Maker) -> None:
    loader = make(None, training=False, batch_size=COUNT)
    ((image_BCHW, label_B),) = loader
    assert (image_BCHW.dtype, label_B.dtype) == (torch.float32, torch.int64)
    assert label_B.tolist() == list(range(COUNT))
    mean_C, std_C = mean_and_std(images(), torch.arange(COUNT))
    expected_NCHW = (images().image_NCHW / 255 - mean_C[:, None, None]) / std_C[:, None, None]
    torch.testing.assert_close(image_BCHW, expected_NCHW.float(), atol=1e-5, rtol=0)
    torch.testing.assert_close(image_BCHW.mean((0, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(image_BCHW.std((0, 2, 3), correction=0), torch.ones(2), atol=1e-5, rtol=0)


@both
def test_a_fresh_loader_at_epoch_three_gives_the_fourth_pass(make: Maker) -> None:
    passes = [list(loader) for loader in [make()] for _ in range(4)]
    fresh = make()
    fresh.set_epoch(3)
    assert same(list(fresh), passes[3])
    assert not any(same(passes[one], passes[other]) for one in range(4) for other in range(one))


@both
def test_a_pass_does_not_depend_on_the_global_generator_nor_touch_it(make: Maker) -> None:
    torch.manual_seed(1)
    one = list(make())
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), after)
    assert same(list(make()), one)


@both
def test_seed_zero_is_a_seed_of_its_own(make: Maker) -> None:
    zero, again, one = (list(make(seed=seed)) for seed in (0, 0, 1))
    assert same(zero, again)
    assert not same(zero, one)


@both
def test_an_image_is_augmented_anew_in_each_epoch_and_differently_on_each_rank(make: Maker) -> None:
    def first(epoch: int, **changes: int) -> Tensor:
        loader = make(index_N=torch.zeros(8, dtype=torch.int64), **changes)  # eight times the same image
        loader.set_epoch(epoch)
        return next(iter(loader))[0]

    draws = [first(0), first(1), first(0, world_size=2, rank=1, batch_size=4)]
    assert len({image_CHW.numpy().tobytes() for image_BCHW in draws for image_CHW in image_BCHW}) > 15
    assert torch.equal(first(1), draws[1])


@both
def test_a_loader_restored_in_the_middle_of_an_epoch_goes_on_exactly(make: Maker) -> None:
    whole = make()
    expected = [list(whole) for _ in range(3)]
    stopped = make()
    list(stopped)
    list(islice(stopped, 2))
    state = stopped.state_dict()
    assert state == {"epoch": 1, "batch": 2}
    restored = make()
    restored.load_state_dict(state)
    assert restored.state_dict() == state
    restored.sampler.set_epoch(1)  # as Lightning does
    assert same(list(restored), expected[1][2:])
    assert restored.state_dict() == {"epoch": 1, "batch": 6}
    assert same(list(restored), expected[2])


@both
def test_a_state_taken_at_the_end_of_an_epoch_starts_the_next_one_whole(make: Maker) -> None:
    loader = make()
    expected = [list(loader) for _ in range(2)]
    restored = make()
    restored.load_state_dict({"epoch": 0, "batch": 6})
    restored.set_epoch(1)
    assert same(list(restored), expected[1])


@pytest.mark.parametrize("augmentation", [None, AUGMENTATION])
@pytest.mark.parametrize("training", [True, False])
def test_streaming_and_in_memory_give_the_same_batches(augmentation: Augmentation | None, training: bool) -> None:
    memory, stream = (make(augmentation, training=training) for make in (in_memory, streaming))
    for _ in range(2):
        assert len(memory) == len(stream)
        assert same(list(memory), list(stream))


def test_worker_processes_change_nothing_over_several_epochs_or_after_a_restore() -> None:
    stream, memory = streaming(workers=2), in_memory()
    for loader in (stream, memory):
        loader.load_state_dict({"epoch": 4, "batch": 3})
    for _ in range(3):
        assert same(list(stream), list(memory))


def test_the_images_at_rest_are_never_changed() -> None:
    at_rest = images()
    loader = InMemoryLoader(at_rest, *order_and_finish(AUGMENTATION), CPU)
    for _ in range(2):
        list(loader)
    assert torch.equal(at_rest.image_NCHW, images().image_NCHW)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU to compare with the CPU")
def test_a_gpu_gives_the_batches_of_the_cpu() -> None:
    cuda = torch.device("cuda")
    moved = images().to(cuda)
    for at_rest in (moved, images()):
        loader = InMemoryLoader(at_rest, *order_and_finish(AUGMENTATION), cuda)
        for (one, label_B), (other, expected_B) in zip(loader, in_memory(), strict=True):
            assert one.is_cuda
            assert label_B.tolist() == expected_B.tolist()
            torch.testing.assert_close(one.cpu(), other, atol=1e-4, rtol=0)
