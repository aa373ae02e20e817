"""Two layers that find corners, and why no single filter can. C channel, H, W image, V corner (y, x)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab.edges.borders import pad
from cnnlab.filters import bank
from cnnlab.tour.shapes import Detected, best_single_filter, shapes, standing_out
from cnnlab.tour.sheet import MARKS, SOFT, TEXT, TIMES, Sheet, show_image, show_signed, sized
from cnnlab.tour.step import Part, Step


def corners(image_HW: Tensor) -> Tensor:
    """A cascade of two layers with fixed kernels: large where an intensity both rises and falls along one direction.

    Along a straight contour a derivative has one sign. Around a corner the derivative along its outside has both.
    """
    slope_41hw = bank("gaussian(sigma=1, order=1, orientations=4)").kernels.to(image_HW)
    blur_11hw = bank("gaussian(sigma=2)").kernels.to(image_HW)
    reach, around = slope_41hw.shape[-1] // 2, blur_11hw.shape[-1] // 2
    slope_1KHW = F.conv2d(pad(image_HW[None, None], reach, reach, reach, reach, "reflect"), slope_41hw)
    layer1_1KHW = torch.cat([slope_1KHW, -slope_1KHW], dim=1).relu()  # eight maps: rises and falls, four directions
    padded = pad(layer1_1KHW, around, around, around, around, "reflect")
    rise, fall = F.conv2d(padded, blur_11hw.expand(8, -1, -1, -1), groups=8).chunk(2, dim=1)
    layer2_1KHW = (rise - fall).relu()
    return (rise - layer2_1KHW).sum(1)[0]  # rise - relu(rise - fall) is the smaller of both


def compared(detector: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor, Detected, Detected, int]:
    """The image of shapes, its corners, the responses of a detector, the best single filter, and of how many."""
    scene = shapes()
    response_HW = detector(scene.image)
    cascade = Detected("cascade", response_HW, standing_out(response_HW[None], scene)[0])
    best, tried = best_single_filter(scene)
    return scene.image, scene.corners, cascade, best, tried


def corners_figure(image_HW: Tensor, corner_V2: Tensor, cascade: Detected, best: Detected, tried: int) -> Sheet:
    """The shapes with their corners, and both maps: a green ring is a corner that stands out, a box one that doesn't.

    Then the reason: a bright corner and a dark one add up to an even surface.
    """
    sheet = Sheet()
    size = sized(image_HW, 3.2)
    count = len(corner_V2)
    axis = sheet.panel(*size, f"shapes with {count} corners")
    show_image(axis, image_HW)
    axis.plot(corner_V2[:, 1], corner_V2[:, 0], "+", color=MARKS[0], markersize=11, markeredgewidth=2)
    name = best.name.replace("minus ", "−").replace("_", " ")  # noqa: RUF001
    panels = ((cascade, "two layers with ReLUs"), (best, f"the best of {tried} single filters\n({name})"))
    for detected, heading in panels:
        kept = int(detected.stands_out.sum())
        axis = sheet.panel(*size, f"{heading}:\n{kept} of {count} stand out")
        show_signed(axis, detected.responses, 0.5 * float(detected.responses.abs().max()), bar=False)
        for stands_out, colour in ((True, MARKS[2]), (False, SOFT)):
            points = corner_V2[detected.stands_out == stands_out]
            (rings,) = axis.plot(points[:, 1], points[:, 0], "o" if stands_out else "s", markersize=17)
            rings.set(markerfacecolor="none", markeredgecolor=colour, markeredgewidth=2.2)
    even_hw, bright_hw = torch.full((9, 9), 0.5), torch.full((9, 9), 0.5)
    bright_hw[4:, 4:] = 0.9
    windows = {"a bright corner": bright_hw, "+  a dark corner": 1 - bright_hw, f"=  2 {TIMES} an even one": even_hw}
    for number, (heading, window_hw) in enumerate(windows.items()):
        axis = sheet.panel(1.45, 1.45, heading, row=number == 0)
        show_image(axis, window_hw, smooth=False)
        axis.title.set_fontsize(TEXT)
    sheet.caption = (
        f"A corner stands out (green ring) if the response within 5 pixels of it is larger than every response that is "
        f"not near a corner. Of the cascade {int(cascade.stands_out.sum())} of {count} do, of the best of {tried} "
        f"single filters ({name}) {int(best.stands_out.sum())}. Below, why: the responses of one filter to a bright "
        f"corner and to a dark one have the response to an even surface as their mean, so no threshold lets both "
        f"corners pass and holds the even surface back."
    )
    return sheet


STEP = Step(
    "corners",
    "Two layers find corners",
    (
        "A corner is where contours of two directions meet. The first layer takes derivatives along four "
        "directions and, by a ReLU, keeps rises and falls apart. The second layer gathers them near by and "
        "compares: along a straight contour a derivative only rises or only falls, but around a corner there is a "
        "direction along which it does both. The ReLU of the second layer computes the smaller of rise and fall.",
        "No single linear filter can do this. Whatever its response to a bright corner on grey, seen from its response "
        "to even grey, that to the dark corner in the same place is the opposite. Where all shapes "
        "are equally bright a single filter gets far, as it may look for bright spots.",
    ),
    (Part("7_corners", (corners,), "figure = corners_figure(*compared(corners))"),),
)
