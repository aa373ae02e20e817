"""The tour's steps on derivatives: what is computed. The page and the notebook show these functions as they stand.

C channel, H, W image, K kernel, h, w kernel sides, n taps, M places.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab.edges.borders import pad
from cnnlab.edges.colour import in_space
from cnnlab.edges.gradient import direction, length
from cnnlab.filters import bank


def a_row(photo_CHW: Tensor, share: float = 0.5) -> tuple[int, Tensor, Tensor]:
    """A row of the photograph: its number, its intensities (W,), and their central difference (f(x+1) - f(x-1)) / 2."""
    grey_11HW = in_space(photo_CHW[None], "grey")
    row = int(share * (grey_11HW.shape[-2] - 1))
    taps_111w = bank("central[dx]").kernels.float()[:, :, 1:2]  # [-1 0 1] / 2
    slope_11HW = F.conv2d(pad(grey_11HW, 0, 0, 1, 1, border="replicate"), taps_111w)
    return row, grey_11HW[0, 0, row], slope_11HW[0, 0, row]


class Accuracy(NamedTuple):
    """Root mean square errors (M,) of a difference with steps h (M,), the h with the least one, and the slope of
    log error over log h where h is much larger than that."""

    taps: int
    h: Tensor
    error: Tensor
    best: float
    slope: float


def accuracy(order: int, f: Callable = torch.sin, derivative: Callable = torch.cos) -> Accuracy:
    """How far the central difference of this order of accuracy is from the true derivative, for h from 1 to 10⁻¹²."""
    kernel_hw = bank("central", accuracy=order)["dx"].kernels[0, 0]
    taps_n = kernel_hw[order // 2]  # the middle row
    reach_n = torch.arange(len(taps_n), dtype=torch.float64) - order // 2
    x_M1 = torch.linspace(0, 6, 200, dtype=torch.float64)[:, None]
    h = 10 ** torch.linspace(-12, 0, 121, dtype=torch.float64)
    estimates = torch.stack([f(x_M1 + step * reach_n) @ taps_n / step for step in h])
    error = (estimates - derivative(x_M1[:, 0])).square().mean(1).sqrt()
    best = float(h[error.argmin()])
    clean = (h > 20 * best) & (h < 0.3)
    slope = torch.linalg.lstsq(
        torch.stack([h.log(), torch.ones_like(h)], dim=1)[clean], error.log()[clean][:, None]
    ).solution[0]
    return Accuracy(len(taps_n), h, error, best, float(slope))


def contours(photo_CHW: Tensor, filters: str = "prewitt(normalise=integers)") -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Answers along x and along y to the photograph in grey, 0 to 255; their length; their direction in radians.

    Each is (H, W). The direction is that of the normal, from +x (right) towards +y (down), modulo pi.
    """
    grey_11HW = (255 * in_space(photo_CHW[None], "grey")).round()
    kernel_K1hw = bank(filters).select("dy", "dx").kernels.float()
    answer_1KHW = F.conv2d(pad(grey_11HW, 1, 1, 1, 1, border="reflect"), kernel_K1hw)
    dy_HW, dx_HW = answer_1KHW[0]
    return dx_HW, dy_HW, length(dy_HW, dx_HW), direction(dy_HW, dx_HW)
