"""Laws of compass kernels, of the Frei-Chen basis and of the cosine basis."""

import math

import numpy as np
import pytest
import scipy.fft
import torch

from cnnlab.filters import bank

COMPASS = ["kirsch", "robinson(levels=3)", "robinson(levels=5)"]


@pytest.mark.parametrize("expression", COMPASS)
def test_each_compass_kernel_responds_with_one_to_a_ramp_its_own_way_and_zero_across_and_to_a_constant(
    expression,
) -> None:
    axis = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    for k, kernel in enumerate(bank(expression).kernels[:, 0]):
        cos, sin = math.cos(math.pi * k / 4), math.sin(math.pi * k / 4)
        assert (kernel * (x * cos + y * sin)).sum().item() == pytest.approx(1)
        assert (kernel * (y * cos - x * sin)).sum().item() == pytest.approx(0, abs=1e-14)
        assert kernel.sum().item() == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("expression", COMPASS)
def test_two_places_on_the_ring_are_a_quarter_turn(expression: str) -> None:
    kernels = bank(expression).kernels
    for k in range(8):
        assert torch.equal(torch.rot90(kernels[k], -1, dims=(-2, -1)), kernels[(k + 2) % 8])


def test_the_integer_forms_are_the_printed_kernels() -> None:
    kirsch = bank("kirsch", normalise="integers")
    assert kirsch.names == tuple(f"kirsch_{d}" for d in ("e", "se", "s", "sw", "w", "nw", "n", "ne"))
    assert kirsch.select("kirsch_n").kernels[0, 0].tolist() == [[5, 5, 5], [-3, 0, -3], [-3, -3, -3]]
    assert kirsch.select("kirsch_nw").kernels[0, 0].tolist() == [[5, 5, -3], [5, 0, -3], [-3, -3, -3]]
    robinson = bank("robinson", normalise="integers")
    assert robinson.select("robinson_ne").kernels[0, 0].tolist() == [[0, 1, 2], [-1, 0, 1], [-2, -1, 0]]


@pytest.mark.parametrize(("levels", "family"), [(3, "prewitt"), (5, "sobel")])
def test_robinsons_axes_are_prewitt_and_sobel(levels: int, family: str) -> None:
    robinson, pair = bank("robinson", levels=levels), bank(family)
    torch.testing.assert_close(robinson[2, 0].kernels, pair.kernels)


def test_frei_chen_is_an_orthonormal_basis_whose_edges_lead_with_the_gradient() -> None:
    frei_chen = bank("frei_chen")
    rows = frei_chen.kernels.flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(9, dtype=torch.float64))
    ramp = torch.arange(3.0).double().expand(3, 3)
    responses = rows @ ramp.flatten()
    assert responses[frei_chen.names.index("frei_chen_dx")] > 0
    assert abs(responses[frei_chen.names.index("frei_chen_dy")]) < 1e-12
    assert rows[:8].sum(dim=1).abs().max() < 1e-14
    assert frei_chen.vectors == ((0, 1, 2, 3), (4, 5, 6, 7))


def test_the_norms_of_edge_line_and_mean_share_out_the_energy_of_a_patch() -> None:
    frei_chen = bank("frei_chen")
    patch = torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    responses = (frei_chen.kernels[:, 0] * patch).sum(dim=(-2, -1))
    parts = [responses[list(vector)].square().sum() for vector in frei_chen.vectors] + [responses[8] ** 2]
    torch.testing.assert_close(sum(parts), patch.square().sum())


def test_an_edge_lies_in_the_edge_subspace_and_a_line_in_the_line_subspace() -> None:
    frei_chen = bank("frei_chen")
    step = torch.tensor([[-1.0, 0, 1]] * 3).double()
    line = torch.tensor([[-1.0, 2, -1]] * 3).double()
    for patch, own, other in ((step, 0, 1), (line, 1, 0)):
        responses = (frei_chen.kernels[:, 0] * patch).sum(dim=(-2, -1))
        norms = [responses[list(vector)].norm() for vector in frei_chen.vectors]
        torch.testing.assert_close(norms[own], patch.norm())
        assert norms[other] < 1e-12


@pytest.mark.parametrize("size", [2, 3, 5, 8])
def test_the_cosine_basis_is_orthonormal_and_scipys_transform(size: int) -> None:
    dct = bank("dct", size=size)
    rows = dct.kernels.flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(size**2, dtype=torch.float64))
    patch = np.random.default_rng(0).random((size, size))
    ours = (dct.kernels[:, 0].numpy() * patch).sum(axis=(1, 2)).reshape(size, size)
    np.testing.assert_allclose(ours, scipy.fft.dctn(patch, norm="ortho"), atol=1e-13)
    assert dct.names[size + 1] == "dct_1_1"


def test_the_cosine_basis_without_dc_responds_with_zero_to_a_constant() -> None:
    dct = bank("dct", size=4, dc=False)
    assert len(dct) == 15
    assert dct.kernels.sum(dim=(-2, -1)).abs().max() < 1e-14
