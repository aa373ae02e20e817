"""What the tour's page plays with: a small copy of the photograph and kernels of 3 x 3. H, W image, h, w kernel."""

import base64
from typing import TypedDict

import torch
from torch import Tensor

from cnnlab.data.photographs.windows import fitted
from cnnlab.edges.colour import in_space
from cnnlab.filters import bank

SHORT = 144  # pixels of the shorter side
KERNELS = {  # what the page calls it -> expression
    "Sobel, along x": "sobel(normalise=integers)[dx]",
    "Sobel, along y": "sobel(normalise=integers)[dy]",
    "Prewitt, along x": "prewitt(normalise=integers)[dx]",
    "Prewitt, along y": "prewitt(normalise=integers)[dy]",
    "Scharr, along x": "scharr(normalise=integers)[dx]",
    "central difference, along x": "central[dx]",
    "second difference, along y": "central(order=2, normalise=integers)[dyy]",
    "Laplacian, 4 neighbours": "laplacian(normalise=integers)",
    "Laplacian, 8 neighbours": "laplacian(neighbours=8, normalise=integers)",
    "Kirsch compass": "kirsch[0]",
    "identity": "identity",
    "shift by one, right": "shift(dx=1)",
    "shift by one, up and left": "shift(dy=-1, dx=-1)",
    "box blur": "box",
    "Gaussian blur": "gaussian(sigma=0.8, size=3)",
    "sharpen": "sharpen",
}


class Kernel(TypedDict):
    name: str
    weights: list[float]  # nine, row by row


class Playground(TypedDict):
    """size (H, W); colour, grey: base64 of uint8, (H, W, 3) and (H, W)."""

    size: list[int]
    colour: str
    grey: str
    kernels: list[Kernel]


def playground(photo_CHW: Tensor) -> Playground:
    """The photograph, small, and KERNELS."""
    height, width = photo_CHW.shape[1:]
    scale = SHORT / min(height, width)
    small_CHW = (255 * fitted(photo_CHW, (round(height * scale), round(width * scale)))).round()
    grey_HW = in_space(small_CHW[None], "grey")[0, 0].round()
    return {
        "size": list(small_CHW.shape[1:]),
        "colour": _text(small_CHW.permute(1, 2, 0)),
        "grey": _text(grey_HW),
        "kernels": [{"name": name, "weights": three_by_three(expression)} for name, expression in KERNELS.items()],
    }


def three_by_three(expression: str) -> list[float]:
    """The weights of the one kernel that an expression names, row by row."""
    kernel_11hw = bank(expression).kernels
    assert kernel_11hw.shape == (1, 1, 3, 3), expression
    weights: list[float] = kernel_11hw.flatten().tolist()
    return weights


def _text(pixels: Tensor) -> str:
    return base64.b64encode(pixels.to(torch.uint8).contiguous().numpy().tobytes()).decode()
