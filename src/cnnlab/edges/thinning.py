"""Thinning: non-maximum suppression along the normal. B batch, H W image.

A pixel stays if its strength is positive and no smaller than
1. the strengths one step ahead and one step behind along the normal. The step ends where the normal leaves the ring of
   eight neighbours; the strength there is interpolated linearly between the two neighbours it falls between (Canny
   1986, IEEE PAMI 8(6), section VIII);
2. those of its two neighbours along the axis nearest to the normal (at exactly 45 degrees: along both). Without this a
   slanted line has up to two pixels in a row, since the step of 1. is longer than the distance between rows.
So a straight step gives one pixel in each row, or in each column if it lies flatter than 45 degrees. Beyond the border
there is nothing: strength 0.

Ties. A step between two pixels gives both the same strength, and only one may stay. Which one can't follow from
strength and orientation alone if the result is to turn and mirror with the image: they are symmetric there. So a third
field decides, `tie`, that turns with the image too: of two equal strengths the one with the larger `tie` stays. The
detector gives the brightness of the image, so that the line of a step lies on its bright side, and a plateau of
strength (a ramp of brightness) shrinks to its brightest end. Where strength and tie are both equal, both pixels stay:
the image itself is symmetric there, and so is the result (an ideal line two pixels wide, seen by a line detector).
Without `tie`, of two equals the one further along the normal (to the right, or straight down) stays: always one,
but not the mirrored one in a mirrored image.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab.edges.compiled import COMPILED, compiled


def thin(strength_B1HW: Tensor, orientation_B1HW: Tensor, tie_B1HW: Tensor | None = None) -> Tensor:
    """The strength where it is largest along the normal, 0 elsewhere: same shape, dtype and device.

    strength: >= 0; orientation: radians, of the normal, from +x towards +y (half a turn more is the same);
    tie: decides between equal strengths, see above. ValueError if the shapes differ.
    """
    for name, field in (("orientation", orientation_B1HW), ("tie", tie_B1HW)):
        if field is not None and field.shape != strength_B1HW.shape:
            shapes = f"{tuple(strength_B1HW.shape)} and {tuple(field.shape)}"
            raise ValueError(f"strength and {name} must have the same shape, got {shapes}")
    wide = torch.promote_types(orientation_B1HW.dtype, torch.float32)
    angle = orientation_B1HW.to(wide)
    strength = strength_B1HW.to(torch.promote_types(strength_B1HW.dtype, wide))
    tie = None if tie_B1HW is None else surrounded(tie_B1HW.to(strength.dtype))
    return strength_B1HW * largest_along(surrounded(strength), angle.sin(), angle.cos(), tie)


def surrounded(field_BCHW: Tensor) -> Tensor:
    """With one pixel of 0 on each side."""
    return F.pad(field_BCHW, (1, 1, 1, 1))


def largest_along(strength_BCHW: Tensor, dy: Tensor, dx: Tensor, tie_BCHW: Tensor | None) -> Tensor:
    """Whether each pixel inside is largest along the normal (dy, dx), bool.

    strength and tie have one pixel more on each side than dy and dx. The length and the sign of (dy, dx) don't matter.
    On a processor pixel by pixel where numba is installed, four times as fast: most pixels need one look.
    """
    fields = [strength_BCHW, dy, dx] if tie_BCHW is None else [strength_BCHW, dy, dx, tie_BCHW]
    traced = torch.compiler.is_compiling() or any(field.device.type != "cpu" for field in fields)
    if traced or not COMPILED or len({field.dtype for field in fields}) > 1:
        return largest_by_fields(strength_BCHW, dy, dx, tie_BCHW)
    stays = torch.empty(dy.shape, dtype=torch.bool)
    planes = [field.detach().flatten(0, 1).numpy() for field in fields]
    for index, stays_HW in enumerate(stays.flatten(0, 1).numpy()):
        strength_HW, dy_HW, dx_HW, *tie = (plane[index] for plane in planes)
        look(strength_HW, dy_HW, dx_HW, *tie or [strength_HW], bool(tie), stays_HW)
    return stays


@compiled
def look(
    strength_HW: np.ndarray, dy_HW: np.ndarray, dx_HW: np.ndarray, tie_HW: np.ndarray, tied: bool, stays_HW: np.ndarray
) -> None:
    """`largest_by_fields` of one image, pixel by pixel; without `tied` the ties are not looked at."""
    height, width = stays_HW.shape
    for row in range(height):
        for column in range(width):
            stays_HW[row, column] = False
            y, x = row + 1, column + 1
            middle = strength_HW[y, x]
            if not middle > 0:
                continue
            dy, dx = dy_HW[row, column], dx_HW[row, column]
            tall, broad = abs(dy), abs(dx)
            stays = True
            for turn in range(2):  # the neighbours right and left, then down and up
                if (tall > broad) if turn == 0 else (broad > tall):
                    continue
                for sign in (1, -1):
                    down, right = (0, sign) if turn == 0 else (sign, 0)
                    other = strength_HW[y + down, x + right]
                    if middle < other or (
                        middle == other and (tie_HW[y, x] < tie_HW[y + down, x + right] if tied else sign > 0)
                    ):
                        stays = False
            if not stays:
                continue
            steep, falling = tall > broad, (dy > 0) == (dx > 0)
            share = min(tall, broad) / max(tall, broad) if tall + broad > 0 else tall
            for sign in (1, -1):
                y1, x1 = (y + sign, x) if steep else (y, x + sign)
                y2, x2 = y + sign, x + sign
                if not falling:
                    y2, x2 = (y + sign, x - sign) if steep else (y - sign, x + sign)
                other = between(strength_HW[y1, x1], strength_HW[y2, x2], share)
                if middle < other or (
                    middle == other
                    and (tie_HW[y, x] < between(tie_HW[y1, x1], tie_HW[y2, x2], share) if tied else sign > 0)
                ):
                    stays = False
            stays_HW[row, column] = stays


@compiled
def between(start: float, end: float, share: float) -> float:
    """Linear interpolation, exact at both ends, as `torch.lerp`."""
    if share < 0.5:
        return start + share * (end - start)
    return end - (end - start) * (1 - share)


def largest_by_fields(strength_BCHW: Tensor, dy: Tensor, dx: Tensor, tie_BCHW: Tensor | None) -> Tensor:
    """`largest_along` by operations on whole fields, on any device."""
    tall, broad = dy.abs(), dx.abs()
    share = torch.minimum(tall, broad) / torch.maximum(tall, broad).clamp_min(torch.finfo(dy.dtype).tiny)
    steep, falling = (tall > broad).to(dy.dtype), ((dy > 0) == (dx > 0)).to(dy.dtype)
    strengths = Field(strength_BCHW), *on_the_ring(Field(strength_BCHW), steep, falling, share)
    ties = None if tie_BCHW is None else (Field(tie_BCHW), *on_the_ring(Field(tie_BCHW), steep, falling, share))

    def stands(down: int, right: int) -> Tensor:
        tie = None if ties is None else (ties[0].at(0, 0), ties[0].at(down, right))
        return not_below(strengths[0].at(0, 0), strengths[0].at(down, right), tie, strict=down + right > 0)

    level = (tall > broad) | (stands(0, 1) & stands(0, -1))
    upright = (broad > tall) | (stands(1, 0) & stands(-1, 0))
    middle = strengths[0].at(0, 0)
    ahead, behind = (None if ties is None else (ties[0].at(0, 0), ties[side]) for side in (1, 2))
    along = not_below(middle, strengths[1], ahead, strict=True) & not_below(middle, strengths[2], behind, strict=False)
    return (middle > 0) & level & upright & along


class Field:
    """A field with one pixel more on each side, seen from its inner pixels."""

    def __init__(self, field_BCHW: Tensor) -> None:
        self.field_BCHW = field_BCHW
        self.height, self.width = (size - 2 for size in field_BCHW.shape[-2:])

    def at(self, down: int, right: int) -> Tensor:
        """The value so many pixels down and to the right of each inner one, -1 to 1."""
        return self.field_BCHW[..., 1 + down : 1 + down + self.height, 1 + right : 1 + right + self.width]


def not_below(middle: Tensor, other: Tensor, tie: tuple[Tensor, Tensor] | None, strict: bool) -> Tensor:
    """Whether the middle is stronger, or equal with no smaller tie; without ties, equal only if it isn't `strict`."""
    if tie is None:
        return middle > other if strict else middle >= other
    return (middle > other) | ((middle == other) & (tie[0] >= tie[1]))


def on_the_ring(field: Field, steep: Tensor, falling: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """The field where the normal leaves the ring, ahead (to the right; down where it is steep) and behind.

    `steep` and `falling` (the normal runs down to the right) are 0 or 1; `share` is 0 straight ahead, 1 at the corner.
    All are interpolations, which is faster than choosing and as exact: weights of 0 and 1 give back the ends.
    """
    ends = []
    for sign in (1, -1):
        straight = torch.lerp(field.at(0, sign), field.at(sign, 0), steep)
        rising = torch.lerp(field.at(-sign, sign), field.at(sign, -sign), steep)
        corner = torch.lerp(rising, field.at(sign, sign), falling)
        ends.append(torch.lerp(straight, corner, share))
    return ends[0], ends[1]
