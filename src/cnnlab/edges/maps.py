"""One photograph through a detector: the map to keep and what its picture shows. A large one goes through in tiles.

C channel, H, W photograph, h, w panel of the picture (the photograph scaled down by a whole number), k that number.
"""

import copy
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from cnnlab.edges.detector import EdgeDetector
from cnnlab.edges.hysteresis import hysteresis
from cnnlab.edges.pictures import ink_picture, orientation_picture, reduction, side_by_side
from cnnlab.edges.thresholds import thresholds

WHOLE = 1 << 23  # pixels that go through a detector at once: 8 million
STEP = 1024  # pixels between tiles, about
ALIGNED = 64  # a network that scales down by up to this sees each pixel in a tile as in the whole
THIN = 4  # pixels: more than thinning looks at
GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in Pillow's conversion
FAINT = 1 / 16  # of the full scale: a picture whose strengths are all below is not drawn as if they were strong


class Maps(NamedTuple):
    """thinned_HW float32; strength and orientation before thinning as the picture shows them, None without pictures."""

    thinned_HW: np.ndarray
    strength_hw: np.ndarray | None
    orientation_hw: np.ndarray | None


class Tile(NamedTuple):
    """Where a part of the photograph lies: with its margin, without, and the latter inside of the former."""

    outer: tuple[slice, slice]
    inner: tuple[slice, slice]
    crop: tuple[slice, slice]


@torch.inference_mode()
def detect(
    detector: nn.Module,
    pixels_HWC: np.ndarray,
    device: torch.device,
    *,
    grey: bool,
    pictures: bool,
    told: Callable[[float], None] = lambda share: None,
) -> Maps:
    """uint8 or uint16 pixels -> Maps. `told` is called with the share that is done, where that takes long.

    More than WHOLE pixels go through in tiles; thresholds and hysteresis then see the map as a whole, so that the
    result is that of the whole photograph.
    """
    height, width = pixels_HWC.shape[:2]
    if height * width <= WHOLE:
        image_1CHW = tensor_of(pixels_HWC, device, grey)
        if not pictures:
            return Maps(_plane(detector.thinned(image_1CHW)), None, None)
        edges, thinned = detector.both(image_1CHW)
        return Maps(_plane(thinned), *strongest(*map(_plane, edges), reduction(height, width)))
    return _in_tiles(detector, pixels_HWC, lambda part_hwC: tensor_of(part_hwC, device, grey), pictures, told)


