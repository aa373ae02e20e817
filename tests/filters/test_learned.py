"""Laws of filters learned from patches. N patches of c channels and h by w pixels, K kernels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from torch import Tensor

from cnnlab.filters import bank
from cnnlab.filters.expression import patch_size


def smooth_patches(seed: int, count: int = 400, side: int = 5, channels: int = 1) -> Tensor:
    """Correlated patches (N, c, h, w): neighbouring pixels share noise, as in photographs."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(count, channels, side + 2, side + 2, generator=generator, dtype=torch.float64)
    return torch.nn.functional.avg_pool2d(noise, 3, stride=1)


def responses(patches_Nchw: Tensor, kernels_K1hw: Tensor) -> Tensor:
    """(N c, K)."""
    return patches_Nchw.flatten(0, 1).flatten(1) @ kernels_K1hw.flatten(1).T


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), side=st.integers(2, 6), channels=st.integers(1, 3))
def test_pca_is_orthonormal_and_its_responses_are_uncorrelated_with_falling_variance(seed, side, channels) -> None:
    patches = smooth_patches(seed, side=side, channels=channels)
    pca = bank("pca", patches=patches)
    rows = pca.kernels.flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(side**2, dtype=torch.float64))
    covariance = torch.cov(responses(patches, pca.kernels).T)
    variances = covariance.diagonal()
    torch.testing.assert_close(covariance, torch.diag(variances), atol=1e-12, rtol=0)
    assert (variances.diff() <= 1e-12).all()


def test_pca_is_scikit_learns_up_to_sign() -> None:
    patches = smooth_patches(0)
    theirs = PCA(n_components=6).fit(patches.flatten(1).numpy()).components_
    ours = bank("pca(components=6)", patches=patches).kernels.flatten(1).numpy()
    signs = np.sign((ours * theirs).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(ours * signs, theirs, atol=1e-8)


def test_the_sign_of_a_component_does_not_depend_on_the_order_of_the_patches() -> None:
    patches = smooth_patches(1)
    forward, backward = (bank("pca", patches=p).kernels for p in (patches, patches.flip(0)))
    torch.testing.assert_close(forward, backward, atol=1e-8, rtol=0)


@pytest.mark.parametrize("kind", ["zca", "pca"])
@pytest.mark.parametrize(("epsilon", "tolerance"), [(0.0, 1e-9), (1e-5, 5e-3)])
def test_whitened_patches_have_the_identity_as_covariance(kind: str, epsilon: float, tolerance: float) -> None:
    patches = smooth_patches(2, channels=2)
    whitening = bank("whitening", patches=patches, kind=kind, epsilon=epsilon)
    covariance = torch.cov(responses(patches, whitening.kernels).T)
    torch.testing.assert_close(covariance, torch.eye(25, dtype=torch.float64), atol=tolerance, rtol=0)


def test_zca_is_the_symmetric_whitening_and_closest_to_the_pixels() -> None:
    patches = smooth_patches(3)
    zca, rotated = (bank("whitening", patches=patches, kind=kind, epsilon=0.0) for kind in ("zca", "pca"))
    rows = zca.kernels.flatten(1)
    torch.testing.assert_close(rows, rows.T)
    assert zca.names[7] == "whitening_1_2"
    assert zca.kernels[7, 0].argmax() == 7
    centred = patches - patches.mean(dim=0)
    pixels = centred.flatten(1)
    distances = [(responses(centred, bank_.kernels) - pixels).square().mean() for bank_ in (zca, rotated)]
    assert distances[0] < distances[1]


def test_epsilon_damps_the_weak_components() -> None:
    patches = smooth_patches(4)
    norms = [bank("whitening", patches=patches, epsilon=e).kernels.norm().item() for e in (0.0, 0.1, 1.0)]
    assert norms[0] > 1.5 * norms[1] > 1.5 * 1.5 * norms[2]


def test_float32_patches_give_float64_kernels_close_to_those_of_float64() -> None:
    patches = smooth_patches(5)
    single, double = (bank("pca(components=1)", patches=p).kernels for p in (patches.float(), patches))
    assert single.dtype == torch.float64
    torch.testing.assert_close(single, double, atol=1e-5, rtol=0)


def test_patches_that_cannot_be_whitened_or_read_are_refused() -> None:
    with pytest.raises(ValueError, match=r"whitening: epsilon=0.0 is not valid.* variances are 0"):
        bank("whitening(epsilon=0.0)", patches=smooth_patches(0, count=10))
    with pytest.raises(ValueError, match="float tensor"):
        bank("pca", patches=torch.zeros(4, 1, 3, 3, dtype=torch.uint8))
    with pytest.raises(ValueError, match="float tensor"):
        bank("pca", patches=torch.zeros(4, 3, 3))
    with pytest.raises(ValueError, match="at least two and finite"):
        bank("pca", patches=torch.full((4, 1, 3, 3), float("nan")))
    with pytest.raises(ValueError, match=r"pca: components=10 is not valid; valid: an integer from 1 to 9"):
        bank("pca", patches=torch.rand(40, 1, 3, 3), components=10)


@pytest.mark.parametrize("name", ["pca", "whitening"])
def test_size_learns_from_the_middle_of_the_patches(name: str) -> None:
    patches = torch.rand(200, 1, 7, 5, generator=torch.Generator().manual_seed(0))
    found = bank(f"{name}(size=3)", patches=patches)
    expected = bank(name, patches=patches[..., 2:5, 1:4])
    assert torch.equal(found.kernels, expected.kernels)
    assert found.names == expected.names


@pytest.mark.parametrize("size", [0, 2, 7, "3"])
def test_a_size_without_a_middle_is_refused(size: object) -> None:
    with pytest.raises(ValueError, match="size"):
        bank("pca", size=size, patches=torch.rand(9, 1, 5, 5))


def test_the_size_asked_of_learned_families_is_known_before_the_patches() -> None:
    assert patch_size("sobel(size=7) + pca(size=5) + whitening") == 5
    assert patch_size("pca + sobel(size=5)") is None
