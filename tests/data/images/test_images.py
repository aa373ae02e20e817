"""Laws of statistics and patches. N images, C channel, H height, W width."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cnnlab.data.images.images import TensorImages, mean_and_std, patches
from cnnlab.data.images.order import Purpose, generator_for


def noise(count: int = 9, shape: tuple[int, int, int] = (2, 5, 4), seed: int = 0) -> TensorImages:
    image_NCHW = np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)
    return TensorImages(torch.from_numpy(image_NCHW), torch.zeros(count, dtype=torch.int64), ("a",))


def generator(seed: int = 0) -> torch.Generator:
    return generator_for(seed, Purpose.PATCHES)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=9), st.integers(0, 99))
def test_mean_and_std_are_numpys_over_the_chosen_images(index: list[int], seed: int) -> None:
    images = noise(seed=seed)
    mean_C, std_C = mean_and_std(images, torch.tensor(index))
    chosen_NCHW = images.image_NCHW.numpy()[index] / 255
    np.testing.assert_allclose(mean_C.numpy(), chosen_NCHW.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std_C.numpy(), chosen_NCHW.std((0, 2, 3)), rtol=1e-12)


def test_statistics_do_not_depend_on_the_order_of_the_images() -> None:
    images = noise(5000)
    one, other = (mean_and_std(images, index_N) for index_N in (torch.arange(5000), torch.randperm(5000)))
    assert torch.equal(torch.stack(one), torch.stack(other))


def test_a_constant_channel_has_std_one() -> None:
    images = TensorImages(torch.full((3, 1, 2, 2), 51, dtype=torch.uint8), torch.zeros(3).long(), ("a",))
    assert [value.tolist() for value in mean_and_std(images, torch.arange(3))] == [[0.2], [1.0]]


@given(st.integers(1, 4))
def test_every_patch_is_a_window_of_a_chosen_image(size: int) -> None:
    images, index_M = noise(), torch.tensor([2, 5])
    window_NCHWhw = images.image_NCHW[index_M].float().div(255).unfold(2, size, 1).unfold(3, size, 1)
    known = {window.numpy().tobytes() for window in window_NCHWhw.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)}
    patch_NChw = patches(images, index_M, size, 400, generator())
    assert patch_NChw.shape == (400, 2, size, size)
    assert patch_NChw.dtype == torch.float32
    assert {patch.numpy().tobytes() for patch in patch_NChw} == known  # and 400 draws find every window


def test_patches_follow_their_seed() -> None:
    def drawn(seed: int) -> Tensor:
        return patches(noise(), torch.arange(9), 3, 1500, generator(seed))

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


@pytest.mark.parametrize("size", [0, 5])
def test_a_patch_that_does_not_fit_is_an_error(size: int) -> None:
    with pytest.raises(ValueError, match=f"patches of {size}x{size} from images of 5x4: 1 to 4"):
        patches(noise(), torch.arange(9), size, 1, generator())
