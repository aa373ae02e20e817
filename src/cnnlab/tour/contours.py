"""Derivatives along x and along y. C channel, H, W image, K kernel, h, w kernel sides."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab.draw.edges import ink_picture, orientation_picture
from cnnlab.edges.borders import pad
from cnnlab.edges.colour import in_space
from cnnlab.edges.gradient import direction, length
from cnnlab.filters import bank
from cnnlab.tour.sheet import Sheet, place_of, show_image, show_signed, sized
from cnnlab.tour.step import Part, Step


def contours(photo_CHW: Tensor, filters: str = "prewitt(normalise=integers)") -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Responses along x and along y to the photograph in grey, 0 to 255; their length; their direction in radians.

    Each is (H, W). The direction is that of the normal, from +x (right) towards +y (down), modulo pi.
    """
    grey_11HW = (255 * in_space(photo_CHW[None], "grey")).round()
    kernel_K1hw = bank(filters).select("dy", "dx").kernels.float()
    response_1KHW = F.conv2d(pad(grey_11HW, 1, 1, 1, 1, border="reflect"), kernel_K1hw)
    dy_HW, dx_HW = response_1KHW[0]
    return dx_HW, dy_HW, length(dy_HW, dx_HW), direction(dy_HW, dx_HW)


def contours_figure(
    photo_CHW: Tensor, dx_HW: Tensor, dy_HW: Tensor, magnitude_HW: Tensor, direction_HW: Tensor
) -> Sheet:
    """The responses along x and along y, the magnitude as ink, and the direction as hue."""
    sheet = Sheet()
    size = sized(dx_HW, 3.0)
    show_image(sheet.panel(*size, "the photograph"), photo_CHW)
    limit = float(np.quantile(torch.stack([dx_HW, dy_HW]).abs().numpy(), 0.99)) or 1.0
    show_signed(sheet.panel(*size, "along x: vertical contours"), dx_HW, limit, bar=False)
    show_signed(sheet.panel(*size, "along y: horizontal contours", bar=True), dy_HW, limit)
    show_image(sheet.panel(*size, "magnitude"), ink_picture(magnitude_HW.numpy()))
    hue_HWC = orientation_picture(magnitude_HW.numpy(), direction_HW.numpy())
    show_image(sheet.panel(*size, "orientation as hue"), hue_HWC)
    y, x = place_of(magnitude_HW)
    degrees = float(direction_HW[y, x]) * 180 / np.pi
    sheet.caption = (
        f"The strongest contour lies at row {y}, column {x}: {float(dx_HW[y, x]):+.0f} along x and "
        f"{float(dy_HW[y, x]):+.0f} along y, so a length of {float(magnitude_HW[y, x]):.0f}, and the intensity "
        f"changes along {degrees:.0f} degrees (0 is to the right, 90 is down). The ring in the corner wears the "
        f"colours of its own contour."
    )
    return sheet


STEP = Step(
    "contours",
    "Along x and along y",
    (
        "The same difference taken along x finds vertical contours, and along y horizontal ones. Prewitt's kernels "
        "add three rows, or columns, which makes the response less noisy.",
        "Both responses together are a vector at each pixel, the gradient. Its length says how strong the contour "
        "is, and its direction which way the intensity grows.",
    ),
    (Part("4_contours", (contours,), "figure = contours_figure(photo_CHW, *contours(photo_CHW))"),),
)
