"""The compiled walk gives the lengths that torch gives, and OpenCV. B batch, C channel, H W image."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import forward_ad

from cnnlab._parallel import torch_threads
from cnnlab.edges.borders import BORDERS, pad, sources
from cnnlab.edges.fast.lengths import COMPILED, lengths, walkable
from cnnlab.edges.gradient import Gradient, length
from cnnlab.filters import bank

BANKS = ["central", "sobel", "scharr", "roberts", "farid", "sobel(size=7)", "gaussian(sigma=(1, 2.5), order=1)"]


@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(1, 40), st.integers(1, 40)),
    border=st.sampled_from(BORDERS),
    expression=st.sampled_from(BANKS),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 2**31),
)
def test_they_are_the_lengths_of_the_gradients(
    shape: tuple[int, int, int, int], border: str, expression: str, dtype: torch.dtype, seed: int
) -> None:
    """Images smaller than the border too."""
    image = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    gradient = Gradient(bank(expression), border)
    if shape[0]:
        assert walkable(image) == COMPILED
    found = lengths(image, gradient.taps, border)
    assert found.dtype == dtype
    torch.testing.assert_close(found, length(*gradient(image)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("border", ["reflect", "replicate", "zeros"])
def test_sobels_are_opencvs(border: str) -> None:
    image_HW = np.random.default_rng(0).random((23, 31), dtype=np.float32)
    kind = {"reflect": cv2.BORDER_REFLECT_101, "replicate": cv2.BORDER_REPLICATE, "zeros": cv2.BORDER_CONSTANT}[border]
    theirs = cv2.magnitude(*(cv2.Sobel(image_HW, cv2.CV_32F, x, 1 - x, borderType=kind) for x in (1, 0)))
    ours = Gradient(bank("sobel"), border).magnitude(torch.from_numpy(image_HW)[None, None])[0, 0, 0]
    np.testing.assert_allclose(ours, theirs / 8, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("expression", ["sobel", "roberts", "gaussian(sigma=2, order=1)"])
def test_neither_threads_nor_memory_layout_change_a_bit(expression: str, threads: int) -> None:
    image = torch.rand(2, 3, 260, 37, generator=torch.Generator().manual_seed(1))
    gradient = Gradient(bank(expression))
    before = torch.get_num_threads()
    with torch_threads(1):
        expected = gradient.magnitude(image)
    try:
        torch.set_num_threads(threads)
        assert torch.equal(gradient.magnitude(image), expected)
        assert torch.equal(gradient.magnitude(image.to(memory_format=torch.channels_last)), expected)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("expression", BANKS)
def test_a_constant_image_has_none_at_all(expression: str) -> None:
    assert not Gradient(bank(expression)).magnitude(torch.full((1, 2, 11, 70), 0.3)).any()


def test_where_a_gradient_is_asked_for_torch_computes() -> None:
    image = torch.rand(1, 1, 9, 9, dtype=torch.float64, requires_grad=True)
    gradient = Gradient(bank("scharr"))
    assert not walkable(image)
    assert torch.autograd.gradcheck(gradient.magnitude, (image,))
    with torch.no_grad():
        assert walkable(image) == COMPILED
        torch.testing.assert_close(gradient.magnitude(image), gradient.magnitude(image.detach()))


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:FutureWarning")  # of torch's own, in jvp
def test_transformed_images_are_left_to_torch() -> None:
    """A corner that is mirrored has length 0, and there the derivative is 0."""
    image, direction = torch.rand(2, 3, 1, 1, 9, 9, dtype=torch.float64)
    magnitude = Gradient(bank("sobel")).magnitude
    expected = torch.stack([magnitude(one) for one in image])
    torch.testing.assert_close(torch.func.vmap(magnitude)(image), expected)
    step = 1e-6
    slope = (magnitude(image[0] + step * direction[0]) - magnitude(image[0] - step * direction[0])) / (2 * step)
    tangent = torch.func.jvp(magnitude, (image[0],), (direction[0],))[1]
    slope[..., ::8, ::8] = 0
    torch.testing.assert_close(tangent, slope, rtol=1e-5, atol=1e-7)
    with forward_ad.dual_level():
        dual = magnitude(forward_ad.make_dual(image[0], direction[0]))
        torch.testing.assert_close(forward_ad.unpack_dual(dual).tangent, tangent)


def test_half_precision_and_empty_images_are_left_to_torch() -> None:
    gradient = Gradient(bank("sobel"))
    image = torch.rand(1, 1, 9, 9)
    assert gradient.magnitude(image.bfloat16()).dtype == torch.bfloat16
    torch.testing.assert_close(
        gradient.magnitude(image.bfloat16()).float(), gradient.magnitude(image), atol=2e-2, rtol=0
    )
    assert gradient.magnitude(image[:0]).shape == (0, 1, 1, 9, 9)


@given(st.integers(1, 12), st.integers(0, 15), st.integers(0, 15), st.sampled_from(BORDERS))
def test_sources_are_where_the_border_comes_from(size: int, before: int, behind: int, border: str) -> None:
    line = torch.arange(1.0, size + 1)
    padded = pad(line[None, None, None], 0, 0, before, behind, border)[0, 0, 0]
    places = sources(size, before, behind, border)
    assert torch.equal(torch.where(places < 0, 0, line[places.clamp_min(0)]), padded)
