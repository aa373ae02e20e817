"""Laws of a layer of kernels: planted ones are found, and the measures have their known extremes."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnnlab.filters.analysis import layer
from cnnlab.filters.analysis.layer import dead, effective_rank, layer_properties, orthogonality, pairs, variance_entropy


def random_kernels(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 9999), scale=st.floats(1e-12, 1e12))
def test_planted_dead_duplicate_and_negated_kernels_are_found_and_no_others(seed: int, scale: float) -> None:
    kernels = random_kernels(16, 3, 5, 5, seed=seed)
    noise = random_kernels(16, 3, 5, 5, seed=seed + 1)
    kernels[4] = 3 * kernels[1] + 0.1 * noise[4]
    kernels[9] = -0.5 * kernels[2] + 0.02 * noise[9]
    kernels[7], kernels[12] = 1e-4 * kernels[3], 0  # too weak to be a duplicate of 3
    found = layer_properties(kernels * scale)
    assert found.dead == (7, 12)
    assert [(pair.first, pair.second) for pair in found.duplicates] == [(1, 4)]
    assert [(pair.first, pair.second) for pair in found.negated] == [(2, 9)]
    assert found.duplicates[0].cosine > 0.95
    assert found.negated[0].cosine < -0.95


def test_all_kernels_of_a_layer_of_zeros_are_dead_and_nothing_else_is_said() -> None:
    found = layer_properties(torch.zeros(3, 1, 3, 3))
    assert found.dead == (0, 1, 2)
    assert (found.duplicates, found.negated, found.orthogonality) == ((), (), None)
    assert (found.effective_rank, found.variance_entropy, found.sparsity, found.near_zero) == (0, 0, 1, 1)


def test_the_fraction_of_the_largest_norm_below_which_a_kernel_is_dead_is_a_parameter() -> None:
    kernels = torch.ones(3, 1, 2, 2) * torch.tensor([1.0, 0.5, 0.004]).view(3, 1, 1, 1)
    assert dead(kernels) == (2,)
    assert dead(kernels, fraction=0.001) == ()
    assert dead(kernels, fraction=0.6) == (1, 2)


def test_the_cosine_from_which_kernels_are_a_pair_is_a_parameter_and_the_closest_come_first() -> None:
    angles = torch.tensor([0.0, 0.05, 0.5, math.pi + 0.1], dtype=torch.float64)
    kernels = torch.stack([angles.cos(), angles.sin()], dim=1).view(4, 1, 1, 2)
    duplicates, negated = pairs(kernels, least=math.cos(0.46))
    assert [(pair.first, pair.second) for pair in duplicates] == [(0, 1), (1, 2)]
    assert [(pair.first, pair.second) for pair in negated] == [(1, 3), (0, 3), (2, 3)]
    with pytest.raises(ValueError, match="cosine"):
        pairs(kernels, least=0)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 9999), at_once=st.integers(1, 500))
def test_pairs_and_orthogonality_are_those_of_all_cosines_however_many_are_compared_at_once(
    seed: int, at_once: int
) -> None:
    kernels = random_kernels(40, 1, 2, 2, seed=seed)
    kernels[5], kernels[9], kernels[11] = 0, 2 * kernels[3], -kernels[3]
    unit = torch.nn.functional.normalize(kernels.flatten(1), dim=1)
    cosines = (unit @ unit.T).triu(1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(layer, "_AT_ONCE", at_once)
        found = pairs(kernels, least=0.9)
        mean = orthogonality(kernels)
    for sign, some in zip((1, -1), found, strict=True):
        expected = {(i, j) for i, j in (sign * cosines >= 0.9).nonzero().tolist()} - {(5, j) for j in range(40)}
        assert {(pair.first, pair.second) for pair in some} == expected
        values = [sign * pair.cosine for pair in some]
        assert values == sorted(values, reverse=True)
    assert mean == pytest.approx(1 - float(cosines.abs().sum()) * 2 / (39 * 38))


class Largest(TorchDispatchMode):
    """Numbers in the largest tensor that any operation returns."""

    numbers = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return result


def test_memory_grows_with_the_kernels_and_not_with_their_square(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer, "_AT_ONCE", 2**14)
    kernels = random_kernels(2000, 1, 3, 3)
    kernels[1000:] = kernels[:1000]
    with Largest() as seen:
        found = layer_properties(kernels)
    assert seen.numbers <= 10 * kernels.numel()
    assert {(number, number + 1000) for number in range(1000)} <= {(p.first, p.second) for p in found.duplicates}


def test_of_very_many_pairs_the_closest_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer, "MOST_PAIRS", 3)
    angles = torch.tensor([0.0, 0.1, 0.3, 0.6, 0.3 + math.pi], dtype=torch.float64)
    kernels = torch.stack([angles.cos(), angles.sin()], dim=1).view(5, 1, 1, 2)
    duplicates, negated = pairs(kernels, least=0.5)
    assert [(pair.first, pair.second) for pair in duplicates] == [(0, 1), (1, 2), (0, 2)]
    assert [(pair.first, pair.second) for pair in negated] == [(2, 4), (1, 4), (0, 4)]


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_effective_rank_of_equal_singular_values_is_their_number_and_of_others_less(rank: int) -> None:
    left, _ = torch.linalg.qr(random_kernels(12, rank))
    right, _ = torch.linalg.qr(random_kernels(18, rank, seed=1))
    assert effective_rank((left @ right.T).view(12, 2, 3, 3)) == pytest.approx(rank)
    if rank > 1:
        assert effective_rank((left * torch.arange(1, rank + 1) @ right.T).view(12, 2, 3, 3)) < rank


def test_effective_rank_of_two_to_one_is_that_of_its_definition() -> None:
    kernels = torch.diag(torch.tensor([2.0, 1.0])).view(2, 1, 1, 2)
    entropy = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))  # Roy & Vetterli 2007, definition 1
    assert effective_rank(kernels) == pytest.approx(math.exp(entropy))


def test_variance_entropy_is_zero_for_multiples_of_one_and_full_for_white_slices() -> None:
    shape = random_kernels(3, 3)
    multiples = random_kernels(8, 2, seed=5)[:, :, None, None] * shape
    assert variance_entropy(multiples) == pytest.approx(0, abs=1e-9)
    assert variance_entropy(shape.expand(8, 2, 3, 3)) == 0  # no variance at all
    white = torch.cat([torch.eye(9), -torch.eye(9)]).view(18, 1, 3, 3)
    assert variance_entropy(white) == pytest.approx(math.log10(9))


def test_variance_entropy_is_that_of_a_principal_component_analysis() -> None:
    kernels = random_kernels(20, 3, 3, 3) * torch.tensor([3.0, 1.0, 0.2])
    fractions = torch.linalg.eigvalsh(torch.cov(kernels.reshape(60, 9).T))
    fractions = fractions / fractions.sum()
    assert variance_entropy(kernels) == pytest.approx(float(-(fractions * fractions.log10()).sum()))


def test_orthogonality_is_one_for_orthogonal_kernels_and_zero_for_multiples() -> None:
    assert orthogonality(3 * torch.eye(9).view(9, 1, 3, 3)) == pytest.approx(1)
    assert orthogonality(torch.tensor([1.0, -2.0, 3.0]).view(3, 1, 1, 1) * torch.ones(3, 2, 3, 3)) == pytest.approx(0)
    third = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]).view(3, 1, 1, 2)
    assert orthogonality(third) == pytest.approx(1 - 2 * math.sqrt(0.5) / 3)


def test_sparsity_counts_slices_and_near_zero_counts_weights() -> None:
    kernels = torch.ones(4, 2, 3, 3)
    kernels[0, 0] = 0.009
    kernels[1, 0, 0, 0] = -0.009
    found = layer_properties(kernels)
    assert found.sparsity == pytest.approx(1 / 8)
    assert found.near_zero == pytest.approx(10 / 72)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (8, 16, 1, 1), (4, 1, 1, 7), (2, 3, 11, 11), (64, 3, 2, 2)])
def test_every_kernel_size_has_finite_measures(shape: tuple[int, ...]) -> None:
    found = layer_properties(random_kernels(*shape))
    assert 1 - 1e-9 <= found.effective_rank <= min(shape[0], math.prod(shape[1:])) + 1e-9
    assert 0 <= found.variance_entropy <= math.log10(shape[2] * shape[3]) + 1e-9
    assert found.orthogonality is None or 0 <= found.orthogonality <= 1
