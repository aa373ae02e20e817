"""Energy profiles: what a layer does to each component of image patches."""

import pytest
import torch
from torch import Tensor

from cnnlab.studies.statistics.profiles import (
    energy_profile,
    patch_components,
    profile_correlation,
    random_correlation,
    whitening_profile,
)


def patches() -> Tensor:
    noise = torch.randn(20_000, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.avg_pool2d(noise, 3, stride=1)


def test_the_components_themselves_have_a_flat_profile_and_one_alone_all_of_it() -> None:
    variance_D, rows_DD = patch_components(patches())
    assert (variance_D.diff() <= 0).all()
    layer = rows_DD.reshape(9, 1, 3, 3)
    torch.testing.assert_close(energy_profile(layer, rows_DD), torch.full((9,), 1 / 9, dtype=torch.float64))
    torch.testing.assert_close(energy_profile(layer[2:3], rows_DD), torch.eye(9, dtype=torch.float64)[2])


def test_a_profile_knows_no_scale_no_sign_and_no_rotation_of_the_filters() -> None:
    _, rows_DD = patch_components(patches())
    layer = torch.randn(6, 1, 3, 3, generator=torch.Generator().manual_seed(1)).double()
    turn, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(2)).double())
    turned = torch.einsum("ij,jchw->ichw", turn, layer) * -3
    torch.testing.assert_close(energy_profile(turned, rows_DD), energy_profile(layer, rows_DD))


def test_whitening_filters_are_like_whitening_and_the_mean_is_not() -> None:
    variance_D, rows_DD = patch_components(patches())
    white_D = whitening_profile(variance_D)
    whitening = (rows_DD / (variance_D + 0.01 * variance_D.max()).sqrt()[:, None]).reshape(9, 1, 3, 3)
    assert profile_correlation(energy_profile(whitening, rows_DD), white_D) == pytest.approx(1)
    assert profile_correlation(energy_profile(torch.ones(1, 1, 3, 3), rows_DD), white_D) < 0


@pytest.mark.parametrize("filters", [4, 9, 64])
def test_five_of_a_hundred_random_layers_lie_above_the_null(filters: int) -> None:
    variance_D, _ = patch_components(patches())
    white_D = whitening_profile(variance_D)
    null = random_correlation(white_D, filters)
    draw = torch.randn(4000, filters, 9, generator=torch.Generator().manual_seed(7)).double().square().sum(1)
    above = sum(profile_correlation(energy_D, white_D) > null for energy_D in draw) / 4000
    assert above == pytest.approx(0.05, abs=0.02)
