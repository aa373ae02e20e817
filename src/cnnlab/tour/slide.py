"""The kernel slides: one dot product at each place. C channel, H, W image, h, w kernel."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from torch import Tensor

from cnnlab._colour import DIVERGING
from cnnlab.draw.tiles import zero_centred
from cnnlab.edges.borders import pad
from cnnlab.edges.colour import in_space
from cnnlab.filters import bank
from cnnlab.tour.sheet import (
    INK,
    MARKS,
    TEXT,
    TIMES,
    Sheet,
    inset_kernel,
    mark,
    on_tile,
    place_of,
    show_image,
    show_numbers,
    show_signed,
    signed,
    sized,
)
from cnnlab.tour.step import Part, Step

Place = tuple[int, int]


def slide(photo_CHW: Tensor, kernel: str = "sobel(normalise=integers)[dx]") -> tuple[Tensor, Tensor, Tensor]:
    """The photograph in grey, 0 to 255, a kernel (h, w), and its response: one dot product at each place."""
    grey_11HW = (255 * in_space(photo_CHW[None], "grey")).round()
    kernel_11hw = bank(kernel).kernels.float()
    padded = pad(grey_11HW, 1, 1, 1, 1, border="reflect")
    response_11HW = F.conv2d(padded, kernel_11hw)
    return grey_11HW[0, 0], kernel_11hw[0, 0], response_11HW[0, 0]


def slide_in_colour(photo_CHW: Tensor, weights: tuple[float, ...] = (1, -0.5, -0.5)) -> tuple[Tensor, Tensor, Tensor]:
    """A kernel (C, h, w) with one slice per channel, the response of each slice (C, H, W), and their sum (H, W)."""
    colour_1CHW = (255 * photo_CHW[None]).round()
    slice_hw = bank("sobel(normalise=integers)[dx]").kernels[0, 0].float()
    kernel_1Chw = torch.tensor(weights).view(1, -1, 1, 1) * slice_hw
    padded = pad(colour_1CHW, 1, 1, 1, 1, border="reflect")
    part_CHW = F.conv2d(padded, kernel_1Chw.transpose(0, 1), groups=len(weights))[0]
    response_HW = F.conv2d(padded, kernel_1Chw)[0, 0]
    return kernel_1Chw[0], part_CHW, response_HW


def sliding_figure(photo_CHW: Tensor, grey_HW: Tensor, kernel_hw: Tensor, response_HW: Tensor) -> Sheet:
    """The photograph with three places, the dot product at each with its numbers, and the response map."""
    h, w = kernel_hw.shape
    places = three_places(grey_HW, response_HW)
    names = ("a rise", "a fall", "no change")
    sheet = Sheet()
    size = sized(grey_HW, 3.35)
    axis = sheet.panel(*size, "the photograph in grey,\nand three places")
    show_image(axis, grey_HW / 255)
    _rings(axis, places, grey_HW.shape)
    axis = sheet.panel(*size, "the responses at all places:\nthe response map", bar=True)
    show_signed(axis, response_HW)
    _rings(axis, places, grey_HW.shape)
    responses = []
    for (y, x), name, colour in zip(places, names, MARKS, strict=False):
        window_hw = grey_HW[y - h // 2 : y - h // 2 + h, x - w // 2 : x - w // 2 + w]
        responses.append(float((window_hw * kernel_hw).sum()))
        heading = f"{name}: the dot product\nis {signed(responses[-1], '.0f')}"
        _dot_product(sheet.panel(3.05, 2.6, heading, row=name == names[0]), window_hw, kernel_hw, colour)
    words = "; ".join(
        f"{name} at row {y}, column {x}: {signed(response, '.0f')}"
        for (y, x), name, response in zip(places, names, responses, strict=True)
    )
    sheet.caption = (
        f"The kernel lies on {h} {TIMES} {w} pixels, each pixel is multiplied by the weight on it, and the products "
        f"are added: {words}. The map holds {response_HW.numel():,} such sums. Blue is negative, red positive, "
        f"white zero."
    )
    return sheet


def three_places(grey_HW: Tensor, response_HW: Tensor) -> list[Place]:
    """Away from the border: the largest response, the smallest, and the brightest of those nearest 0."""
    inner_HW = response_HW[1:-1, 1:-1]
    quiet_HW = grey_HW[1:-1, 1:-1] - 50 * inner_HW.abs()
    return [(y + 1, x + 1) for y, x in map(place_of, (inner_HW, -inner_HW, quiet_HW))]


def _rings(axis: Axes, places: list[Place], shape: tuple[int, ...]) -> None:
    side = max(9, round(min(shape) / 22)) | 1  # larger than the window, which would be too small to see
    for (y, x), colour in zip(places, MARKS, strict=False):
        mark(axis, y - side // 2, x - side // 2, side, side, colour)


def _dot_product(axis: Axes, window_hw: Tensor, kernel_hw: Tensor, colour: str) -> None:
    """window · kernel: pixels over weights, and the products beside them."""
    axis.set_axis_off()
    product_hw = window_hw * kernel_hw
    weight, product = (zero_centred(float(values.abs().max())) for values in (kernel_hw, product_hw))
    grids: tuple[tuple[Tensor, float, float, str, Normalize, Callable[[float], str]], ...] = (
        (window_hw, 0.0, 0.0, "gray", Normalize(0, 255), lambda value: "white" if value < 115 else INK),
        (kernel_hw, 3.55, 0.0, DIVERGING, weight, on_tile(weight)),
        (product_hw, 1.8, 3.55, DIVERGING, product, on_tile(product)),
    )
    for values_hw, left, top, colours, norm, ink in grids:
        extent = (left - 0.5, left + 2.5, top + 2.5, top - 0.5)
        axis.imshow(values_hw.numpy(), extent=extent, interpolation="nearest", cmap=colours, norm=norm)
        show_numbers(axis, values_hw.numpy(), ".0f", ink, TEXT - 1.5, (top, left))
    mark(axis, 0, 0, 3, 3, colour)
    axis.text(2.78, 1, TIMES, ha="center", va="center", fontsize=15, color=INK)
    axis.text(1.02, 4.55, "=", ha="center", va="center", fontsize=15, color=INK)
    total = signed(float(product_hw.sum()), ".0f")
    axis.text(4.55, 4.55, f"→  {total}", ha="left", va="center", fontsize=16, color=colour, weight="bold")
    axis.set(xlim=(-0.55, 7.1), ylim=(6.15, -0.75), aspect="equal", anchor="W")


def colour_figure(photo_CHW: Tensor, kernel_Chw: Tensor, part_CHW: Tensor, response_HW: Tensor) -> Sheet:
    """Each channel's slice and its response, and their sum, with the numbers at the strongest place."""
    y, x = (place + 1 for place in place_of(response_HW[1:-1, 1:-1].abs()))
    sheet, names = Sheet(), ("red", "green", "blue")
    size = sized(response_HW, 3.35)
    limit = float(np.quantile(part_CHW.abs().numpy(), 0.99)) or 1.0
    total = float(response_HW[y, x])
    axis = sheet.panel(*size, "the photograph:\nthree numbers per pixel")
    show_image(axis, photo_CHW)
    _rings(axis, [(y, x)], response_HW.shape)
    axis = sheet.panel(*size, f"the responses, sums over three slices:\n{signed(total, '.1f')} at the mark", bar=True)
    show_signed(axis, response_HW, limit)
    _rings(axis, [(y, x)], response_HW.shape)
    for name, slice_hw, part_HW in zip(names, kernel_Chw, part_CHW, strict=True):
        heading = f"{name} slice alone:\n{signed(float(part_HW[y, x]), '.1f')} at the mark"
        axis = sheet.panel(*sized(response_HW, 2.8), heading, row=name == "red")
        show_signed(axis, part_HW, limit, bar=False)
        _rings(axis, [(y, x)], response_HW.shape)
        inset_kernel(axis, slice_hw, float(kernel_Chw.abs().max()), 0.3)
    parts = " + ".join(f"({signed(float(part), '.1f')})" for part in part_CHW[:, y, x])
    sheet.caption = (
        f"At the mark, row {y}, column {x}: {parts} = {signed(total, '.1f')}. The slices add up to 0, so this kernel "
        f"responds where red changes against green and blue, and not where all three change alike."
    )
    return sheet


STEP = Step(
    "slide",
    "The kernel slides",
    (
        "A grey image is an array of numbers. The kernel is a small array of weights. Lay it on a place of the "
        "image, multiply each pixel by the weight on it, and add up the products: that is a dot product, and it is "
        "the response at this place. Slide it over all places, and the responses are an image again, the response map.",
        "A colour image is three arrays, red, green and blue. The kernel then has a slice for each, and the response "
        "is the sum over the three slices.",
    ),
    (
        Part("2_slide", (slide,), "figure = sliding_figure(photo_CHW, *slide(photo_CHW))"),
        Part("2_slide_in_colour", (slide_in_colour,), "figure = colour_figure(photo_CHW, *slide_in_colour(photo_CHW))"),
    ),
)
