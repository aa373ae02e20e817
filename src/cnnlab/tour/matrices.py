"""A convolution as a matrix. N pixel or neuron, H, W image."""

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

from cnnlab._colour import DIVERGING
from cnnlab.draw.tiles import zero_centred
from cnnlab.receptive import ReceptiveField, receptive_fields
from cnnlab.tour.sheet import INK, MARKS, SOFT, TEXT, TIMES, Sheet, mark
from cnnlab.tour.step import Part, Step

EMPTY = "#eceef1"  # where there is no connection


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


def matrices_figure(dense_NN: Tensor, shared_NN: Tensor, field: ReceptiveField, photo_size: tuple[int, int]) -> Sheet:
    """Both matrices and, of one neuron, its row as an image with its receptive field marked."""
    pixels = len(dense_NN)
    side = round(pixels**0.5)
    y, x = side // 2 - 1, side // 2
    neuron = y * side + x
    different = int(torch.unique(shared_NN[shared_NN != 0]).numel())
    held = int((shared_NN != 0).sum())
    box = field.clipped(y, x, side, side)
    sheet = Sheet()
    for matrix_NN, heading in (
        (dense_NN, f"dense: {pixels} {TIMES} {pixels} =\n{pixels**2:,} weights"),
        (shared_NN, f"convolution: {different} weights,\nwritten {held} times"),
    ):
        axis = sheet.panel(3.1, 3.1, heading, named=True)
        _weights(axis, matrix_NN, float(matrix_NN.abs().max()))
        mark(axis, neuron, 0, 1, pixels, MARKS[0], 1.3)
        axis.set_xlabel(f"{pixels} pixels", fontsize=TEXT, color=SOFT, labelpad=3)
        axis.set_ylabel(f"{pixels} neurons", fontsize=TEXT, color=SOFT, labelpad=3)
    seen = (box.top, box.left, box.bottom - box.top + 1, box.right - box.left + 1)
    for matrix_NN, name, (top, left, height, width) in (
        (dense_NN, "dense", (0, 0, side, side)),
        (shared_NN, "convolution", seen),
    ):
        axis = sheet.panel(2.05, 2.05, f"the marked row as\nan image: {name}")
        _weights(axis, matrix_NN[neuron].view(side, side), float(matrix_NN.abs().max()))
        mark(axis, top, left, height, width, MARKS[0])
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
    return sheet


def _weights(axis: Axes, matrix_NN: Tensor, limit: float) -> None:
    axis.set_facecolor(EMPTY)
    values = np.where(matrix_NN.numpy() == 0, np.nan, matrix_NN.numpy())
    axis.imshow(values, norm=zero_centred(limit), cmap=DIVERGING, interpolation="nearest")


STEP = Step(
    "matrices",
    "A convolution is a matrix with few weights",
    (
        "A dense layer connects every neuron to every pixel, and each connection has a weight of its own. Written as a "
        "matrix, it is full: a row for each neuron, a column for each pixel.",
        "A convolution is a matrix too. But a neuron is connected to its neighbourhood only, and all neurons have the "
        "same weights. So the matrix is almost empty, and the same few numbers repeat along its diagonals (a "
        "Toeplitz matrix). What a neuron is connected to is its receptive field.",
    ),
    (Part("1_matrices", (two_matrices,), "figure = matrices_figure(*two_matrices(), photo_CHW.shape[1:])"),),
)
