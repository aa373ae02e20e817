"""Figures of the tour's steps on derivatives. C channel, H, W image, W places of a row, M steps."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from cnnlab._colour import DIVERGING
from cnnlab.draw.edges import ink_picture, orientation_picture
from cnnlab.draw.tiles import zero_centred
from cnnlab.tour.sheet import (
    INK,
    MARKS,
    RULE,
    SOFT,
    TEXT,
    Sheet,
    scientific,
    show_image,
    show_signed,
    sized,
)

COARSE = 0.8  # step of the difference that is drawn beside the true derivative


class Measured(Protocol):
    """Errors of a difference with so many taps, as the tour measures them."""

    taps: int
    h: Tensor
    error: Tensor
    best: float
    slope: float


def row_figure(photo_CHW: Tensor, row: int, value_W: Tensor, slope_W: Tensor) -> Sheet:
    """The row in the photograph, as a function of x, and its central difference below it."""
    sheet = Sheet()
    width = len(value_W)
    axis = sheet.panel(*sized(photo_CHW[0], 2.6), f"row {row}\nof the photograph")
    show_image(axis, photo_CHW)
    axis.axhline(row, color="white", linewidth=3.4)
    axis.axhline(row, color=MARKS[0], linewidth=1.8)
    panels = (
        ("the row in grey,\nas a function of x", value_W, MARKS[1], "intensity"),
        ("its central difference,\n(f(x + 1) − f(x − 1)) / 2", slope_W, MARKS[0], "per pixel"),  # noqa: RUF001
    )
    for heading, line_W, colour, name in panels:
        axis = sheet.panel(3.1, 2.2, heading, ticks=True, above=0.22)
        _plain(axis, "x in pixels", name)
        axis.axhline(0, color=SOFT, linewidth=0.8)
        axis.plot(range(width), line_W.numpy(), color=colour, linewidth=1.3)
        axis.set_xlim(0, width - 1)
        strip = axis.inset_axes((0, 1.01, 1, 0.07))
        strip.set(xticks=[], yticks=[])
        strip.spines[:].set(color="#b4bac3", linewidth=0.8)
        if line_W is value_W:
            strip.imshow(line_W[None].numpy(), cmap="gray", vmin=0, vmax=1, aspect="auto")
        else:
            strip.imshow(line_W[None].numpy(), cmap=DIVERGING, norm=zero_centred(_high(line_W)), aspect="auto")
    steepest = int(slope_W.abs().argmax())
    sheet.caption = (
        f"Row {row} of {photo_CHW.shape[1]}. Where the intensity is even, the difference is near 0; where it jumps, "
        f"it peaks: most at x = {steepest}, by {float(slope_W[steepest]):+.2f} a pixel."
    )
    return sheet


def accuracy_figure(measured: Sequence[Measured]) -> Sheet:
    """The estimate with a coarse step beside the true derivative, and the errors over h on logarithmic axes."""
    sheet = Sheet()
    axis = sheet.panel(3.7, 3.1, f"the derivative of sin,\nand central differences with h = {COARSE}", ticks=True)
    _plain(axis, "x", "")
    x = torch.linspace(0, 6, 200, dtype=torch.float64)
    axis.plot(x, x.cos(), color=INK, linewidth=2.2, label="cos x, the truth")
    axis.plot(x, _difference(x, 3), "--", color=MARKS[0], linewidth=2, label="three points")
    axis.plot(x, _difference(x, 5), ":", color=MARKS[1], linewidth=2.6, label="five points")
    axis.legend(fontsize=TEXT - 1, frameon=False, loc="upper center")
    axis = sheet.panel(5.3, 3.1, "how far from the truth,\nfor smaller and smaller h", ticks=True)
    _plain(axis, "h", "error")
    axis.set(xscale="log", yscale="log", ylim=(3e-17, 3))
    axis.grid(color=RULE, linewidth=0.7)
    for one, colour in zip(measured, MARKS, strict=False):
        words = {3: "three", 5: "five", 7: "seven"}.get(one.taps, str(one.taps))
        error = one.error.clamp_min(1e-17)
        axis.plot(one.h, error, color=colour, linewidth=1.6, label=f"{words} points: slope {one.slope:.2f}")
        least = float(one.error.min())
        axis.plot(one.best, least, "o", color=colour, markersize=7, markeredgecolor="white")
        axis.annotate(
            f"h = {scientific(one.best)}",
            (one.best, least),
            xytext=(-2, -14),
            textcoords="offset points",
            fontsize=TEXT - 1.5,
            color=colour,
            ha="right",
        )
    axis.text(3e-11, 3e-4, "rounding", fontsize=TEXT, color=SOFT)
    axis.legend(fontsize=TEXT - 1.5, frameon=False, loc="lower left")
    told = "; ".join(
        f"with {one.taps} points as h to the power {one.slope:.2f}, until rounding takes over at h = "
        f"{scientific(one.best)}, where the error is {scientific(float(one.error.min()))}"
        for one in measured
    )
    sheet.caption = f"Measured over 200 places, in double precision. The error shrinks {told}."
    return sheet


def _difference(x: Tensor, points: int) -> Tensor:
    first = (torch.sin(x + COARSE) - torch.sin(x - COARSE)) / (2 * COARSE)
    if points == 3:
        return first
    second = (torch.sin(x + 2 * COARSE) - torch.sin(x - 2 * COARSE)) / (4 * COARSE)
    return (4 * first - second) / 3


def contours_figure(
    photo_CHW: Tensor, dx_HW: Tensor, dy_HW: Tensor, magnitude_HW: Tensor, direction_HW: Tensor
) -> Sheet:
    """The answers along x and along y, the magnitude as ink, and the direction as hue."""
    sheet = Sheet()
    size = sized(dx_HW, 3.0)
    show_image(sheet.panel(*size, "the photograph"), photo_CHW)
    limit = float(np.quantile(torch.stack([dx_HW, dy_HW]).abs().numpy(), 0.99)) or 1.0
    show_signed(sheet.panel(*size, "along x: vertical contours"), dx_HW, limit, bar=False)
    show_signed(sheet.panel(*size, "along y: horizontal contours", bar=True), dy_HW, limit)
    show_image(sheet.panel(*size, "magnitude"), ink_picture(magnitude_HW.numpy()))
    hue_HWC = orientation_picture(magnitude_HW.numpy(), direction_HW.numpy())
    show_image(sheet.panel(*size, "orientation as hue"), hue_HWC)
    y, x = (int(i) for i in divmod(int(magnitude_HW.argmax()), magnitude_HW.shape[1]))
    degrees = float(direction_HW[y, x]) * 180 / np.pi
    sheet.caption = (
        f"The strongest contour lies at row {y}, column {x}: {float(dx_HW[y, x]):+.0f} along x and "
        f"{float(dy_HW[y, x]):+.0f} along y, so a length of {float(magnitude_HW[y, x]):.0f}, and the intensity "
        f"changes along {degrees:.0f} degrees (0 is to the right, 90 is down). The ring in the corner wears the "
        f"colours of its own contour."
    )
    return sheet


def _plain(axis: Axes, x: str, y: str) -> None:
    axis.set_xlabel(x, fontsize=TEXT, color=SOFT, labelpad=3)
    axis.set_ylabel(y, fontsize=TEXT, color=SOFT, labelpad=3)
    axis.spines[["top", "right"]].set_visible(False)


def _high(line: Tensor) -> float:
    return float(line.abs().max()) or 1.0
