"""Thinning: non-maximum suppression along the normal. B batch, H W image.

1. A pixel is a candidate if its strength is positive and no smaller than the strengths one step ahead and one step
   behind along the normal. The step ends where the normal leaves the ring of eight neighbours; the strength there is
   interpolated linearly between the two neighbours it falls between (Canny 1986, IEEE PAMI 8(6), section VIII).
2. Of two candidates side by side along the axis nearest to the normal of one of them (at exactly 45 degrees: along
   both axes), that one stays only if it is no weaker than the other. Without this a slanted line has up to two pixels
   in a row, since the step of 1. is longer than the distance between rows.
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
    tie = None if tie_B1HW is None else tie_B1HW.to(strength.dtype)
    stays = largest_along(strength, angle.sin().to(strength.dtype), angle.cos().to(strength.dtype), tie)
    return torch.where(stays, strength_B1HW, 0)


def surrounded(field_BCHW: Tensor) -> Tensor:
    """With one pixel of 0 on each side."""
    return F.pad(field_BCHW, (1, 1, 1, 1))


def largest_along(
    strength_B1HW: Tensor, dy_B1HW: Tensor, dx_B1HW: Tensor, tie_B1HW: Tensor | None, least: float = 0.0
) -> Tensor:
    """Which pixels stay, (B, 1, H, W) bool, with the normals (dy, dx), of which length and sign don't matter.

    Strengths below `least` don't stay; saying so here saves the time that they would take. On a processor row by row
    where numba is installed, which is several times as fast; else by whole fields.
    """
    fields = [field for field in (strength_B1HW, dy_B1HW, dx_B1HW, tie_B1HW) if field is not None]
    traced = torch.compiler.is_compiling() or any(field.device.type != "cpu" for field in fields)
    if traced or not COMPILED or len({field.dtype for field in fields}) > 1:
        return largest_by_fields(strength_B1HW, dy_B1HW, dx_B1HW, tie_B1HW, least)
    tied = tie_B1HW is not None
    framed = [surrounded(field).detach()[:, 0].numpy() for field in (strength_B1HW, tie_B1HW) if field is not None]
    directions = [field.detach().contiguous()[:, 0].numpy() for field in (dy_B1HW, dx_B1HW)]
    stays = torch.zeros(strength_B1HW.shape, dtype=torch.bool)
    for index, stays_HW in enumerate(stays[:, 0].numpy()):
        strength_hw, tie_hw = framed[0][index], framed[-1][index]
        candidate_hw = np.zeros(strength_hw.shape, np.bool_)
        at_least = strength_hw.dtype.type(least)
        look(strength_hw, tie_hw, tied, directions[0][index], directions[1][index], at_least, candidate_hw)
        settle(strength_hw, tie_hw, tied, directions[0][index], directions[1][index], candidate_hw, stays_HW)
    return stays


@compiled
def between(start: float, end: float, share: float) -> float:
    """Linear interpolation, exact at both ends, as `torch.lerp`."""
    if share < 0.5:
        return start + share * (end - start)
    return end - (end - start) * (1 - share)


@compiled
def loses(tied: bool, tie: float, other: float, sign: int) -> bool:
    """Of two equal strengths: that with the smaller tie; without ties that from which the other lies ahead."""
    return tie < other if tied else sign > 0


@compiled
def ring_agrees(strength_hw: np.ndarray, tie_hw: np.ndarray, tied: bool, y: int, x: int, dy: float, dx: float) -> bool:
    """Whether the pixel (y, x) is no weaker than where its normal leaves the ring."""
    middle, tie, tall, broad = strength_hw[y, x], tie_hw[y, x], abs(dy), abs(dx)
    steep, falling = tall > broad, (dy > 0) == (dx > 0)
    share = min(tall, broad) / max(tall, broad) if max(tall, broad) > 0 else tall
    for sign in (1, -1):
        y1, x1 = (y + sign, x) if steep else (y, x + sign)
        y2, x2 = y + sign, x + sign
        if not falling:
            y2, x2 = (y + sign, x - sign) if steep else (y - sign, x + sign)
        other = between(strength_hw[y1, x1], strength_hw[y2, x2], share)
        if middle < other:
            return False
        if middle == other and loses(tied, tie, between(tie_hw[y1, x1], tie_hw[y2, x2], share), sign):
            return False
    return True


@compiled
def look(
    strength_hw: np.ndarray,
    tie_hw: np.ndarray,
    tied: bool,
    dy_HW: np.ndarray,
    dx_HW: np.ndarray,
    least: float,
    candidate_hw: np.ndarray,
) -> None:
    """Rule 1. Strength, tie and candidates have a frame of one pixel.

    The first look is without branches, so that it is compiled to vectors; few pixels are left for the second. A pixel
    is weaker than the interpolated strength if it is weaker than both strengths in between which that lies.
    """
    height, width = dy_HW.shape
    for row in range(height):
        above, here, below = strength_hw[row], strength_hw[row + 1], strength_hw[row + 2]
        candidate_w, dy_W, dx_W = candidate_hw[row + 1], dy_HW[row], dx_HW[row]
        for x in range(width):
            middle, tall, broad = here[x + 1], abs(dy_W[x]), abs(dx_W[x])
            falling = (dy_W[x] > 0) == (dx_W[x] > 0)
            south_east, north_west = middle >= below[x + 2], middle >= above[x]
            south_west, north_east = middle >= below[x], middle >= above[x + 2]
            right = (middle >= here[x + 2]) | (falling & south_east) | (~falling & north_east)
            left = (middle >= here[x]) | (falling & north_west) | (~falling & south_west)
            down = (middle >= below[x + 1]) | (falling & south_east) | (~falling & south_west)
            up = (middle >= above[x + 1]) | (falling & north_west) | (~falling & north_east)
            level, steep = (broad >= tall) & right & left, (tall > broad) & down & up
            candidate_w[x + 1] = (middle > 0) & (middle >= least) & (level | steep)
        for x in range(width):
            if candidate_w[x + 1]:
                candidate_w[x + 1] = ring_agrees(strength_hw, tie_hw, tied, row + 1, x + 1, dy_W[x], dx_W[x])


@compiled
def settle(
    strength_hw: np.ndarray,
    tie_hw: np.ndarray,
    tied: bool,
    dy_HW: np.ndarray,
    dx_HW: np.ndarray,
    candidate_hw: np.ndarray,
    stays_HW: np.ndarray,
) -> None:
    """Rule 2."""
    for place in np.flatnonzero(candidate_hw):
        y, x = place // candidate_hw.shape[1], place % candidate_hw.shape[1]
        tall, broad = abs(dy_HW[y - 1, x - 1]), abs(dx_HW[y - 1, x - 1])
        stays = True
        for sign in (1, -1):
            for down, right in ((0, sign), (sign, 0)):
                nearest = tall >= broad if down else broad >= tall
                if not nearest or not candidate_hw[y + down, x + right]:
                    continue
                middle, other = strength_hw[y, x], strength_hw[y + down, x + right]
                tie = middle == other and loses(tied, tie_hw[y, x], tie_hw[y + down, x + right], sign)
                stays = stays and middle >= other and not tie
        stays_HW[y - 1, x - 1] = stays


def largest_by_fields(
    strength_B1HW: Tensor, dy_B1HW: Tensor, dx_B1HW: Tensor, tie_B1HW: Tensor | None, least: float = 0.0
) -> Tensor:
    """`largest_along` by operations on whole fields, on any device."""
    dy, dx, ties = dy_B1HW, dx_B1HW, None
    tall, broad = dy.abs(), dx.abs()
    share = torch.minimum(tall, broad) / torch.maximum(tall, broad).clamp_min(torch.finfo(dy.dtype).tiny)
    steep, falling = (tall > broad).to(dy.dtype), ((dy > 0) == (dx > 0)).to(dy.dtype)
    strengths = Field(strength_B1HW)
    middle, ends = strengths.at(0, 0), on_the_ring(strengths, steep, falling, share)
    pairs: list[tuple[Tensor, Tensor] | None] = [None, None]
    if tie_B1HW is not None:
        ties = Field(tie_B1HW)
        pairs = [(ties.at(0, 0), end) for end in on_the_ring(ties, steep, falling, share)]
    ahead, behind = (
        not_below(middle, end, pair, strict) for end, pair, strict in zip(ends, pairs, (True, False), strict=True)
    )
    candidate = (middle > 0) & (middle >= least) & ahead & behind
    candidates = Field(candidate)

    def gives_way(down: int, right: int) -> Tensor:
        tie = None if ties is None else (ties.at(0, 0), ties.at(down, right))
        stands = not_below(middle, strengths.at(down, right), tie, strict=down + right > 0)
        return candidates.at(down, right) & ~stands

    level = (broad >= tall) & (gives_way(0, 1) | gives_way(0, -1))
    upright = (tall >= broad) & (gives_way(1, 0) | gives_way(-1, 0))
    return candidate & ~level & ~upright


class Field:
    """A field, 0 outside, and its neighbours."""

    def __init__(self, field_BCHW: Tensor) -> None:
        self.field_BCHW = surrounded(field_BCHW)
        self.height, self.width = field_BCHW.shape[-2:]

    def at(self, down: int, right: int) -> Tensor:
        """The value so many pixels down and to the right of each one, -1 to 1."""
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
