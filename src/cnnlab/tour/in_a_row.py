"""What kernels can do, and two of them one after the other. C channel, H, W image, h, w kernel."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab.edges.borders import pad
from cnnlab.edges.colour import in_space
from cnnlab.filters import bank
from cnnlab.tour.sheet import (
    TIMES,
    Sheet,
    inset_kernel,
    place_of,
    scientific,
    show_image,
    show_kernel,
    show_signed,
    sized,
)
from cnnlab.tour.step import Part, Step


def moved(photo_CHW: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """What simple kernels make of the photograph: name -> (kernel (h, w), image (C, H, W))."""
    kernels = {
        "identity": "identity",
        "shift": "shift(dy=12, dx=20)",
        "blur": "gaussian(sigma=2)",
        "sharpen": "sharpen(amount=2)",
    }
    made = {}
    for name, expression in kernels.items():
        kernel_11hw = bank(expression).kernels.float()
        reach = kernel_11hw.shape[-1] // 2
        padded = pad(photo_CHW[:, None], reach, reach, reach, reach, border="replicate")  # each channel by itself
        made[name] = (kernel_11hw[0, 0], F.conv2d(padded, kernel_11hw)[:, 0])
    return made


def moved_figure(photo_CHW: Tensor, made: dict[str, tuple[Tensor, Tensor]]) -> Sheet:
    """What each kernel makes of the photograph, the kernel in its corner."""
    sheet = Sheet()
    size = sized(photo_CHW[0], 2.62)
    for name, (kernel_hw, image_CHW) in made.items():
        rows, columns = kernel_hw.shape
        axis = sheet.panel(*size, f"{name}\n{rows} {TIMES} {columns} kernel")
        show_image(axis, image_CHW)
        inset_kernel(axis, kernel_hw, float(kernel_hw.abs().max()), 0.36)
    kernel_hw, image_CHW = made["shift"]
    row, column = place_of(kernel_hw)
    dy, dx = kernel_hw.shape[0] // 2 - row, kernel_hw.shape[1] // 2 - column
    same = torch.equal(made["identity"][1], photo_CHW)
    exact = torch.equal(image_CHW[:, dy:, dx:], photo_CHW[:, : photo_CHW.shape[1] - dy, : photo_CHW.shape[2] - dx])
    sheet.caption = (
        f"The identity's image {'equals' if same else 'differs from'} the photograph in every pixel. The shift's image "
        f"{'equals' if exact else 'differs from'} the photograph moved {dy} down and {dx} to the right, in every pixel "
        f"that comes from inside of it. The blur's weights add up to {float(made['blur'][0].sum()):.3f}, the "
        f"sharpening's to {float(made['sharpen'][0].sum()):.3f}: an even surface keeps its brightness."
    )
    return sheet


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

    maps = {
        "first": first_11hw,
        "second": second_11hw,
        "composed": composed_11hw,
        "twice": F.conv2d(F.conv2d(grey_11HW, first_11hw), second_11hw),
        "once": F.conv2d(grey_11HW, composed_11hw),
        "rectified": rectified(grey_11HW),
        "both signs": rectified(grey_11HW) + rectified(-grey_11HW),  # 0 everywhere, if it were linear
    }
    return {name: value[0, 0] for name, value in maps.items()}


def in_a_row_figure(maps: dict[str, Tensor]) -> Sheet:
    """The kernels, both ways without a ReLU and their difference; then with one, and why no kernel can do that."""
    difference_HW = maps["twice"] - maps["once"]
    gap_HW = maps["rectified"] - maps["once"]
    sheet = Sheet()
    size = sized(maps["once"], 2.35)
    for name, heading in (("first", "first kernel"), ("second", "second kernel"), ("composed", "the one they make")):
        rows, columns = maps[name].shape
        show_kernel(sheet.panel(1.55, 1.55, f"{heading}\n{rows} {TIMES} {columns}", row=name == "first"), maps[name])
    limit = float(np.quantile(maps["once"].abs().numpy(), 0.99)) or 1.0
    worst = float(difference_HW.abs().max())
    panels = (
        ("twice", maps["twice"], "one after the other", True),
        ("once", maps["once"], "the one kernel", False),
        ("difference", difference_HW, f"difference:\nat most {scientific(worst)}", False),
        ("rectified", maps["rectified"], "with a ReLU between", True),
        ("gap", gap_HW, f"difference from the one\nkernel: up to {float(gap_HW.abs().max()):.2f}", False),
        ("both signs", maps["both signs"], "response to the image +\nresponse to its negative", False),
    )
    for name, map_HW, heading, first in panels:
        axis = sheet.panel(*size, heading, bar=name in ("difference", "both signs"), row=first)
        show_signed(axis, map_HW, limit, bar=name in ("difference", "both signs"))
    largest, left = float(maps["once"].abs().max()), float(maps["both signs"].abs().max())
    sheet.caption = (
        f"Two kernels in a row and the one kernel that they make differ by at most {scientific(worst)}, which is "
        f"rounding: the responses reach {largest:.2f}. Any linear map gives opposite responses to an image and to its "
        f"negative, so that both add up to 0. With a ReLU between the kernels they add up to as much as {left:.2f}: "
        f"there is no kernel, of whatever size, that does the same."
    )
    return sheet


STEP = Step(
    "rows",
    "What kernels can do, and why one after the other needs a ReLU",
    (
        "A kernel with a single 1 in its middle leaves the image as it is. Move the 1, and the image moves. Every "
        "kernel is a sum of such moved ones, each with its weight: a blur adds up many moved copies, a sharpening "
        "takes the neighbours away.",
        "Two kernels one after the other are a kernel again, a larger one. So a network of convolutions alone, "
        "however deep, is one convolution. Put a ReLU between them (negative responses become 0), and no single "
        "kernel does the same any more.",
    ),
    (
        Part("5_moved", (moved,), "figure = moved_figure(photo_CHW, moved(photo_CHW))"),
        Part("5_in_a_row", (in_a_row,), "figure = in_a_row_figure(in_a_row(photo_CHW))"),
    ),
)
