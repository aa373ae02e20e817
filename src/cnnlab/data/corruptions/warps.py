"""Changes of place. `warp` is what the rest is made of; a map says for each pixel where its value comes from.

B batch, C channel, H height, W width. Positions are in pixels, y down, x right.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab.data.corruptions.draws import Draws


def warp(image_BCHW: Tensor, from_y_BHW: Tensor, from_x_BHW: Tensor, border: str) -> Tensor:
    """out[y, x] = in[from_y, from_x], bilinear. border: "zeros", or "border" for the nearest pixel."""
    height, width = image_BCHW.shape[-2:]
    grid_BHW2 = torch.stack([2 * from_x_BHW / max(width - 1, 1) - 1, 2 * from_y_BHW / max(height - 1, 1) - 1], dim=-1)
    return F.grid_sample(image_BCHW, grid_BHW2.to(image_BCHW), "bilinear", border, align_corners=True)


def places(image_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """(1, H, 1) y and (1, 1, W) x of the pixels, float64 so that large images lose nothing."""
    height, width = image_BCHW.shape[-2:]
    y_H, x_W = (torch.arange(n, dtype=torch.float64, device=image_BCHW.device) for n in (height, width))
    return y_H[None, :, None], x_W[None, None, :]


def affine(image_BCHW: Tensor, matrix_B22: Tensor, border: str = "zeros") -> Tensor:
    """in-place = centre + matrix (out-place - centre), rows and columns of the matrix in the order (x, y)."""
    y_1H1, x_11W = places(image_BCHW)
    y_1H1, x_11W = y_1H1 - (image_BCHW.shape[-2] - 1) / 2, x_11W - (image_BCHW.shape[-1] - 1) / 2
    (xx, xy), (yx, yy) = matrix_B22.double()[:, :, :, None, None].permute(1, 2, 0, 3, 4)
    from_x_BHW = xx * x_11W + xy * y_1H1 + (image_BCHW.shape[-1] - 1) / 2
    from_y_BHW = yx * x_11W + yy * y_1H1 + (image_BCHW.shape[-2] - 1) / 2
    return warp(image_BCHW, from_y_BHW, from_x_BHW, border)


def shear(image_BCHW: Tensor, parameters: tuple[float], pixel: float, draws: Draws) -> Tensor:
    """The y axis leans to the left or right by an angle in radians and keeps its length."""
    angle_B = parameters[0] * draws.sign()
    rows = [torch.ones_like(angle_B), -angle_B.sin(), torch.zeros_like(angle_B), angle_B.cos()]
    return affine(image_BCHW, torch.stack(rows, dim=1).unflatten(1, (2, 2)))


def rotate(image_BCHW: Tensor, parameters: tuple[float], pixel: float, draws: Draws) -> Tensor:
    """About the centre, to the left or right, by an angle in radians."""
    angle_B = parameters[0] * draws.sign()
    rows = [angle_B.cos(), -angle_B.sin(), angle_B.sin(), angle_B.cos()]
    return affine(image_BCHW, torch.stack(rows, dim=1).unflatten(1, (2, 2)))


def scale(image_BCHW: Tensor, parameters: tuple[float], pixel: float, draws: Draws) -> Tensor:
    """Smaller, to a share of its sides, on black."""
    matrix_22 = torch.eye(2, dtype=torch.float64, device=image_BCHW.device) / parameters[0]
    return affine(image_BCHW, matrix_22.expand(len(image_BCHW), 2, 2))


def translate(image_BCHW: Tensor, parameters: tuple[float], pixel: float, draws: Draws) -> Tensor:
    """By so many pixels of the benchmark along both axes, each to either side."""
    offset_B2 = parameters[0] * pixel * draws.sign(2).double()
    y_1H1, x_11W = places(image_BCHW)
    from_y_BHW = y_1H1 + offset_B2[:, 0, None, None] + 0 * x_11W
    from_x_BHW = x_11W + offset_B2[:, 1, None, None] + 0 * y_1H1
    return warp(image_BCHW, from_y_BHW, from_x_BHW, "zeros")


def elastic(image_BCHW: Tensor, parameters: tuple[float, float], pixel: float, draws: Draws) -> Tensor:
    """Every pixel moves by a smooth random amount.

    parameters: the root mean square of the displacement along each axis, and the standard deviation of the Gaussian
    that smooths it, both as shares of the shorter side.
    """
    height, width = image_BCHW.shape[-2:]
    amount, smoothness = (share * min(height, width) for share in parameters)
    field_B2HW = smooth(draws.uniform(-1, 1, 2, height, width), smoothness)
    field_B2HW = amount * field_B2HW / field_B2HW.square().mean((2, 3), keepdim=True).sqrt().clamp(min=1e-12)
    y_1H1, x_11W = places(image_BCHW)
    return warp(image_BCHW, y_1H1 + field_B2HW[:, 0], x_11W + field_B2HW[:, 1], "border")


def smooth(image_BCHW: Tensor, deviation: float) -> Tensor:
    """Gaussian of `deviation` pixels, cut off at 4 of them, the border repeated; as in scipy and scikit-image."""
    rows_HH, columns_WW = (smoother(size, deviation).to(image_BCHW) for size in image_BCHW.shape[-2:])
    return rows_HH @ image_BCHW @ columns_WW.T


def smoother(size: int, deviation: float) -> Tensor:
    """(size, size) float64. As a product of matrices a wide Gaussian costs no more than a narrow one."""
    taps_N = gaussian_taps(deviation)
    place_S1 = torch.arange(size)[:, None]
    from_SN = (place_S1 + torch.arange(len(taps_N)) - len(taps_N) // 2).clamp(0, size - 1)
    return torch.zeros(size, size, dtype=torch.float64).scatter_add_(1, from_SN, taps_N.expand(size, -1))


def gaussian_taps(deviation: float) -> Tensor:
    """(2 r + 1,) float64 that sum to 1; r is 4 deviations, rounded."""
    offset_N = torch.arange(-math.floor(4 * deviation + 0.5), math.floor(4 * deviation + 0.5) + 1, dtype=torch.float64)
    taps_N = torch.exp(-((offset_N / max(deviation, 1e-9)) ** 2) / 2)
    return taps_N / taps_N.sum()
