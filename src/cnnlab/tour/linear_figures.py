"""Figures of the tour's steps on linear maps. C channel, H, W image, N pixel or neuron, h, w kernel."""

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from cnnlab._colour import DIVERGING
from cnnlab.draw.tiles import zero_centred
from cnnlab.receptive import ReceptiveField
from cnnlab.tour.sheet import (
    INK,
    MARKS,
    SOFT,
    TEXT,
    TIMES,
    Sheet,
    mark,
    scientific,
    show_image,
    show_kernel,
    show_signed,
    signed,
    sized,
)

EMPTY = "#eceef1"  # where there is no connection
Place = tuple[int, int]


def matrices_figure(dense_NN: Tensor, shared_NN: Tensor, field: ReceptiveField, photo_size: tuple[int, int]) -> Sheet:
    """Both matrices and, of one neuron, its row as an image with its receptive field marked."""
    pixels = len(dense_NN)
    side = round(pixels**0.5)
    y, x = side // 2 - 1, side // 2
    neuron = y * side + x
    different = int(torch.unique(shared_NN[shared_NN != 0]).numel())
    held = int((shared_NN != 0).sum())
    box = field.clipped(y, x, side, side)
    boxes = ((0, 0, side, side), (box.top, box.left, box.bottom - box.top + 1, box.right - box.left + 1))
    sheet = Sheet()
    for matrix_NN, heading in (
        (dense_NN, f"dense: {pixels} {TIMES} {pixels} =\n{pixels**2:,} weights"),
        (shared_NN, f"convolution: {different} weights,\nwritten {held} times"),
    ):
        axis = sheet.panel(3.1, 3.1, heading)
        _weights(axis, matrix_NN, float(matrix_NN.abs().max()))
        mark(axis, neuron, 0, 1, pixels, MARKS[0], 1.3)
        axis.set_xlabel(f"{pixels} pixels", fontsize=TEXT, color=SOFT, labelpad=3)
        axis.set_ylabel(f"{pixels} neurons", fontsize=TEXT, color=SOFT, labelpad=3)
    for matrix_NN, name, seen in ((dense_NN, "dense", boxes[0]), (shared_NN, "convolution", boxes[1])):
        axis = sheet.panel(2.05, 2.05, f"the marked row as\nan image: {name}")
        _weights(axis, matrix_NN[neuron].view(side, side), float(matrix_NN.abs().max()))
        mark(axis, *seen, MARKS[0])
        axis.plot(x, y, "o", color=INK, markersize=5)
    on_photo = photo_size[0] * photo_size[1]
    sheet.caption = (
        f"The same map from {side} {TIMES} {side} pixels to as many neurons. Dense: {pixels**2:,} weights, none of "
        f"them shared. Convolution: {different} weights, each standing once in the row of every neuron, {held:,} "
        f"entries that are not zero. The marked neuron (dot) sees all pixels in one and "
        f"{field.size[0]} {TIMES} {field.size[1]} in the other. On this photograph of {photo_size[0]} {TIMES} "
        f"{photo_size[1]} pixels a dense layer would have {on_photo**2:,} weights, and the convolution still "
        f"{different}."
    )
    return _with_axis_names(sheet)


def _weights(axis: Axes, matrix_NN: Tensor, limit: float) -> None:
    values = np.ma.masked_equal(matrix_NN.numpy(), 0)
    axis.set_facecolor(EMPTY)
    axis.imshow(values, norm=zero_centred(limit), cmap=DIVERGING, interpolation="nearest")


def _with_axis_names(sheet: Sheet) -> Sheet:
    """Room for names along axes that have no numbers."""
    named = [place._replace(left=0.3, bottom=0.34) if place.axis.get_xlabel() else place for place in sheet.places]
    sheet.places[:] = named
    return sheet.arrange(sheet.get_figwidth())


