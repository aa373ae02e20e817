"""The tour's steps on patterns: what is computed. The page and the notebook show these functions as they stand.

C channel, H, W image, h, w patch, P parts of a patch.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.functional import InterpolationMode, rotate

from cnnlab.edges.borders import pad
from cnnlab.edges.colour import in_space
from cnnlab.filters import bank


def distinct_patch(grey_HW: Tensor, side: int) -> tuple[int, int]:
    """Top and left of a square window that is unlike the rest of the image: of many with contrast, away from the
    border, the one whose normalised correlation elsewhere is at most the smallest."""
    window_hwyx = grey_HW.unfold(0, side, side // 2).unfold(1, side, side // 2)[2:-2, 2:-2]
    columns = window_hwyx.shape[1]
    window_Phw = window_hwyx.reshape(-1, side, side)
    chosen = window_Phw.std((1, 2)).argsort(descending=True)[: max(8, len(window_Phw) // 4)].tolist()
    answer_PHW = normalised(grey_HW, window_Phw[chosen])
    worst = []
    for index, answer_HW in zip(chosen, answer_PHW, strict=True):
        top, left = ((place + 2) * side // 2 for place in divmod(index, columns))
        answer_HW[max(0, top - side // 2) : top + side // 2, max(0, left - side // 2) : left + side // 2] = -1
        worst.append((float(answer_HW.max()), top, left))
    return min(worst)[1:]


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
    mean_HW, power_HW = (F.avg_pool2d(one, window, stride=1)[0, 0] for one in (wide_11HW, wide_11HW.square()))
    contrast_HW = (power_HW - mean_HW.square()).clamp_min(0).sqrt()
    contrast_P11 = patch_Phw.double().std((1, 2), correction=0, keepdim=True).clamp_min(1e-4)
    answer_PHW = correlation(scene_HW, patch_Phw).double() / window.numel() / contrast_P11
    return torch.where(contrast_HW > 1e-4, answer_PHW / contrast_HW, 0.0).float()


class Matching(NamedTuple):
    """A patch (side, side) cut out at (top, left), scenes in even and uneven light, and the answers to them."""

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


def parts_together(scene_HW: Tensor, patch_hw: Tensor, slack: int) -> Tensor:
    """The mean answer of the patch's 4 x 4 parts, each of which may lie up to `slack` pixels from its place."""
    size = len(patch_hw) // 4
    part_Phw = patch_hw.unfold(0, size, size).unfold(1, size, size).reshape(16, size, size)
    near_PHW = F.max_pool2d(normalised(scene_HW, part_Phw), 2 * slack + 1, stride=1, padding=slack)
    rows, columns = (length - len(patch_hw) + 1 for length in scene_HW.shape)
    places = [(y * size, x * size) for y in range(4) for x in range(4)]
    return torch.stack(
        [near_HW[y : y + rows, x : x + columns] for near_HW, (y, x) in zip(near_PHW, places, strict=True)]
    ).mean(0)


def turned(found: Matching, degrees: int, slack: int = 4) -> dict[str, tuple[float, float]]:
    """The image turned about the patch: of the whole patch and of its parts together, the best answer at the place
    (within `slack` pixels) and the best one elsewhere."""
    side = len(found.patch)
    middle = [found.left + side / 2 - 0.5, found.top + side / 2 - 0.5]
    scene_HW = rotate(found.even[None], degrees, InterpolationMode.BILINEAR, center=middle)[0]
    answers = {
        "whole": normalised(scene_HW, found.patch[None])[0],
        "parts": parts_together(scene_HW, found.patch, slack),
    }
    y_H1 = torch.arange(answers["whole"].shape[0])[:, None] - found.top
    x_W = torch.arange(answers["whole"].shape[1]) - found.left
    distance_HW = (y_H1.square() + x_W.square()).sqrt()
    here_HW, elsewhere_HW = distance_HW <= slack + 1, distance_HW > side / 2
    return {name: (float(one[here_HW].max()), float(one[elsewhere_HW].max())) for name, one in answers.items()}


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
