"""How far the direction of an estimated gradient is off. A angles, h w kernel sides."""

import math

import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.filters import FilterBank

ANGLES = 19  # every 5 degrees of a quarter turn, after which the errors repeat


def orientation_errors(bank: FilterBank, frequency: float, angles: int = ANGLES) -> Tensor:
    """(A,) float64, degrees: the estimated minus the true direction of a plane wave cos(k·x), at A directions.

    Directions run from 0 to 90 degrees, both included. `frequency` is |k| in radians a pixel, above 0, up to pi. The
    estimate is atan2 of the two kernels' amplitudes, which for antisymmetric kernels is the same at every phase of
    the wave. ValueError unless the bank is one (dy, dx) pair of odd side.
    """
    if len(bank.vectors) != 1 or len(bank.vectors[0]) != 2 or bank.kernels.shape[-1] % 2 == 0:
        raise UsageError(f"the orientation error needs one pair (dy, dx) of kernels with a middle, got {bank!r}")
    dy_hw, dx_hw = bank.kernels[list(bank.vectors[0]), 0]
    y, x = (torch.arange(side, dtype=torch.float64) - side // 2 for side in dy_hw.shape)
    true_A = torch.linspace(0, math.pi / 2, angles, dtype=torch.float64)
    phase_Ahw = frequency * (true_A.sin()[:, None, None] * y[:, None] + true_A.cos()[:, None, None] * x)
    down_A, across_A = ((kernel_hw * phase_Ahw.sin()).sum((-2, -1)) for kernel_hw in (dy_hw, dx_hw))
    return torch.rad2deg(torch.atan2(down_A, across_A) - true_A)
