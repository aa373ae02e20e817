"""A kernel as a pattern: a patch of the image is looked for. C channel, H, W image, h, w patch, P parts of a patch."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.functional import InterpolationMode, rotate

from cnnlab.edges.colour import in_space
from cnnlab.tour.sheet import (
    INK,
    MARKS,
    RULE,
    SOFT,
    TEXT,
    Sheet,
    mark,
    name_axes,
    place_of,
    show_image,
    show_signed,
    sized,
)
from cnnlab.tour.step import Part, Step


def distinct_patch(grey_HW: Tensor, side: int) -> tuple[int, int]:
    """Top and left of a square window that is unlike the rest of the image: of many with contrast, away from the
    border, the one whose normalised correlation elsewhere is at most the smallest."""
    window_hwyx = grey_HW.unfold(0, side, side // 2).unfold(1, side, side // 2)[2:-2, 2:-2]
    columns = window_hwyx.shape[1]
    window_Phw = window_hwyx.reshape(-1, side, side)
    chosen = window_Phw.std((1, 2)).argsort(descending=True)[: max(8, len(window_Phw) // 4)].tolist()
    response_PHW = normalised(grey_HW, window_Phw[chosen])
    worst = []
    for index, response_HW in zip(chosen, response_PHW, strict=True):
        top, left = ((place + 2) * side // 2 for place in divmod(index, columns))
        response_HW[max(0, top - side // 2) : top + side // 2, max(0, left - side // 2) : left + side // 2] = -1
        worst.append((float(response_HW.max()), top, left))
    _, top, left = min(worst)
    return top, left


def shaded(grey_HW: Tensor, left: int, gain: float = 0.35) -> Tensor:
    """The image with a shadow on the half in which column `left` lies."""
    place_W = torch.arange(grey_HW.shape[1]) - grey_HW.shape[1] / 2
    light_W = torch.sigmoid(place_W / 6 if left < grey_HW.shape[1] / 2 else -place_W / 6)
    return grey_HW * (gain + (1 - gain) * light_W)


def correlation(scene_HW: Tensor, patch_Phw: Tensor) -> Tensor:
    """(P, H', W'): dot products with patches, each less its mean, at each place, which is a window's top left."""
    kernel_P1hw = (patch_Phw - patch_Phw.mean((1, 2), keepdim=True))[:, None]
    return F.conv2d(scene_HW[None, None], kernel_P1hw)[0]


def normalised(scene_HW: Tensor, patch_Phw: Tensor) -> Tensor:
    """The same over the contrast of the window and that of the patch, so from -1 to 1; 0 where a window is even."""
    window = patch_Phw.shape[1:]
    wide_11HW = scene_HW[None, None].double()
    mean_HW, power_HW = (F.avg_pool2d(image, window, stride=1)[0, 0] for image in (wide_11HW, wide_11HW.square()))
    contrast_HW = (power_HW - mean_HW.square()).clamp_min(0).sqrt()
    contrast_P11 = patch_Phw.double().std((1, 2), correction=0, keepdim=True).clamp_min(1e-4)
    response_PHW = correlation(scene_HW, patch_Phw).double() / window.numel() / contrast_P11
    return torch.where(contrast_HW > 1e-4, response_PHW / contrast_HW, 0.0).float()


class Matching(NamedTuple):
    """A patch (side, side) cut out at (top, left), scenes in even and uneven light, and the responses to them."""

    top: int
    left: int
    patch: Tensor
    even: Tensor
    uneven: Tensor
    plain_even: Tensor
    plain_uneven: Tensor
    normalised_uneven: Tensor


def match(photo_CHW: Tensor) -> Matching:
    """A patch of the photograph as kernel, on the photograph and on the photograph with a shadow over the patch."""
    grey_HW = in_space(photo_CHW[None], "grey")[0, 0]
    side = min(grey_HW.shape) // 10 // 4 * 4
    top, left = distinct_patch(grey_HW, side)
    patch_hw = grey_HW[top : top + side, left : left + side]
    scene_HW = shaded(grey_HW, left)
    plain = correlation(grey_HW, patch_hw[None])[0], correlation(scene_HW, patch_hw[None])[0]
    return Matching(top, left, patch_hw, grey_HW, scene_HW, *plain, normalised(scene_HW, patch_hw[None])[0])


def matching_figure(matched: Matching) -> Sheet:
    """Both scenes, and in each map of responses its largest one."""
    sheet = Sheet()
    side = len(matched.patch)
    size = sized(matched.even, 3.1)
    scenes = (
        (matched.even, "the photograph;\nthe kernel is the marked patch"),
        (matched.uneven, "half of it in shadow"),
    )
    maps = (
        (matched.plain_even, "dot product,\neven light"),
        (matched.plain_uneven, "dot product,\nwith the shadow"),
        (matched.normalised_uneven, "normalised correlation,\nwith the shadow"),
    )
    for image_HW, heading in scenes:
        axis = sheet.panel(*size, heading)
        show_image(axis, image_HW)
        mark(axis, matched.top, matched.left, side, side, MARKS[0])
        if image_HW is matched.even:
            inset = axis.inset_axes((0.03, 0.03, 0.3, 0.3 * size[0] / size[1]))
            inset.set(xticks=[], yticks=[])
            inset.spines[:].set(color=MARKS[0], linewidth=2)
            show_image(inset, matched.patch, smooth=False)
    distances = []
    for number, (map_HW, heading) in enumerate(maps):
        away = from_place(map_HW, matched.top, matched.left)
        verdict = "finds it" if away <= 2 else "does not find it"
        axis = sheet.panel(*size, f"{heading}:\n{verdict}", bar=True, row=number == 0)
        show_signed(axis, map_HW, float(map_HW.abs().max()) or 1.0)
        y, x = place_of(map_HW)
        axis.plot(x, y, "o", markersize=15, markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1.8)
        mark(axis, matched.top - 6, matched.left - 6, 13, 13, MARKS[0])
        distances.append(f"{' '.join(heading.split())} {away:.0f}")
    sheet.caption = (
        f"The patch of {side} by {side} pixels comes from row {matched.top}, column {matched.left} (box). Each circle "
        f"is the largest response of a map. Its distance from the patch, in pixels: {'; '.join(distances)}, where "
        f"it is {float(matched.normalised_uneven.max()):.2f} of at most 1."
    )
    return sheet


