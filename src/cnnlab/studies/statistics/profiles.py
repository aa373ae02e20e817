"""What a layer of linear filters does to the statistics of images: how its energy lies on their principal components.

Chowers & Weiss 2023, ICML, "What do CNNs Learn in the First Layer and Why? A Linear Systems Perspective": trained first
layers have nearly the same energy on each component whatever they started from, about that of a whitening layer.

O filter, C channel, h, w kernel, D = C h w, N patch.
"""

import torch
from torch import Tensor

from cnnlab.filters.learned import components_of

EPSILON = 0.01  # of the whitening layer: added to each variance, as a fraction of the largest
RANDOM_LAYERS = 2000


def patch_components(patch_NChw: Tensor) -> tuple[Tensor, Tensor]:
    """(D,) variances, falling, and (D, D) components in rows, float64."""
    return components_of(patch_NChw.double().flatten(1))


def energy_profile(kernel_OChw: Tensor, rows_DD: Tensor) -> Tensor:
    """(D,) float64: the fraction of the layer's energy on each component; sums to 1. NaN for a layer of zeros."""
    energy_D = (kernel_OChw.double().flatten(1) @ rows_DD.T).square().sum(0)
    return energy_D / energy_D.sum()


def whitening_profile(variance_D: Tensor) -> Tensor:
    """(D,): of the layer that brings every component to the same variance, weak ones damped."""
    energy_D = 1 / (variance_D + EPSILON * variance_D.max())
    return energy_D / energy_D.sum()


def profile_correlation(profile_D: Tensor, other_D: Tensor) -> float:
    """Pearson's correlation of two profiles: 1 for equal shapes. NaN where one is flat."""
    one, other = profile_D - profile_D.mean(), other_D - other_D.mean()
    return float((one @ other) / (one.norm() * other.norm()))


def random_correlation(profile_D: Tensor, filters: int, quantile: float = 0.95, seed: int = 0) -> float:
    """The null: below this value lie 95 of 100 layers of so many isotropic random filters."""
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn(RANDOM_LAYERS, filters, len(profile_D), generator=generator, dtype=torch.float64)
    energy_LD = draw.square().sum(1)
    return float(
        torch.tensor([profile_correlation(one_D, profile_D) for one_D in energy_LD], dtype=torch.float64).quantile(
            quantile
        )
    )
