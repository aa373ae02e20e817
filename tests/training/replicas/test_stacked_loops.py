"""The layers that are computed by compiled loops are torch's own. R replica, B batch, N channel."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cnnlab._compiled import COMPILED
from cnnlab.training.replicas.stacked_norm import can_normalise, normalised, scaled
from cnnlab.training.replicas.stacked_parts import can_part, parts

TOLERANCE = {torch.float32: {"rtol": 1e-4, "atol": 2e-5}, torch.float64: {"rtol": 1e-9, "atol": 1e-9}}
pytestmark = pytest.mark.skipif(not COMPILED, reason="numba is not here")


def gradients(answer: Tensor, inputs: tuple[Tensor, ...], gradient: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(answer, inputs, gradient)


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 6), st.integers(2, 6)),
    dtype=st.sampled_from(list(TOLERANCE)),
    offset=st.floats(-30, 30),
    rectify=st.booleans(),
    channels_last=st.booleans(),
    seed=st.integers(0, 2**20),
)
@settings(max_examples=60, deadline=None)
def test_batch_norm_is_torchs(
    shape: tuple, dtype: torch.dtype, offset: float, rectify: bool, channels_last: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    value_BNHW = (torch.randn(shape, dtype=torch.float64) + offset).to(dtype)
    if channels_last:
        value_BNHW = value_BNHW.to(memory_format=torch.channels_last)
    weight_N, bias_N, mean_N, variance_N = torch.rand(4, shape[1], dtype=dtype) + 0.5
    inputs = tuple(one.clone().requires_grad_() for one in (value_BNHW, weight_N, bias_N - 1))
    gradient_BNHW = torch.randn(shape, dtype=dtype)
    wanted = [one.clone() for one in (mean_N, variance_N)]
    assert can_normalise(inputs[0], inputs[1])

    ours = normalised(*inputs, mean_N, variance_N, 0.1, 1e-5, rectify)
    # the oracle in float64: torch itself is less exact in float32
    exact = tuple(one.detach().double().requires_grad_() for one in inputs)
    wide = [one.double() for one in wanted]
    theirs = F.batch_norm(exact[0], *wide, *exact[1:], True, 0.1, 1e-5)
    kept = (theirs.abs() > 1e-3) | (not rectify)  # beside 0 the rounding decides
    theirs = theirs.relu() if rectify else theirs
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(ours.double(), theirs, **tolerance)
    torch.testing.assert_close(mean_N.double(), wide[0], **tolerance)
    torch.testing.assert_close(variance_N.double(), wide[1], **tolerance)
    gradient_BNHW = gradient_BNHW * kept
    for our, their in zip(
        gradients(ours, inputs, gradient_BNHW), gradients(theirs, exact, gradient_BNHW.double()), strict=True
    ):
        scale = 1 + float(their.abs().max())
        torch.testing.assert_close(our.double() / scale, their / scale, **tolerance)

    tested = scaled(value_BNHW, weight_N, bias_N, mean_N, variance_N, 1e-5, rectify)
    theirs = F.batch_norm(value_BNHW.double(), *(one.double() for one in (mean_N, variance_N, weight_N, bias_N)))
    torch.testing.assert_close(tested.double(), theirs.relu() if rectify else theirs, rtol=1e-4, atol=1e-4)


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
    (our,), (their,) = (gradients(answer, (kernel_ROChw,), gradient) for answer in (ours, theirs))
    torch.testing.assert_close(our, their)


def test_what_is_no_number_is_seen() -> None:
    """A replica that diverged must not look like one that answers 0."""
    value_BNHW = torch.ones(2, 3, 2, 2)
    value_BNHW[0, 1] = torch.nan
    ones, zeros = torch.ones(3), torch.zeros(3)
    for answer in (
        normalised(value_BNHW, ones, zeros, None, None, 0.1, 1e-5, rectify=True),
        scaled(value_BNHW, ones, zeros, zeros, ones, 1e-5, rectify=True),
    ):
        assert answer[0, 1].isnan().all()
        assert answer[:, [0, 2]].isfinite().all()
    kernel_ROChw = torch.full((1, 2, 1, 1, 1), torch.nan)
    assert parts(torch.ones(1, 1, 1, 2, 2), kernel_ROChw, 1).isnan().all()


def test_less_than_two_values_a_channel_is_an_error() -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        normalised(torch.ones(1, 2, 1, 1), torch.ones(2), torch.zeros(2), None, None, 0.1, 1e-5, rectify=False)
