"""The tour's steps on linear maps: what is computed. The page and the notebook show these functions as they stand.

C channel, H, W image, N pixel or neuron, h, w kernel.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnlab.edges.borders import pad
from cnnlab.edges.colour import in_space
from cnnlab.filters import bank
from cnnlab.receptive import ReceptiveField, receptive_fields


def two_matrices(side: int = 8) -> tuple[Tensor, Tensor, ReceptiveField]:
    """The matrices (N, N) of a dense layer and of a convolution on side x side pixels, and the second one's field.

    A row holds the weights of one neuron, a column those that meet one pixel.
    """
    torch.manual_seed(0)
    pixels = side * side
    dense = nn.Linear(pixels, pixels, bias=False)
    convolution = nn.Conv2d(1, 1, kernel_size=3, padding=1, bias=False)
    impulse_N1HW = torch.eye(pixels).view(pixels, 1, side, side)  # image n: pixel n alone is 1
    shared_NN = convolution(impulse_N1HW).flatten(1).T  # what each pixel alone gives to every neuron
    field = receptive_fields(convolution, (1, side, side))[""]
    return dense.weight.detach(), shared_NN.detach(), field


def slide(photo_CHW: Tensor, kernel: str = "sobel(normalise=integers)[dx]") -> tuple[Tensor, Tensor, Tensor]:
    """The photograph in grey, 0 to 255, a kernel (h, w), and its answers: one dot product at each place."""
    grey_11HW = (255 * in_space(photo_CHW[None], "grey")).round()
    kernel_11hw = bank(kernel).kernels.float()
    padded = pad(grey_11HW, 1, 1, 1, 1, border="reflect")
    response_11HW = F.conv2d(padded, kernel_11hw)
    return grey_11HW[0, 0], kernel_11hw[0, 0], response_11HW[0, 0]


def slide_in_colour(photo_CHW: Tensor, weights: tuple[float, ...] = (1, -0.5, -0.5)) -> tuple[Tensor, Tensor, Tensor]:
    """A kernel (C, h, w) with one slice a channel, the answer of each slice (C, H, W), and their sum (H, W)."""
    colour_1CHW = (255 * photo_CHW[None]).round()
    slice_hw = bank("sobel(normalise=integers)[dx]").kernels[0, 0].float()
    kernel_1Chw = torch.tensor(weights).view(1, -1, 1, 1) * slice_hw
    padded = pad(colour_1CHW, 1, 1, 1, 1, border="reflect")
    part_CHW = F.conv2d(padded, kernel_1Chw.transpose(0, 1), groups=len(weights))[0]
    response_HW = F.conv2d(padded, kernel_1Chw)[0, 0]
    return kernel_1Chw[0], part_CHW, response_HW


def moved(photo_CHW: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """What simple kernels make of the photograph: name -> (kernel (h, w), image (C, H, W))."""
    kernels = {
        "identity": "identity",
        "shift": "shift(dy=12, dx=20)",
        "blur": "gaussian(sigma=2)",
        "sharpen": "sharpen(amount=2)",
    }
    found = {}
    for name, expression in kernels.items():
        kernel_11hw = bank(expression).kernels.float()
        reach = kernel_11hw.shape[-1] // 2
        padded = pad(photo_CHW[:, None], reach, reach, reach, reach, border="replicate")  # each channel by itself
        found[name] = (kernel_11hw[0, 0], F.conv2d(padded, kernel_11hw)[:, 0])
    return found


def in_a_row(photo_CHW: Tensor, first: str = "sobel[dx]", second: str = "gaussian(sigma=2)") -> dict[str, Tensor]:
    """Two kernels one after the other, the one kernel that they make, and both again with a ReLU between.

    No border is added, so that nothing but the kernels counts. All in float64.
    """
    grey_11HW = in_space(photo_CHW[None].double(), "grey")
    first_11hw, second_11hw = bank(first).kernels, bank(second).kernels
    reach = first_11hw.shape[-1] - 1
    composed_11hw = F.conv2d(F.pad(second_11hw, (reach,) * 4), first_11hw.flip(-2, -1))

    def rectified(image_11HW: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(image_11HW, first_11hw).relu(), second_11hw)

    found = {
        "first": first_11hw,
        "second": second_11hw,
        "composed": composed_11hw,
        "twice": F.conv2d(F.conv2d(grey_11HW, first_11hw), second_11hw),
        "once": F.conv2d(grey_11HW, composed_11hw),
        "rectified": rectified(grey_11HW),
        "both signs": rectified(grey_11HW) + rectified(-grey_11HW),  # 0 everywhere, if it were linear
    }
    return {name: value[0, 0] for name, value in found.items()}
