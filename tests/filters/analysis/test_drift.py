"""Laws of the change of kernels during training."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.filters.analysis.drift import drift, principal_angles


def random_kernels(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation(size: int, seed: int = 0) -> torch.Tensor:
    return torch.linalg.qr(random_kernels(size, size, seed=seed))[0]


def test_what_stays_has_cosine_one_distance_zero_and_angle_zero() -> None:
    kernels = random_kernels(6, 3, 5, 5)
    for row in drift({0: kernels, 3: kernels.clone(), 1: kernels}):
        assert row.cosine == pytest.approx(1, abs=1e-12)
        assert row.relative_distance == 0
        assert row.largest_angle == pytest.approx(0, abs=1e-6)
    assert [row.epoch for row in drift({3: kernels, 0: kernels, 1: kernels})] == [0, 1, 3]


@settings(deadline=None, max_examples=20)
@given(scale=st.floats(1e-6, 1e6), fraction=st.floats(0.3, 1))
def test_scaling_keeps_cosines_and_angles_and_negation_the_angles(scale: float, fraction: float) -> None:
    kernels = random_kernels(6, 1, 5, 5)
    _, grown, negated = drift({0: kernels, 1: scale * kernels, 2: -kernels}, fraction)
    assert grown.cosines == pytest.approx([1.0] * 6)
    assert grown.relative_distance == pytest.approx(abs(scale - 1), rel=1e-9, abs=1e-12)
    assert grown.largest_angle == pytest.approx(0, abs=1e-6)
    assert (negated.cosine, negated.relative_distance) == (pytest.approx(-1), pytest.approx(2))
    assert negated.largest_angle == pytest.approx(0, abs=1e-6)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), fraction=st.floats(0.3, 1))
def test_mixing_the_kernels_by_a_rotation_turns_no_subspace(seed: int, fraction: float) -> None:
    kernels = random_kernels(6, 1, 5, 5, seed=seed)
    mixed = torch.einsum("jk,kchw->jchw", rotation(6, seed), kernels)
    _, row = drift({0: kernels, 1: mixed}, fraction)
    assert row.largest_angle == pytest.approx(0, abs=1e-5)
    assert row.cosine < 0.999


def test_orthonormal_kernels_mixed_by_a_rotation_turn_no_subspace_though_none_of_them_leads() -> None:
    kernels = rotation(25)[:6].view(6, 1, 5, 5)
    mixed = torch.einsum("jk,kchw->jchw", rotation(6, 4), kernels)
    assert drift({0: kernels, 1: mixed}, fraction=0.5)[1].largest_angle == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("degrees", [1e-5, 0.3, 30, 60, 89.9])
def test_a_plane_tilted_by_an_angle_is_found_at_that_angle(degrees: float) -> None:
    first = torch.eye(4, dtype=torch.float64)[:2]
    tilt = math.radians(degrees)
    second = torch.tensor([[1.0, 0, 0, 0], [0, math.cos(tilt), math.sin(tilt), 0]], dtype=torch.float64)
    assert principal_angles(first, rotation(2) @ second) == pytest.approx([0, degrees], abs=1e-6)
    row = drift({0: first.view(2, 1, 2, 2), 1: second.view(2, 1, 2, 2)})[1]
    assert (row.largest_angle, row.mean_angle) == (pytest.approx(degrees), pytest.approx(degrees / 2))


def test_the_angles_are_scipys() -> None:
    from scipy.linalg import subspace_angles

    first, second = (torch.linalg.qr(random_kernels(20, 5, seed=seed))[0].T for seed in (1, 2))
    theirs = sorted(math.degrees(angle) for angle in subspace_angles(first.T.numpy(), second.T.numpy()))
    assert principal_angles(first, second) == pytest.approx(theirs, abs=1e-6)


def test_kernels_that_span_everything_have_no_angle_and_zeros_no_cosine() -> None:
    full = random_kernels(9, 1, 2, 2)
    assert drift({0: full, 1: full + 1}, fraction=1.0)[1].largest_angle is None
    zero = torch.zeros(2, 1, 3, 3)
    row = drift({0: zero, 1: random_kernels(2, 1, 3, 3)})[1]
    assert (row.cosine, row.cosines, row.relative_distance, row.largest_angle) == (None, (None, None), None, None)
    died = drift({0: random_kernels(2, 1, 3, 3), 1: zero})[1]
    assert (died.cosine, died.relative_distance, died.largest_angle) == (None, pytest.approx(1), None)


def test_snapshots_of_different_shapes_none_at_all_and_a_wrong_fraction_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        drift({0: torch.ones(1, 1, 3, 3), 1: torch.ones(1, 1, 5, 5)})
    with pytest.raises(ValueError, match="none"):
        drift({})
    with pytest.raises(ValueError, match="fraction"):
        drift({0: torch.ones(1, 1, 3, 3)}, fraction=0)
