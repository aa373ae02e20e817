"""What a notebook shows of a detector. H W image, K kernels of h w."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import torch
from torch import Tensor

from cnnlab.draw.boundaries import detector_figure
from cnnlab.draw.edges import ink_picture, orientation_picture
from cnnlab.edges.contract import Detector

SIDE = 96  # pixels of the picture


def detector_png(detector: Detector, kernels_Khw: np.ndarray, names: Sequence[str]) -> bytes:
    """Its kernels; below, a small picture, its edges in colour by orientation, and the thinned edges."""
    image_1CHW = example_picture()
    edges, thin = detector.both(image_1CHW)
    strength_HW, orientation_HW, thin_HW = (field[0, 0].detach().cpu().numpy() for field in (*edges, thin))
    panels = {
        "a picture": image_1CHW[0].permute(1, 2, 0).numpy(),
        "its edges, by orientation": orientation_picture(strength_HW, orientation_HW),
        "thinned": ink_picture(thin_HW),
    }
    content = BytesIO()
    detector_figure(kernels_Khw, names, panels).savefig(content, format="png", dpi=100)
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
