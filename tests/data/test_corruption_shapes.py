"""What corruptions make of points, flat images and ramps. B batch, H height, W width, N side of a map."""

import numpy as np
import pytest
import torch
from torch import Tensor

from cnnlab.data.corruptions.corruptions import CORRUPTIONS, SIDES, corrupt
from cnnlab.data.corruptions.draws import Draws
from cnnlab.data.corruptions.light import plasma


def spot(name: str, severity: int, benchmark: str, size: int = 129) -> tuple[Tensor, Tensor, Tensor]:
    """What 40 bright points become, and their (y, x) about the point."""
    image_BCHW = torch.zeros(40, 1, size, size, dtype=torch.float64)
    image_BCHW[:, :, size // 2, size // 2] = 1
    place_S = torch.arange(size, dtype=torch.float64) - size // 2
    answer_BHW = corrupt(image_BCHW, name, severity, range(40), 0, benchmark)[:, 0]
    return answer_BHW, place_S[:, None], place_S[None, :]


@pytest.mark.parametrize("severity", [1, 3, 5])
@pytest.mark.parametrize("benchmark", SIDES)
def test_a_point_out_of_focus_becomes_a_disc_of_its_radius(benchmark: str, severity: int) -> None:
    answer_BHW, y, x = spot("defocus_blur", severity, benchmark)
    (radius,), side = CORRUPTIONS["defocus_blur"].at(severity, benchmark)
    radius *= 129 / side
    torch.testing.assert_close(answer_BHW.sum((1, 2)), torch.ones(40).double())
    for along in (x, y):
        assert float((answer_BHW[0] * along).sum()) == pytest.approx(0, abs=1e-6)
        assert float((answer_BHW[0] * along**2).sum()) == pytest.approx(radius**2 / 4, rel=0.1, abs=0.17)
    assert float(answer_BHW[0][y.abs().maximum(x.abs()) > radius + 1].abs().sum()) < 1e-9


def test_a_moved_point_becomes_a_line_to_one_side_at_up_to_45_degrees() -> None:
    answer_BHW, y, x = spot("motion_blur", 3, "cifar10-c")
    (_, deviation), side = CORRUPTIONS["motion_blur"].at(3, "cifar10-c")
    mean_y, mean_x = ((answer_BHW * along).sum((1, 2)) for along in (y, x))
    torch.testing.assert_close(answer_BHW.sum((1, 2)), torch.ones(40).double())
    expected = deviation * 129 / side * (2 / np.pi) ** 0.5  # the mean of half a Gaussian
    torch.testing.assert_close((mean_y**2 + mean_x**2).sqrt(), torch.full((40,), expected).double(), rtol=0.01, atol=0)
    assert (mean_x < 0).all()  # in[y + dy, x + dx] with dx > 0 moves light to the left
    assert mean_y.min() < -2 < 2 < mean_y.max()
    assert (mean_y.abs() <= mean_x.abs() + 1e-6).all()


def test_zooming_keeps_the_centre_and_moves_the_border_more() -> None:
    ramp_BCHW = torch.linspace(0, 1, 33, dtype=torch.float64).expand(1, 1, 33, 33)
    change_W = (corrupt(ramp_BCHW, "zoom_blur", 5, [0]) - ramp_BCHW)[0, 0, 16]
    assert change_W[16].abs() < 1e-9
    assert change_W[28] < change_W[22] < 0 < change_W[10] < change_W[4]


@pytest.mark.parametrize("name", ["gaussian_blur", "defocus_blur", "motion_blur", "zoom_blur", "glass_blur", "elastic"])
def test_a_flat_image_stays_flat(name: str) -> None:
    flat_BCHW = torch.full((2, 3, 24, 32), 0.4)
    torch.testing.assert_close(corrupt(flat_BCHW, name, 5, [0, 1]), flat_BCHW, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [8, 28, 33])
def test_a_cloud_runs_from_0_to_1_and_has_no_seam(size: int) -> None:
    cloud_BNN = plasma(Draws(0, "fog", range(30), torch.zeros(1)), size, 2.0)
    side = {8: 8, 28: 32, 33: 64}[size]
    assert cloud_BNN.shape == (30, side, side)
    assert cloud_BNN.amin((1, 2)).unique().tolist() == [0]
    assert cloud_BNN.amax((1, 2)).unique().tolist() == [1]
    for axis in (1, 2):
        steps = (cloud_BNN - cloud_BNN.roll(1, axis)).abs().mean((0, 3 - axis))
        assert steps[0] < 1.5 * steps[1:].mean()  # from the last row to the first, as inside
    rough, soft = (plasma(Draws(0, "fog", range(30), torch.zeros(1)), 32, decay) for decay in (1.4, 3.0))
    assert (rough - rough.roll(1, 1)).abs().mean() > 2 * (soft - soft.roll(1, 1)).abs().mean()


@pytest.mark.parametrize("severity", [1, 5])
def test_fog_brightens_up_to_the_brightest_of_the_image_and_no_further(severity: int) -> None:
    flat_BCHW = torch.full((6, 3, 32, 32), 0.3)
    foggy_BCHW = corrupt(flat_BCHW, "fog", severity, range(6))
    torch.testing.assert_close(foggy_BCHW.amax((1, 2, 3)), torch.full((6,), 0.3))  # where the cloud is 1
    ((thickness, _), _) = CORRUPTIONS["fog"].at(severity, "cifar10-c")
    torch.testing.assert_close(foggy_BCHW.amin((1, 2, 3)), torch.full((6,), 0.09 / (0.3 + thickness)))


@pytest.mark.parametrize("side", [8, 28, 224])
def test_the_share_of_mud_does_not_depend_on_the_size_of_the_image(side: int) -> None:
    white_BCHW = torch.ones(200 if side < 100 else 8, 1, side, side)
    for severity, height in ((2, 1.4), (5, 0.4)):
        mud = float((corrupt(white_BCHW, "spatter", severity, range(len(white_BCHW))) < 0.5).float().mean())
        above = 1 - 0.5 * (1 + float(torch.erf(torch.tensor(height / 2**0.5))))
        assert 0.4 * above < mud < 1.05 * above, (severity, mud, above)


def test_lines_only_brighten_and_dots_leave_every_second_pair_of_columns_free() -> None:
    black_BCHW = torch.zeros(30, 1, 28, 28)
    dotted = corrupt(black_BCHW, "dotted_line", 1, range(30)).amax((0, 1, 2))
    assert (dotted > 0.5).tolist() == [column // 2 % 2 == 1 for column in range(28)]
    whole = corrupt(black_BCHW, "zigzag", 1, range(30)).amax((0, 1, 2))
    assert (whole > 0).tolist() == [2 <= column < 25 for column in range(28)]
    for name in ("dotted_line", "zigzag"):
        grey_BCHW = torch.rand(24, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        assert (corrupt(grey_BCHW, name, 5, range(24)) >= grey_BCHW).all()
