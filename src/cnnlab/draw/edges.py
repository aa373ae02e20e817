"""Edges as pictures for people: composed with numpy and Pillow alone, since a folder may hold thousands of photographs.

H height, W width, C channel (red, green, blue), S step of strength, T step of orientation. Pictures are uint8. Strength
is drawn over the picture's own bright end, so brightness can't be compared between pictures; the numbers are elsewhere.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image

from cnnlab._choices import UsageError

STEPS = 256  # of strength and of orientation in the table of colours
BRIGHT = 99.0  # percentile of the strengths above zero that is drawn in full
INK, HUE = 0.7, 1.0  # exponents: thin lines are seen also where they are weak
SAMPLE = 1 << 16  # strengths that the percentile is taken from
GAP = 8  # pixels of white between panels
WIDE = 2.4  # panels of more than this times their height stand above each other
LARGEST = 2048  # pixels: the longer side of a panel
ROWS = 1024  # at once, of what is reduced
FAINT = 1 / 16  # of the full scale: a picture whose strengths are all below is not drawn as if they were strong


def orientation_picture(
    strength_HW: np.ndarray, orientation_HW: np.ndarray, faint: float = 0.0, legend: bool = True
) -> np.ndarray:
    """(H, W, 3): orientation as hue, strength as its distance from white. A picture whose bright end lies below `faint`
    is drawn as if it were there: rounding errors are no edges.

    orientation in radians, of the normal, from +x (to the right) towards +y (down); equal modulo pi. The ring in the
    corner, where there is room for one, wears at each point the colour of an edge that runs as the ring does there.
    """
    orient_HW = np.rint(orientation_HW * (STEPS / math.pi)).astype(np.int32) % STEPS
    picture_HWC = colours_STC()[_levels(strength_HW, HUE, faint), orient_HW]
    if legend:
        _draw_ring(picture_HWC)
    return picture_HWC


def ink_picture(strength_HW: np.ndarray, faint: float = 0.0) -> np.ndarray:
    """(H, W, 3): strength as ink on white paper; `faint` as in `orientation_picture`."""
    grey_HW = 255 - _levels(strength_HW, INK, faint)
    return np.repeat(grey_HW[:, :, None], 3, axis=2)


def side_by_side(panels: Sequence[np.ndarray]) -> np.ndarray:
    """Panels of one size (H, W, 3) on white, in a row; wide ones above each other."""
    height, width = panels[0].shape[:2]
    if any(panel.shape != (height, width, 3) or panel.dtype != np.uint8 for panel in panels):
        given = ", ".join(f"{panel.dtype} {panel.shape}" for panel in panels)
        raise UsageError(f"panels must be uint8 of one size (H, W, 3); got {given}")
    axis = 0 if width > WIDE * height else 1
    gap = np.full((GAP, width, 3) if axis == 0 else (height, GAP, 3), 255, np.uint8)
    spaced = [part for panel in panels for part in (panel, gap)][:-1]
    return np.concatenate(spaced, axis=axis)


def reduction(height: int, width: int) -> int:
    """The integer by which a panel is scaled down to have no side above LARGEST."""
    return math.ceil(max(height, width) / LARGEST)


@lru_cache(maxsize=1)
def colours_STC() -> np.ndarray:
    """(STEPS, STEPS, 3) uint8: from white (no strength) to the full colour of each orientation.

    Full colours lie on a circle of one lightness and one chroma in OKLab (Ottosson 2020), so that no orientation looks
    stronger than another; the circle is gone round once in pi.
    """
    strength_S1 = np.linspace(0, 1, STEPS)[:, None]
    hue_1T = 2 * np.pi * np.arange(STEPS)[None] / STEPS
    lightness_ST = np.broadcast_to(1 - 0.4 * strength_S1, (STEPS, STEPS))
    chroma_S1 = 0.125 * strength_S1**0.8
    lab_STC = np.stack([lightness_ST, chroma_S1 * np.cos(hue_1T), chroma_S1 * np.sin(hue_1T)], axis=-1)
    table_STC = _srgb_of_oklab(lab_STC)
    table_STC[0] = 255
    return table_STC


def _srgb_of_oklab(lab: np.ndarray) -> np.ndarray:
    """(..., 3) OKLab -> (..., 3) uint8 sRGB, clipped. Matrices: bottosson.github.io/posts/oklab."""
    to_lms = np.array(
        [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.291485548]]
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.707614701],
        ]
    )
    linear = ((lab @ to_lms.T) ** 3 @ to_rgb.T).clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


def _levels(strength_HW: np.ndarray, exponent: float, faint: float) -> np.ndarray:
    """(H, W) uint8 from 0 (no edge) to 255 (the bright end of this picture)."""
    step = max(1, strength_HW.size // SAMPLE)
    sample = strength_HW.reshape(-1)[::step]
    sample = sample[sample > 0]
    largest = float(np.percentile(sample, BRIGHT)) if sample.size else float(strength_HW.max(initial=0))
    largest = max(largest, faint)
    if largest <= 0:
        return np.zeros(strength_HW.shape, np.uint8)
    return np.rint(255 * (strength_HW / np.float32(largest)).clip(0, 1) ** np.float32(exponent)).astype(np.uint8)


def _draw_ring(picture_HWC: np.ndarray) -> None:
    """The legend, on the picture itself, bottom right. Nothing on a picture too small for it."""
    height, width = picture_HWC.shape[:2]
    side = min(height, width) // 9
    if side < 20:
        return
    ring_hwC, shown_hw1 = _ring(side)
    margin = side // 5
    corner_hwC = picture_HWC[height - side - margin : height - margin, width - side - margin : width - margin]
    mixed_hwC = corner_hwC * (1 - shown_hw1) + ring_hwC * shown_hw1
    corner_hwC[:] = np.rint(mixed_hwC).astype(np.uint8)


@lru_cache(maxsize=8)
def _ring(side: int) -> tuple[np.ndarray, np.ndarray]:
    """(side, side, 3) colours of a ring on a white disc, and (side, side, 1) how much of it is shown, in [0, 1]."""
    middle = (side - 1) / 2
    y_hw, x_hw = np.mgrid[:side, :side] - middle
    radius_hw = np.hypot(y_hw, x_hw)
    hue_hw = np.rint(np.arctan2(y_hw, x_hw) * (STEPS / np.pi)).astype(np.int32) % STEPS
    outer, inner = side / 2 - 0.5 - side / 12, side / 2 - 0.5 - side / 3.6
    on_hw1 = ((outer - radius_hw).clip(-0.5, 0.5) + 0.5)[:, :, None] * ((radius_hw - inner).clip(-0.5, 0.5) + 0.5)[
        :, :, None
    ]
    disc_hw1 = ((side / 2 - 0.5 - radius_hw).clip(-0.5, 0.5) + 0.5)[:, :, None]
    return colours_STC()[-1][hue_hw] * on_hw1 + 255 * (1 - on_hw1), disc_hw1


def edge_picture(
    pixels_HWC: np.ndarray,
    strength_hw: np.ndarray,
    orientation_hw: np.ndarray,
    thinned_HW: np.ndarray,
    full_scale: float,
) -> np.ndarray:
    """The photograph, its edges as hue, and its thinned edges as ink, beside each other: (.., .., 3) uint8.

    h, w: a panel, `reduction` times smaller than the photograph; strength and orientation as `strongest` gives them.
    """
    k = reduction(*pixels_HWC.shape[:2])
    thinned_hw = by_rows(lambda part_HW: _blocks(part_HW, k).max(axis=-1), thinned_HW, k)
    faint = FAINT * full_scale
    hues_hwC = orientation_picture(strength_hw, orientation_hw, faint)
    return side_by_side([photograph_panel(pixels_HWC, k), hues_hwC, ink_picture(thinned_hw, faint)])


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


def by_rows(reduced: Callable[[np.ndarray], np.ndarray], whole_HWC: np.ndarray, k: int) -> np.ndarray:
    """`reduced` of some rows after the other, k of which become one: what it copies on the way stays small."""
    step = max(1, ROWS // k) * k
    return np.concatenate([reduced(whole_HWC[top : top + step]) for top in range(0, len(whole_HWC), step)])


def photograph_panel(pixels_HWC: np.ndarray, k: int) -> np.ndarray:
    """(h, w, 3) uint8, averaged over k x k pixels."""

    def panel(part_HWC: np.ndarray) -> np.ndarray:
        eight_HWC = part_HWC if part_HWC.dtype == np.uint8 else (part_HWC >> 8).astype(np.uint8)
        picture = Image.fromarray(eight_HWC[:, :, 0] if eight_HWC.shape[2] == 1 else eight_HWC)
        return np.asarray((picture.reduce(k) if k > 1 else picture).convert("RGB"))

    return by_rows(panel, pixels_HWC, k)