def from_place(map_HW: Tensor, top: int, left: int) -> float:
    """Pixels between the largest response of a map and a place."""
    y, x = place_of(map_HW)
    return float(((y - top) ** 2 + (x - left) ** 2) ** 0.5)


def parts_together(scene_HW: Tensor, patch_hw: Tensor, slack: int) -> Tensor:
    """The mean response of the patch's 4 x 4 parts, each of which may lie up to `slack` pixels from its place."""
    size = len(patch_hw) // 4
    part_Phw = patch_hw.unfold(0, size, size).unfold(1, size, size).reshape(16, size, size)
    near_PHW = F.max_pool2d(normalised(scene_HW, part_Phw), 2 * slack + 1, stride=1, padding=slack)
    rows, columns = (length - len(patch_hw) + 1 for length in scene_HW.shape)
    places = [(y * size, x * size) for y in range(4) for x in range(4)]
    return torch.stack(
        [near_HW[y : y + rows, x : x + columns] for near_HW, (y, x) in zip(near_PHW, places, strict=True)]
    ).mean(0)


def rotated(matched: Matching, degrees: int, slack: int = 4) -> dict[str, tuple[float, float]]:
    """The image rotated about the patch: of the whole patch and of its parts together, the best response at the place
    (within `slack` pixels) and the best one elsewhere."""
    side = len(matched.patch)
    middle = [matched.left + side / 2 - 0.5, matched.top + side / 2 - 0.5]
    scene_HW = rotate(matched.even[None], degrees, InterpolationMode.BILINEAR, center=middle)[0]
    responses = {
        "whole": normalised(scene_HW, matched.patch[None])[0],
        "parts": parts_together(scene_HW, matched.patch, slack),
    }
    y_H1 = torch.arange(responses["whole"].shape[0])[:, None] - matched.top
    x_W = torch.arange(responses["whole"].shape[1]) - matched.left
    distance_HW = (y_H1.square() + x_W.square()).sqrt()
    here_HW, elsewhere_HW = distance_HW <= slack + 1, distance_HW > side / 2
    return {
        name: (float(map_HW[here_HW].max()), float(map_HW[elsewhere_HW].max())) for name, map_HW in responses.items()
    }


def rotated_figure(measured: Mapping[int, Mapping[str, tuple[float, float]]]) -> Sheet:
    """Degrees -> for "whole" and "parts": the best response at the patch, and the best elsewhere."""
    degrees = sorted(measured)
    sheet = Sheet()
    headings = {"whole": "the whole patch", "parts": "sixteen parts, free to move a little"}
    reach = {}
    for (name, heading), colour in zip(headings.items(), MARKS, strict=False):
        here, elsewhere = ([measured[angle][name][place] for angle in degrees] for place in (0, 1))
        lost = [angle for angle, mine, other in zip(degrees, here, elsewhere, strict=True) if mine <= other]
        kept = [angle for angle in degrees if not lost or angle < lost[0]]
        reach[name] = kept[-1] if kept else -1
        words = f"found up to {reach[name]} degrees" if kept else "not found"
        axis = sheet.panel(4.2, 2.7, f"{heading}:\n{words}", ticks=True)
        axis.plot(degrees, here, "o-", color=colour, linewidth=2, label="at the patch")
        axis.plot(degrees, elsewhere, "s--", color=SOFT, linewidth=1.5, markersize=4, label="best elsewhere")
        axis.set(ylim=(-0.05, 1.08))
        name_axes(axis, "the image rotated, in degrees", "response")
        axis.grid(color=RULE, linewidth=0.7)
        axis.legend(fontsize=TEXT - 1, frameon=False, loc="lower left")
    sheet.caption = (
        f"The photograph was rotated about the patch in steps of {degrees[1] - degrees[0]} degrees. As long as the "
        f"solid line is the higher one, the largest response is at the patch: the whole patch up to {reach['whole']} "
        f"degrees, its parts together up to {reach['parts']}."
    )
    return sheet


STEP = Step(
    "patterns",
    "A kernel is a pattern",
    (
        "A dot product is large where the image looks like the kernel. So take a patch of the image as the kernel, "
        "and look for it. But a dot product also grows with contrast: in a shadow the response to the patch itself may "
        "be smaller than that to something else in the light. Dividing by the contrast of each window mends that; the "
        "response is then the cosine between window and patch, and this is no linear filter any more.",
        "One rigid pattern is still weak. Rotate the image a little, and it no longer fits. Cut it into parts, let "
        "each lie a little off its place (take the largest response near by), and add up their responses: small "
        "patterns, combined, bear more. A convolutional network does so layer after layer.",
    ),
    (
        Part(
            "6_matching",
            (correlation, normalised, match),
            "matched = match(photo_CHW)\nfigure = matching_figure(matched)",
        ),
        Part(
            "6_parts",
            (parts_together, rotated),
            "figure = rotated_figure({degrees: rotated(matched, degrees) for degrees in range(0, 49, 6)})",
        ),
    ),
)
