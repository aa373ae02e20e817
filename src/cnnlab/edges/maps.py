"""One photograph through a detector: the map to keep and what its picture shows. A large one goes through in tiles.

C channel, H, W photograph, h, w panel of the picture (the photograph scaled down by an integer), k that number.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cnnlab._parallel import in_turn
from cnnlab.draw.edges import reduction, strongest
from cnnlab.edges.colour import in_space
from cnnlab.edges.contract import Detector
from cnnlab.edges.tiles import Tile, aligned, tiles

WHOLE = 1 << 23  # pixels that go through a detector at once: 8 million
STEP = 1024  # pixels between tiles, about
ALIGNED = 64  # a network that scales down by up to this sees each pixel in a tile as in the whole
THIN = 4  # pixels: more than thinning looks at


class Maps(NamedTuple):
    """thinned_HW float32; strength and orientation before thinning (h, w) as a picture shows them, if there is one."""

    thinned_HW: np.ndarray
    fields: tuple[np.ndarray, np.ndarray] | None


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
        return Maps(thinned_HW, strongest(*edges, k) if edges else None)
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
    return Maps(thinned_HW, (strength_hw, orientation_hw) if pictures else None)


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


def _plane(part_11HW: Tensor) -> np.ndarray:
    return part_11HW[0, 0].float().cpu().numpy()
