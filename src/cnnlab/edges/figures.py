"""What a notebook shows of a detector. H W image, K kernels of h w."""

from io import BytesIO
from typing import Protocol

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from cnnlab.edges.contract import Detector
from cnnlab.edges.pictures import ink_picture, orientation_picture

SIDE = 96  # pixels of the picture
MOST = 16  # kernels


class Kernels(Detector, Protocol):
    """A detector that shows its kernels."""

    def shown_kernels(self) -> tuple[np.ndarray, list[str]]:
        """(K, h, w), and the name of each."""


def detector_png(detector: Kernels) -> bytes:
    """A PNG: the kernels above; below, a small picture, its edges in colour by orientation, and the thinned edges."""
    kernels_Khw, names = detector.shown_kernels()
    image_1CHW = example_picture()
    edges, thin = detector.both(image_1CHW)
    strength_HW, orientation_HW, thin_HW = (field[0, 0].detach().cpu().numpy() for field in (*edges, thin))
    panels = {
        "a picture": image_1CHW[0].permute(1, 2, 0).numpy(),
        "its edges, by orientation": orientation_picture(strength_HW, orientation_HW),
        "thinned": ink_picture(thin_HW),
    }
    figure = Figure(figsize=(7.5, 3.8), layout="constrained")
    rows = figure.add_gridspec(2, 1, height_ratios=(1, 2.4))
    top, bottom = figure.add_subfigure(rows[0]), figure.add_subfigure(rows[1])
    count = min(len(names), MOST)
    for axis, kernel_hw, name in zip(top.subplots(1, count, squeeze=False)[0], kernels_Khw, names, strict=False):
        reach = np.abs(kernel_hw).max()
        axis.imshow(kernel_hw, cmap="RdBu_r", vmin=-reach, vmax=reach)
        axis.set_title(name.partition("_")[2] or name, fontsize=7)  # gaussian_dx: dx
        axis.set_axis_off()
    for axis, (title, picture) in zip(bottom.subplots(1, len(panels)), panels.items(), strict=True):
        axis.imshow(picture)
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    content = BytesIO()
    figure.savefig(content, format="png", dpi=100)
    return content.getvalue()


def example_picture() -> Tensor:
    """(1, 3, SIDE, SIDE) in [0, 1]: a disc and a slanted bar in colours of nearly one brightness, and stripes."""
    y_HW, x_HW = torch.meshgrid(*[torch.arange(float(SIDE))] * 2, indexing="ij")
    image_CHW = torch.tensor([0.45, 0.5, 0.55]).view(3, 1, 1).repeat(1, SIDE, SIDE)
    for inside_HW, colour in (
        ((y_HW - 34).hypot(x_HW - 32) < 22, (0.8, 0.4, 0.3)),
        (((y_HW - 2 * x_HW + 62).abs() < 16) & (y_HW > 12) & (y_HW < 84), (0.2, 0.6, 0.4)),
        ((y_HW > 66) & (x_HW < 40) & ((x_HW // 4) % 2 == 0), (0.9, 0.9, 0.9)),
    ):
        image_CHW[:, inside_HW] = torch.tensor(colour).view(3, 1)
    return image_CHW[None]