def _in_tiles(
    detector: nn.Module,
    pixels_HWC: np.ndarray,
    tensor: Callable[[np.ndarray], Tensor],
    pictures: bool,
    told: Callable[[float], None],
) -> Maps:
    height, width = pixels_HWC.shape[:2]
    k = reduction(height, width)
    thinned_HW = np.empty((height, width), np.float32)
    strength_hw, orientation_hw = (np.zeros((-(-height // k), -(-width // k)), np.float32) for _ in range(2))
    reach, local = locally(detector)
    for tile in tiles(height, width, reach, k):
        image_1CHW = tensor(pixels_HWC[tile.outer])
        if pictures:
            edges, thinned = local.both(image_1CHW)
            panel = tuple(slice(side.start // k, -(-side.stop // k)) for side in tile.inner)
            strength_hw[panel], orientation_hw[panel] = strongest(*(_plane(part)[tile.crop] for part in edges), k)
        else:
            thinned = local.thinned(image_1CHW)
        thinned_HW[tile.inner] = _plane(thinned)[tile.crop]
        bottom, right = (side.stop for side in tile.inner)
        top = tile.inner[0].start
        told((top * width + (bottom - top) * right) / (height * width))
    thinned_HW *= _kept(detector, torch.from_numpy(thinned_HW)[None, None])
    return Maps(thinned_HW, strength_hw, orientation_hw) if pictures else Maps(thinned_HW, None, None)


def locally(detector: nn.Module) -> tuple[int, nn.Module]:
    """How many pixels away a pixel still matters; the detector without its thresholds, which look at all pixels."""
    if not isinstance(detector, EdgeDetector):
        return detector.reach + THIN, detector
    local = copy.copy(detector)
    local.thresholds, local.low, local.high = "absolute", None, None
    return max(detector.halo) + THIN + (detector.surround_radius if detector.surround else 0), local


def _kept(detector: nn.Module, thinned_11HW: Tensor) -> np.ndarray | bool:
    """(H, W) bool: what the detector's thresholds leave of a map; True without thresholds."""
    if not isinstance(detector, EdgeDetector) or (detector.thresholds == "absolute" and detector.low is None):
        return True
    low, high = thresholds(thinned_11HW, detector.thresholds, detector.low, detector.high)
    return hysteresis(thinned_11HW, low, high)[0, 0].numpy()


def tiles(height: int, width: int, reach: int, k: int) -> Iterator[Tile]:
    """Tiles that cover height x width, row by row, each with a margin of at least `reach` where the photograph goes on.

    They begin at multiples of k and of ALIGNED.
    """
    unit = ALIGNED * k
    step = unit * -(-STEP // unit)
    margin = ALIGNED * -(-reach // ALIGNED)
    for top in range(0, height, step):
        for left in range(0, width, step):
            sides = [(start, min(start + step, end), end) for start, end in ((top, height), (left, width))]
            outer = [(max(0, start - margin), min(stop + margin, end)) for start, stop, end in sides]
            inner = tuple(slice(start, stop) for start, stop, _ in sides)
            crop = (slice(one.start - before, one.stop - before) for one, (before, _) in zip(inner, outer, strict=True))
            yield Tile(tuple(slice(*pair) for pair in outer), inner, tuple(crop))


def tensor_of(pixels_HWC: np.ndarray, device: torch.device, grey: bool) -> Tensor:
    """(1, C, H, W) float32 in [0, 1]; grey: one channel, the luma."""
    largest = np.iinfo(pixels_HWC.dtype).max
    image_CHW = torch.from_numpy(np.array(pixels_HWC)).to(device).permute(2, 0, 1)
    image_CHW = image_CHW.to(torch.float32).contiguous().div_(largest)
    if grey and len(image_CHW) == 3:
        weight_C11 = torch.tensor(GREY, device=device)[:, None, None]
        image_CHW = (image_CHW * weight_C11).sum(0, keepdim=True)
    return image_CHW[None]


def strongest(strength_HW: np.ndarray, orientation_HW: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(h, w) each: the strongest of every k x k pixels (fewer at the end), and its orientation."""
    if k == 1:
        return strength_HW, orientation_HW
    blocks = [_blocks(plane_HW, k) for plane_HW in (strength_HW, orientation_HW)]
    place = blocks[0].argmax(axis=-1)[..., None]
    strength_hw, orientation_hw = (np.take_along_axis(block, place, axis=-1)[..., 0] for block in blocks)
    return strength_hw, orientation_hw


def _blocks(plane_HW: np.ndarray, k: int) -> np.ndarray:
    """(h, w, k * k), zeros beyond the end."""
    down, right = (-side % k for side in plane_HW.shape)
    padded_HW = np.pad(plane_HW, ((0, down), (0, right)))
    height, width = (side // k for side in padded_HW.shape)
    return padded_HW.reshape(height, k, width, k).transpose(0, 2, 1, 3).reshape(height, width, k * k)


def draw(pixels_HWC: np.ndarray, maps: Maps, full_scale: float) -> np.ndarray:
    """The photograph, its edges as hue, and its thinned edges as ink, beside each other: (.., .., 3) uint8."""
    k = reduction(*pixels_HWC.shape[:2])
    thinned_hw = by_rows(lambda part_HW: _blocks(part_HW, k).max(axis=-1), maps.thinned_HW, k)
    faint = FAINT * full_scale
    assert maps.strength_hw is not None
    assert maps.orientation_hw is not None
    hues_hwC = orientation_picture(maps.strength_hw, maps.orientation_hw, faint)
    return side_by_side([photograph_panel(pixels_HWC, k), hues_hwC, ink_picture(thinned_hw, faint)])


def by_rows(reduced: Callable[[np.ndarray], np.ndarray], whole_HWC: np.ndarray, k: int) -> np.ndarray:
    """`reduced` of some rows after the other, k of which become one: what it copies on the way stays small."""
    step = max(1, STEP // k) * k
    return np.concatenate([reduced(whole_HWC[top : top + step]) for top in range(0, len(whole_HWC), step)])


def photograph_panel(pixels_HWC: np.ndarray, k: int) -> np.ndarray:
    """(h, w, 3) uint8, averaged over k x k pixels."""

    def panel(part_HWC: np.ndarray) -> np.ndarray:
        eight_HWC = part_HWC if part_HWC.dtype == np.uint8 else (part_HWC >> 8).astype(np.uint8)
        picture = Image.fromarray(eight_HWC[:, :, 0] if eight_HWC.shape[2] == 1 else eight_HWC)
        return np.asarray((picture.reduce(k) if k > 1 else picture).convert("RGB"))

    return by_rows(panel, pixels_HWC, k)


def _plane(part_11HW: Tensor) -> np.ndarray:
    return part_11HW[0, 0].float().cpu().numpy()
