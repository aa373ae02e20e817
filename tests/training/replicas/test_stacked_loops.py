"""The layers that are computed by compiled loops are torch's own. R replica, B batch, N channel."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from cnnlab._compiled import COMPILED
from cnnlab.training.replicas.stacked_norm import can_normalise, normalised, scaled
from cnnlab.training.replicas.stacked_parts import can_part, parts

pytestmark = pytest.mark.skipif(not COMPILED, reason="numba is not here")


def gradients(output: Tensor, inputs: tuple[Tensor, ...], gradient: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(output, inputs, gradient)


def bound(dtype: torch.dtype, count: int, size_N: Tensor) -> Tensor:
    """How far values of this size may be off: a handful of roundings in `dtype` (half an epsilon each), and sums of
    `count` terms in float64, ours and the oracle's."""
    return (4 * torch.finfo(dtype).eps + 2 * count * torch.finfo(torch.float64).eps) * size_N


def assert_within(ours: Tensor, theirs: Tensor, bound_N: Tensor) -> None:
    """Of each channel."""
    bound_N = bound_N[:, None, None] if ours.ndim == 4 else bound_N
    assert float(((ours.detach().double() - theirs.detach()).abs() / bound_N).max()) <= 1


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 6), st.integers(2, 6)),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    offset=st.floats(-30, 30),
    rectify=st.booleans(),
    channels_last=st.booleans(),
    seed=st.integers(0, 2**20),
)
@example((1, 10, 1, 2), torch.float32, 0.0, False, False, 1)  # two values that lie close to each other
@settings(max_examples=60, deadline=None)
def test_batch_norm_is_torchs(
    shape: tuple, dtype: torch.dtype, offset: float, rectify: bool, channels_last: bool, seed: int
) -> None:
    """Within what its conditioning allows: (x - mean) / sigma loses the factor max |x| / sigma, which is large where
    the values of a channel lie close to each other; sigma = sqrt(variance + eps) is at least 0.003."""
    torch.manual_seed(seed)
    value_BNHW = (torch.randn(shape, dtype=torch.float64) + offset).to(dtype)
    if channels_last:
        value_BNHW = value_BNHW.to(memory_format=torch.channels_last)
    weight_N, bias_N, mean_N, variance_N = torch.rand(4, shape[1], dtype=dtype) + 0.5
    inputs = tuple(one.clone().requires_grad_() for one in (value_BNHW, weight_N, bias_N - 1))
    gradient_BNHW = torch.randn(shape, dtype=dtype)
    wanted = [one.clone() for one in (mean_N, variance_N)]
    assert can_normalise(inputs[0], inputs[1])
    count, largest_N = value_BNHW[:, 0].numel(), value_BNHW.double().abs().amax((0, 2, 3))
    sigma_N = (value_BNHW.double().var((0, 2, 3), unbiased=False) + 1e-5).sqrt()
    gain_N = weight_N.double() / sigma_N

    ours = normalised(*inputs, mean_N, variance_N, 0.1, 1e-5, rectify)
    # the oracle in float64: torch itself is less exact in float32
    exact = tuple(one.detach().double().requires_grad_() for one in inputs)
    wide = [one.double() for one in wanted]
    theirs = F.batch_norm(exact[0], *wide, *exact[1:], True, 0.1, 1e-5)
    # x gain + offset, of which offset = bias - mean gain
    allowed_N = bound(dtype, count, gain_N * largest_N + exact[2].detach().abs())
    kept = (theirs.abs() > allowed_N[:, None, None]) | (not rectify)  # beside 0 the rounding decides
    theirs = theirs.relu() if rectify else theirs
    assert_within(ours, theirs, allowed_N)
    assert_within(mean_N, wide[0], bound(dtype, count, 2 + largest_N))
    assert_within(variance_N, wide[1], bound(dtype, count, 2 + 2 * sigma_N**2))

    gradient_BNHW = gradient_BNHW * kept
    steepest = float(gradient_BNHW.abs().max())
    condition_N = 1 + largest_N / sigma_N + count**0.5
    allowed = (
        # gradient gain + (x slope + constant), where |slope| <= gain steepest / sigma; at most sqrt(count) sigmas
        # lie between a value and the mean
        bound(dtype, count, gain_N * steepest * condition_N),
        # sums over all places in float64, rounded once
        bound(dtype, 0, count * steepest * torch.ones_like(gain_N))
        + bound(torch.float64, count, count * steepest * condition_N),
        bound(dtype, count, count * steepest * torch.ones_like(gain_N)),
    )
    for our, their, allowed_N in zip(
        gradients(ours, inputs, gradient_BNHW),
        gradients(theirs, exact, gradient_BNHW.double()),
        allowed,
        strict=True,
    ):
        assert_within(our, their, allowed_N + torch.finfo(torch.float64).tiny)

    tested = scaled(value_BNHW, weight_N, bias_N, mean_N, variance_N, 1e-5, rectify)
    theirs = F.batch_norm(value_BNHW.double(), *(one.double() for one in (mean_N, variance_N, weight_N, bias_N)))
    size_N = weight_N.double() / variance_N.double().sqrt() * (largest_N + mean_N.double().abs()) + bias_N.double()
    assert_within(tested, theirs.relu() if rectify else theirs, bound(dtype, count, size_N))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("channels", [1, 3])
def test_parts_are_the_rectified_responses_and_so_are_their_gradients(stride: int, channels: int) -> None:
    torch.manual_seed(0)
    image_RBCHW = torch.randn(3, 4, channels, 9, 8, dtype=torch.float64)
    kernel_ROChw = torch.randn(3, 5, channels, 3, 3, dtype=torch.float64, requires_grad=True)
    assert can_part(image_RBCHW, kernel_ROChw)
    responses = [F.conv2d(i, k, stride=stride) for i, k in zip(image_RBCHW, kernel_ROChw, strict=True)]
    theirs = torch.cat([torch.cat([r.relu(), (-r).relu()], 1) for r in responses], 1)
    ours = parts(image_RBCHW, kernel_ROChw, stride)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    gradient = torch.randn_like(theirs)
    (our,), (their,) = (gradients(output, (kernel_ROChw,), gradient) for output in (ours, theirs))
    torch.testing.assert_close(our, their)


def test_what_is_no_number_is_seen() -> None:
    """A replica that diverged must not look like one that predicts 0."""
    value_BNHW = torch.ones(2, 3, 2, 2)
    value_BNHW[0, 1] = torch.nan
    ones, zeros = torch.ones(3), torch.zeros(3)
    for output in (
        normalised(value_BNHW, ones, zeros, None, None, 0.1, 1e-5, rectify=True),
        scaled(value_BNHW, ones, zeros, zeros, ones, 1e-5, rectify=True),
    ):
        assert output[0, 1].isnan().all()
        assert output[:, [0, 2]].isfinite().all()
    kernel_ROChw = torch.full((1, 2, 1, 1, 1), torch.nan)
    assert parts(torch.ones(1, 1, 1, 2, 2), kernel_ROChw, 1).isnan().all()


def test_less_than_two_values_per_channel_is_an_error() -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        normalised(torch.ones(1, 2, 1, 1), torch.ones(2), torch.zeros(2), None, None, 0.1, 1e-5, rectify=False)