def sliding_figure(photo_CHW: Tensor, grey_HW: Tensor, kernel_hw: Tensor, response_HW: Tensor) -> Sheet:
    """The photograph with three places, the dot product at each with its numbers, and the map of all answers."""
    h, w = kernel_hw.shape
    places = three_places(grey_HW, response_HW)
    names = ("a rise", "a fall", "no change")
    sheet = Sheet()
    size = sized(grey_HW, 3.35)
    axis = sheet.panel(*size, "the photograph in grey,\nand three places")
    show_image(axis, grey_HW / 255)
    _rings(axis, places, grey_HW.shape)
    axis = sheet.panel(*size, "the answers at all places:\nthe response map", bar=True)
    show_signed(axis, response_HW)
    _rings(axis, places, grey_HW.shape)
    answers = []
    for (y, x), name, colour in zip(places, names, MARKS, strict=False):
        window_hw = grey_HW[y - h // 2 : y - h // 2 + h, x - w // 2 : x - w // 2 + w]
        answers.append(float((window_hw * kernel_hw).sum()))
        heading = f"{name}: the dot product\nis {signed(answers[-1], '.0f')}"
        _dot_product(sheet.panel(3.05, 2.6, heading, row=name == names[0]), window_hw, kernel_hw, colour)
    told = "; ".join(
        f"{name} at row {y}, column {x}: {signed(answer, '.0f')}"
        for (y, x), name, answer in zip(places, names, answers, strict=True)
    )
    sheet.caption = (
        f"The kernel lies on {h} {TIMES} {w} pixels, each pixel is multiplied by the weight on it, and the products "
        f"are added: {told}. The map holds {response_HW.numel():,} such sums. Blue is negative, red positive, "
        f"white zero."
    )
    return sheet


def three_places(grey_HW: Tensor, response_HW: Tensor) -> list[Place]:
    """Away from the border: the largest answer, the smallest, and the brightest of the smallest answers' sizes."""
    inner_HW = response_HW[1:-1, 1:-1]
    quiet_HW = grey_HW[1:-1, 1:-1] - 50 * inner_HW.abs()
    found = (inner_HW.argmax(), inner_HW.argmin(), quiet_HW.argmax())
    return [(int(i) // inner_HW.shape[1] + 1, int(i) % inner_HW.shape[1] + 1) for i in found]


def _rings(axis: Axes, places: list[Place], shape: tuple[int, ...]) -> None:
    side = max(9, round(min(shape) / 22)) | 1  # larger than the window, which would be too small to see
    for (y, x), colour in zip(places, MARKS, strict=False):
        mark(axis, y - side // 2, x - side // 2, side, side, colour)


def _dot_product(axis: Axes, window_hw: Tensor, kernel_hw: Tensor, colour: str) -> None:
    """window · kernel: pixels over weights, and the products beside them."""
    axis.set(xlim=(-0.55, 7.1), ylim=(6.15, -0.75))
    axis.set_axis_off()
    product_hw = window_hw * kernel_hw
    weight, product = float(kernel_hw.abs().max()) or 1.0, float(product_hw.abs().max()) or 1.0
    grids = (
        (window_hw, 0.0, 0.0, {"cmap": "gray", "vmin": 0, "vmax": 255}, lambda v: "white" if v < 115 else INK),
        (kernel_hw, 3.55, 0.0, {"cmap": DIVERGING, "norm": zero_centred(weight)}, lambda v: _on(v, weight)),
        (product_hw, 1.8, 3.55, {"cmap": DIVERGING, "norm": zero_centred(product)}, lambda v: _on(v, product)),
    )
    for values_hw, left, top, how, ink in grids:
        extent = (left - 0.5, left + 2.5, top + 2.5, top - 0.5)
        axis.imshow(values_hw.numpy(), extent=extent, interpolation="nearest", **how)
        for (y, x), value in np.ndenumerate(values_hw.numpy()):
            words = signed(float(value), ".0f")
            axis.text(left + x, top + y, words, ha="center", va="center", fontsize=TEXT - 1.5, color=ink(value))
    mark(axis, 0, 0, 3, 3, colour)
    axis.text(2.78, 1, TIMES, ha="center", va="center", fontsize=15, color=INK)
    axis.text(1.02, 4.55, "=", ha="center", va="center", fontsize=15, color=INK)
    total = signed(float(product_hw.sum()), ".0f")
    axis.text(4.55, 4.55, f"→  {total}", ha="left", va="center", fontsize=16, color=colour, weight="bold")
    axis.set(xlim=(-0.55, 7.1), ylim=(6.15, -0.75), aspect="equal", anchor="W")


def _on(value: float, limit: float) -> str:
    return "white" if abs(value) > 0.62 * limit else INK


def colour_figure(photo_CHW: Tensor, kernel_Chw: Tensor, part_CHW: Tensor, response_HW: Tensor) -> Sheet:
    """Each channel's slice and its answers, and their sum, with the numbers at the strongest place."""
    inner_HW = response_HW[1:-1, 1:-1].abs()
    y, x = (int(i) + 1 for i in divmod(int(inner_HW.argmax()), inner_HW.shape[1]))
    sheet, names = Sheet(), ("red", "green", "blue")
    size = sized(response_HW, 3.35)
    limit = float(np.quantile(part_CHW.abs().numpy(), 0.99)) or 1.0
    total = float(response_HW[y, x])
    axis = sheet.panel(*size, "the photograph:\nthree numbers a pixel")
    show_image(axis, photo_CHW)
    _rings(axis, [(y, x)], response_HW.shape)
    axis = sheet.panel(*size, f"the answers, sums over three slices:\n{signed(total, '.1f')} at the mark", bar=True)
    show_signed(axis, response_HW, limit)
    _rings(axis, [(y, x)], response_HW.shape)
    for name, slice_hw, part_HW in zip(names, kernel_Chw, part_CHW, strict=True):
        heading = f"{name} slice alone:\n{signed(float(part_HW[y, x]), '.1f')} at the mark"
        axis = sheet.panel(*sized(response_HW, 2.8), heading, row=name == "red")
        show_signed(axis, part_HW, limit, bar=False)
        _rings(axis, [(y, x)], response_HW.shape)
        _inset_kernel(axis, slice_hw, float(kernel_Chw.abs().max()), 0.3)
    parts = " + ".join(f"({signed(float(part), '.1f')})" for part in part_CHW[:, y, x])
    sheet.caption = (
        f"At the mark, row {y}, column {x}: {parts} = {signed(total, '.1f')}. The slices add up to 0, so this kernel "
        f"answers where red changes against green and blue, and not where all three change alike."
    )
    return sheet


def moved_figure(photo_CHW: Tensor, found: dict[str, tuple[Tensor, Tensor]]) -> Sheet:
    """What each kernel makes of the photograph, the kernel in its corner."""
    sheet = Sheet()
    size = sized(photo_CHW[0], 2.62)
    for name, (kernel_hw, image_CHW) in found.items():
        rows, columns = kernel_hw.shape
        axis = sheet.panel(*size, f"{name}\n{rows} {TIMES} {columns} kernel")
        show_image(axis, image_CHW)
        _inset_kernel(axis, kernel_hw, float(kernel_hw.abs().max()), 0.36)
    kernel_hw, image_CHW = found["shift"]
    row, column = (int(i) for i in divmod(int(kernel_hw.argmax()), kernel_hw.shape[1]))
    dy, dx = kernel_hw.shape[0] // 2 - row, kernel_hw.shape[1] // 2 - column
    same = torch.equal(found["identity"][1], photo_CHW)
    exact = torch.equal(image_CHW[:, dy:, dx:], photo_CHW[:, : photo_CHW.shape[1] - dy, : photo_CHW.shape[2] - dx])
    sheet.caption = (
        f"The identity's image {'equals' if same else 'differs from'} the photograph in every pixel. The shift's image "
        f"{'equals' if exact else 'differs from'} the photograph moved {dy} down and {dx} to the right, in every pixel "
        f"that comes from inside of it. The blur's weights add up to {float(found['blur'][0].sum()):.3f}, the "
        f"sharpening's to {float(found['sharpen'][0].sum()):.3f}: an even surface keeps its brightness."
    )
    return sheet


def _inset_kernel(axis: Axes, kernel_hw: Tensor, limit: float, share: float) -> None:
    """The kernel in the lower left corner, with its numbers where it has nine."""
    rows, columns = kernel_hw.shape
    box = axis.get_window_extent()
    inset = axis.inset_axes((0.03, 0.03, share, share * box.width / box.height))
    inset.set(xticks=[], yticks=[])
    inset.spines[:].set(color="white", linewidth=2)
    show_kernel(inset, kernel_hw, ".3g" if rows == 3 else None, limit, size=9)
    if rows > 3 and int((kernel_hw != 0).sum()) == 1:  # one weight of 1 among hundreds of zeros
        inset.plot(columns // 2, rows // 2, "+", color=SOFT, markersize=7)
        inset.plot(*reversed(divmod(int(kernel_hw.argmax()), columns)), "s", color="#67001f", markersize=4)


def in_a_row_figure(found: dict[str, Tensor]) -> Sheet:
    """The kernels, both ways without a ReLU and their difference; then with one, and why no kernel can do that."""
    difference_HW = found["twice"] - found["once"]
    gap_HW = found["rectified"] - found["once"]
    sheet = Sheet()
    size = sized(found["once"], 2.35)
    for name, heading in (("first", "first kernel"), ("second", "second kernel"), ("composed", "the one they make")):
        rows, columns = found[name].shape
        show_kernel(sheet.panel(1.55, 1.55, f"{heading}\n{rows} {TIMES} {columns}", row=name == "first"), found[name])
    limit = float(np.quantile(found["once"].abs().numpy(), 0.99)) or 1.0
    worst = float(difference_HW.abs().max())
    panels = (
        ("twice", found["twice"], "one after the other", True),
        ("once", found["once"], "the one kernel", False),
        ("difference", difference_HW, f"difference:\nat most {scientific(worst)}", False),
        ("rectified", found["rectified"], "with a ReLU between", True),
        ("gap", gap_HW, f"difference from the one\nkernel: up to {float(gap_HW.abs().max()):.2f}", False),
        ("both signs", found["both signs"], "answer to the image +\nanswer to its negative", False),
    )
    for name, map_HW, heading, first in panels:
        axis = sheet.panel(*size, heading, bar=name in ("difference", "both signs"), row=first)
        show_signed(axis, map_HW, limit, bar=name in ("difference", "both signs"))
    largest, left = float(found["once"].abs().max()), float(found["both signs"].abs().max())
    sheet.caption = (
        f"Two kernels in a row and the one kernel that they make differ by at most {scientific(worst)}, which is "
        f"rounding: the answers reach {largest:.2f}. Any linear map gives opposite answers to an image and to its "
        f"negative, so that both add up to 0. With a ReLU between the kernels they add up to as much as {left:.2f}: "
        f"there is no kernel, of whatever size, that does the same."
    )
    return sheet
