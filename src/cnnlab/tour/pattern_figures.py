"""Figures of the tour's steps on patterns. H, W image, V corner (y, x)."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from matplotlib.axes import Axes
from torch import Tensor

from cnnlab.tour.sheet import (
    INK,
    MARKS,
    RULE,
    SOFT,
    TEXT,
    TIMES,
    Sheet,
    mark,
    show_image,
    show_signed,
    sized,
)


class Matched(Protocol):
    """A patch cut out at (top, left), scenes in even and uneven light, and the answers to it, as the tour has them."""

    top: int
    left: int
    patch: Tensor
    even: Tensor
    uneven: Tensor
    plain_even: Tensor
    plain_uneven: Tensor
    normalised_uneven: Tensor


class Answered(Protocol):
    """A filter or a cascade: its answers (H, W), and which corners (V,) stand out."""

    name: str
    answers: Tensor
    stands_out: Tensor


def matching_figure(found: Matched) -> Sheet:
    """Both scenes, and in each map of answers its largest one."""
    sheet = Sheet()
    side = len(found.patch)
    size = sized(found.even, 3.1)
    scenes = ((found.even, "the photograph;\nthe kernel is the marked patch"), (found.uneven, "half of it in shadow"))
    maps = (
        (found.plain_even, "dot product,\neven light"),
        (found.plain_uneven, "dot product,\nwith the shadow"),
        (found.normalised_uneven, "normalised correlation,\nwith the shadow"),
    )
    for image_HW, heading in scenes:
        axis = sheet.panel(*size, heading)
        show_image(axis, image_HW)
        mark(axis, found.top, found.left, side, side, MARKS[0])
        if image_HW is found.even:
            inset = axis.inset_axes((0.03, 0.03, 0.3, 0.3 * size[0] / size[1]))
            inset.set(xticks=[], yticks=[])
            inset.spines[:].set(color=MARKS[0], linewidth=2)
            show_image(inset, found.patch, smooth=False)
    told = []
    for number, (map_HW, heading) in enumerate(maps):
        away = from_place(map_HW, found.top, found.left)
        verdict = "finds it" if away <= 2 else "does not find it"
        axis = sheet.panel(*size, f"{heading}:\n{verdict}", bar=True, row=number == 0)
        show_signed(axis, map_HW, float(map_HW.abs().max()) or 1.0)
        y, x = (int(i) for i in divmod(int(map_HW.argmax()), map_HW.shape[1]))
        axis.plot(x, y, "o", markersize=15, markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1.8)
        mark(axis, found.top - 6, found.left - 6, 13, 13, MARKS[0])
        told.append(f"{' '.join(heading.split())} {away:.0f}")
    sheet.caption = (
        f"The patch of {side} by {side} pixels comes from row {found.top}, column {found.left} (box). Each circle is "
        f"the largest answer of a map. Its distance from the patch, in pixels: {told[0]}; {told[1]}; {told[2]}, where "
        f"it is {float(found.normalised_uneven.max()):.2f} of at most 1."
    )
    return sheet


def from_place(map_HW: Tensor, top: int, left: int) -> float:
    """Pixels between the largest answer of a map and a place."""
    y, x = divmod(int(map_HW.argmax()), map_HW.shape[1])
    return float(((y - top) ** 2 + (x - left) ** 2) ** 0.5)


def turned_figure(found: Matched, measured: Mapping[int, Mapping[str, tuple[float, float]]]) -> Sheet:
    """Degrees -> for "whole" and "parts": the best answer at the patch, and the best elsewhere."""
    degrees = sorted(measured)
    sheet = Sheet()
    headings = {"whole": "the whole patch", "parts": "sixteen parts, free to move a little"}
    reach = {}
    for name, colour in (("whole", MARKS[0]), ("parts", MARKS[1])):
        here, elsewhere = ([measured[one][name][place] for one in degrees] for place in (0, 1))
        lost = [one for one, mine, other in zip(degrees, here, elsewhere, strict=True) if mine <= other]
        kept = [one for one in degrees if not lost or one < lost[0]]
        reach[name] = kept[-1] if kept else -1
        words = f"found up to {reach[name]} degrees" if kept else "not found"
        axis = sheet.panel(4.2, 2.7, f"{headings[name]}:\n{words}", ticks=True)
        axis.plot(degrees, here, "o-", color=colour, linewidth=2, label="at the patch")
        axis.plot(degrees, elsewhere, "s--", color=SOFT, linewidth=1.5, markersize=4, label="best elsewhere")
        axis.set(ylim=(-0.05, 1.08))
        axis.set_xlabel("the image turned, in degrees", fontsize=TEXT, color=SOFT)
        axis.set_ylabel("answer", fontsize=TEXT, color=SOFT)
        axis.grid(color=RULE, linewidth=0.7)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(fontsize=TEXT - 1, frameon=False, loc="lower left")
    sheet.caption = (
        f"The photograph was turned about the patch in steps of {degrees[1] - degrees[0]} degrees. As long as the "
        f"solid line is the higher one, the largest answer is at the patch: the whole patch up to {reach['whole']} "
        f"degrees, its parts together up to {reach['parts']}."
    )
    return sheet


def corners_figure(image_HW: Tensor, corner_V2: Tensor, cascade: Answered, best: Answered, tried: int) -> Sheet:
    """The shapes with their corners, and both maps: a green ring is a corner that stands out, a box one that doesn't.

    Then the reason: a bright corner and a dark one add up to an even surface.
    """
    sheet = Sheet()
    size = sized(image_HW, 3.2)
    count = len(corner_V2)
    axis = sheet.panel(*size, f"shapes with {count} corners")
    show_image(axis, image_HW)
    axis.plot(corner_V2[:, 1], corner_V2[:, 0], "+", color=MARKS[0], markersize=11, markeredgewidth=2)
    called = best.name.replace("minus ", "−").replace("_", " ")  # noqa: RUF001
    panels = ((cascade, "two layers with ReLUs"), (best, f"the best of {tried} single filters\n({called})"))
    for one, heading in panels:
        kept = int(one.stands_out.sum())
        axis = sheet.panel(*size, f"{heading}:\n{kept} of {count} stand out")
        show_signed(axis, one.answers, 0.5 * float(one.answers.abs().max()), bar=False)
        for stands_out, colour in ((True, MARKS[2]), (False, SOFT)):
            points = corner_V2[one.stands_out == stands_out]
            style = {"markersize": 17, "markerfacecolor": "none", "markeredgecolor": colour, "markeredgewidth": 2.2}
            axis.plot(points[:, 1], points[:, 0], "o" if stands_out else "s", **style)
    headings = ("a bright corner", "+  a dark corner", f"=  2 {TIMES} an even one")
    for window_hw, heading in zip(_quadrants(), headings, strict=True):
        _window(sheet.panel(1.45, 1.45, heading, row=heading == headings[0]), window_hw)
    sheet.caption = (
        f"A corner stands out (green ring) if the answer within 5 pixels of it is larger than every answer that is "
        f"not near a corner. Of the cascade {int(cascade.stands_out.sum())} of {count} do, of the best of {tried} "
        f"single filters ({called}) {int(best.stands_out.sum())}. Below, why: the answers of one filter to a bright "
        f"corner and to a dark one have the answer to an even surface as their mean, so no threshold lets both "
        f"corners pass and holds the even surface back."
    )
    return sheet


def _quadrants() -> Sequence[Tensor]:
    """A bright corner, a dark one in the same place, and the mean of both."""
    bright_hw = torch.full((9, 9), 0.5)
    bright_hw[4:, 4:] = 0.9
    dark_hw = 1 - bright_hw
    return bright_hw, dark_hw, (bright_hw + dark_hw) / 2


def _window(axis: Axes, window_hw: Tensor) -> None:
    show_image(axis, window_hw, smooth=False)
    axis.title.set_fontsize(TEXT)
