"""One photograph through a detector: the map to keep and what its picture shows. A large one goes through in tiles.

C channel, H, W photograph, h, w panel of the picture (the photograph scaled down by an integer), k that number.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cnnlab._parallel import in_turn
from cnnlab.edges.colour import in_space
from cnnlab.edges.contract import Detector
from cnnlab.edges.pictures import ink_picture, orientation_picture, reduction, side_by_side
from cnnlab.edges.tiles import Tile, aligned, tiles

WHOLE = 1 << 23  # pixels that go through a detector at once: 8 million
STEP = 1024  # pixels between tiles, about
ALIGNED = 64  # a network that scales down by up to this sees each pixel in a tile as in the whole
THIN = 4  # pixels: more than thinning looks at
FAINT = 1 / 16  # of the full scale: a picture whose strengths are all below is not drawn as if they were strong


class Maps(NamedTuple):
    """thinned_HW float32; strength and orientation before thinning as the picture shows them, None without pictures."""

    thinned_HW: np.ndarray
    strength_hw: np.ndarray | None
    orientation_hw: np.ndarray | None


def detect(
    detector: Detector,
    pixels_HWC: np.ndarray,
    device: torch.device,
    *,
    grey: bool,
    pictures: bool,
    threads: int = 1,
    tell: Callable[[float], None] = lambda fraction: None,
) -> Maps:
    """uint8 or uint16 pixels -> Maps. `tell` is called with the fraction that is done, where that takes long.

    More than WHOLE pixels go through in tiles, as many at once as there are threads; thresholds and hysteresis then
    see the map as a whole, so that the result is that of the whole photograph.
    """
    height, width = pixels_HWC.shape[:2]
    k = reduction(height, width)
    if height * width <= WHOLE:
        thinned_HW, edges = _detected(detector, tensor_of(pixels_HWC, device, grey), pictures)
        return Maps(thinned_HW, *strongest(*edges, k)) if edges else Maps(thinned_HW, None, None)
    local = detector.local()
    thinned_HW = np.empty((height, width), np.float32)
    strength_hw, orientation_hw = (np.zeros((-(-height // k), -(-width // k)), np.float32) for _ in range(2))

    def work(tile: Tile) -> float:
        thin_hw, edges = _detected(local, tensor_of(pixels_HWC[tile.outer], device, grey), pictures)
        thinned_HW[tile.inner] = thin_hw[tile.crop]
        if edges:
            rows, columns = (slice(side.start // k, -(-side.stop // k)) for side in tile.inner)
            largest = strongest(edges[0][tile.crop], edges[1][tile.crop], k)
            strength_hw[rows, columns], orientation_hw[rows, columns] = largest
        (top, bottom), right = (tile.inner[0].start, tile.inner[0].stop), tile.inner[1].stop
        return (top * width + (bottom - top) * right) / (height * width)

    step, margin = aligned(STEP, ALIGNED * k), aligned(detector.reach + THIN, ALIGNED)
    for fraction in in_turn(work, tiles(height, width, step, margin), threads):
        tell(fraction)
    with torch.inference_mode():
        thinned_HW = detector.thresholded(torch.from_numpy(thinned_HW)[None, None])[0, 0].numpy()
    return Maps(thinned_HW, strength_hw, orientation_hw) if pictures else Maps(thinned_HW, None, None)


@torch.inference_mode()
def _detected(
    detector: Detector, image_1CHW: Tensor, pictures: bool
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
    """Thinned strengths, and strength and orientation before thinning, where pictures show them; (H, W) each."""
    if not pictures:
        return _plane(detector.thinned(image_1CHW)), None
    (strength, orientation), thinned = detector.both(image_1CHW)
    return _plane(thinned), (_plane(strength), _plane(orientation))


def tensor_of(pixels_HWC: np.ndarray, device: torch.device, grey: bool) -> Tensor:
    """(1, C, H, W) float32 in [0, 1]; grey: one channel, the luma."""
    largest = np.iinfo(pixels_HWC.dtype).max
    image_CHW = torch.from_numpy(np.array(pixels_HWC)).to(device).permute(2, 0, 1)
    image_1CHW = image_CHW.to(torch.float32).contiguous().div_(largest)[None]
    return in_space(image_1CHW, "grey") if grey else image_1CHW


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
