"""A derivative as a difference: along a row, and how exact. C channel, H, W image, n taps, M places or steps."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab._colour import DIVERGING
from cnnlab.draw.tiles import zero_centred
from cnnlab.edges.borders import pad
from cnnlab.edges.colour import in_space
from cnnlab.filters import bank
from cnnlab.tour.sheet import INK, MARKS, RULE, SOFT, TEXT, Sheet, name_axes, scientific, show_image, sized
from cnnlab.tour.step import Part, Step

COARSE = 0.8  # step of the difference that is drawn beside the true derivative


def a_row(photo_CHW: Tensor, height: float = 0.5) -> tuple[int, Tensor, Tensor]:
    """A row of the photograph: its number, its intensities (W,), and their central difference (f(x+1) - f(x-1)) / 2."""
    grey_11HW = in_space(photo_CHW[None], "grey")
    row = int(height * (grey_11HW.shape[-2] - 1))
    taps_111w = bank("central[dx]").kernels.float()[:, :, 1:2]  # [-1 0 1] / 2
    slope_11HW = F.conv2d(pad(grey_11HW, 0, 0, 1, 1, border="replicate"), taps_111w)
    return row, grey_11HW[0, 0, row], slope_11HW[0, 0, row]


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
        name_axes(axis, "x in pixels", name)
        axis.axhline(0, color=SOFT, linewidth=0.8)
        axis.plot(range(width), line_W.numpy(), color=colour, linewidth=1.3)
        axis.set_xlim(0, width - 1)
        strip = axis.inset_axes((0, 1.01, 1, 0.07))
        strip.set(xticks=[], yticks=[])
        strip.spines[:].set(color="#b4bac3", linewidth=0.8)
        if line_W is value_W:
            strip.imshow(line_W[None].numpy(), cmap="gray", vmin=0, vmax=1, aspect="auto")
        else:
            norm = zero_centred(float(line_W.abs().max()))
            strip.imshow(line_W[None].numpy(), cmap=DIVERGING, norm=norm, aspect="auto")
    steepest = int(slope_W.abs().argmax())
    sheet.caption = (
        f"Row {row} of {photo_CHW.shape[1]}. Where the intensity is even, the difference is near 0; where it jumps, "
        f"it peaks: most at x = {steepest}, by {float(slope_W[steepest]):+.2f} per pixel."
    )
    return sheet


class Accuracy(NamedTuple):
    """Root mean square errors (M,) of a difference with steps h (M,), the h with the least one, and the slope of
    log error over log h where h is much larger than that."""

    taps: int
    h: Tensor
    error: Tensor
    best: float
    slope: float


def accuracy(
    order: int, f: Callable[[Tensor], Tensor] = torch.sin, derivative: Callable[[Tensor], Tensor] = torch.cos
) -> Accuracy:
    """How far the central difference of this order of accuracy is from the true derivative, for h from 1 to 10⁻¹²."""
    kernel_hw = bank("central", accuracy=order)["dx"].kernels[0, 0]
    taps_n = kernel_hw[order // 2]  # the middle row
    reach_n = torch.arange(len(taps_n), dtype=torch.float64) - order // 2
    x_M1 = torch.linspace(0, 6, 200, dtype=torch.float64)[:, None]
    h = 10 ** torch.linspace(-12, 0, 121, dtype=torch.float64)
    estimates = torch.stack([f(x_M1 + step * reach_n) @ taps_n / step for step in h])
    error = (estimates - derivative(x_M1[:, 0])).square().mean(1).sqrt()
    best = float(h[error.argmin()])
    clean = (h > 20 * best) & (h < 0.3)
    slope = torch.linalg.lstsq(
        torch.stack([h.log(), torch.ones_like(h)], dim=1)[clean], error.log()[clean][:, None]
    ).solution[0]
    return Accuracy(len(taps_n), h, error, best, float(slope))


def accuracy_figure(measured: Sequence[Accuracy]) -> Sheet:
    """The estimate with a coarse step beside the true derivative, and the errors over h on logarithmic axes."""
    sheet = Sheet()
    axis = sheet.panel(3.7, 3.1, f"the derivative of sin,\nand central differences with h = {COARSE}", ticks=True)
    name_axes(axis, "x", "")
    x = torch.linspace(0, 6, 200, dtype=torch.float64)
    axis.plot(x, x.cos(), color=INK, linewidth=2.2, label="cos x, the truth")
    axis.plot(x, _difference(x, 3), "--", color=MARKS[0], linewidth=2, label="three points")
    axis.plot(x, _difference(x, 5), ":", color=MARKS[1], linewidth=2.6, label="five points")
    axis.legend(fontsize=TEXT - 1, frameon=False, loc="upper center")
    axis = sheet.panel(5.3, 3.1, "how far from the truth,\nfor smaller and smaller h", ticks=True)
    name_axes(axis, "h", "error")
    axis.set(xscale="log", yscale="log", ylim=(3e-17, 3))
    axis.grid(color=RULE, linewidth=0.7)
    for difference, colour in zip(measured, MARKS, strict=False):
        words = {3: "three", 5: "five", 7: "seven"}.get(difference.taps, str(difference.taps))
        label = f"{words} points: slope {difference.slope:.2f}"
        axis.plot(difference.h, difference.error.clamp_min(1e-17), color=colour, linewidth=1.6, label=label)
        lowest = (difference.best, float(difference.error.min()))
        axis.plot(*lowest, "o", color=colour, markersize=7, markeredgecolor="white")
        note = axis.annotate(f"h = {scientific(difference.best)}", lowest, (-2, -14), textcoords="offset points")
        note.set(fontsize=TEXT - 1.5, color=colour, ha="right")
    axis.text(3e-11, 3e-4, "rounding", fontsize=TEXT, color=SOFT)
    axis.legend(fontsize=TEXT - 1.5, frameon=False, loc="lower left")
    errors = "; ".join(
        f"with {difference.taps} points as h to the power {difference.slope:.2f}, until rounding takes over at h = "
        f"{scientific(difference.best)}, where the error is {scientific(float(difference.error.min()))}"
        for difference in measured
    )
    sheet.caption = f"Measured over 200 places, in double precision. The error shrinks {errors}."
    return sheet


def _difference(x: Tensor, points: int) -> Tensor:
    first = (torch.sin(x + COARSE) - torch.sin(x - COARSE)) / (2 * COARSE)
    if points == 3:
        return first
    second = (torch.sin(x + 2 * COARSE) - torch.sin(x - 2 * COARSE)) / (4 * COARSE)
    return (4 * first - second) / 3


STEP = Step(
    "derivatives",
    "An edge is a fast change, and a derivative measures it",
    (
        "A row of the image is a function: intensity over x. Where it changes fast there is an edge, and how fast "
        "a function changes is its derivative.",
        "On a grid a derivative is a difference. The central difference, (f(x + h) - f(x - h)) / 2h, is the filter "
        "[-1 0 1] / 2h. Taylor's formula says that it differs from the derivative by a multiple of h²: halve h, "
        "and the error is a quarter. The five-point difference gains h⁴. Both can be measured on a function whose "
        "derivative is known, until h is so small that the rounding of the computer's numbers is larger than the "
        "error of the formula.",
    ),
    (
        Part("3_row", (a_row,), "figure = row_figure(photo_CHW, *a_row(photo_CHW))"),
        Part("3_accuracy", (accuracy,), "figure = accuracy_figure([accuracy(2), accuracy(4)])"),
    ),
)
