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

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab._compiled import COMPILED
from cnnlab.edges.fast.places import places_along


def thin(strength_B1HW: Tensor, orientation_B1HW: Tensor, tie_B1HW: Tensor | None = None) -> Tensor:
    """The strength where it is largest along the normal, 0 elsewhere: same shape, dtype and device.

    strength: >= 0; orientation: radians, of the normal, from +x towards +y (half a turn more is the same);
    tie: decides between equal strengths, see above. ValueError if the shapes differ.
    """
    for name, field in (("orientation", orientation_B1HW), ("tie", tie_B1HW)):
        if field is not None and field.shape != strength_B1HW.shape:
            shapes = f"{tuple(strength_B1HW.shape)} and {tuple(field.shape)}"
            raise UsageError(f"strength and {name} must have the same shape, got {shapes}")
    wide = torch.promote_types(orientation_B1HW.dtype, torch.float32)
    angle = orientation_B1HW.to(wide)
    strength = strength_B1HW.to(torch.promote_types(strength_B1HW.dtype, wide))
    tie = None if tie_B1HW is None else tie_B1HW.to(strength.dtype)
    stays = largest_along(strength, angle.sin().to(strength.dtype), angle.cos().to(strength.dtype), tie)
    return torch.where(stays, strength_B1HW, 0)


def surrounded(field_BCHW: Tensor) -> Tensor:
    """With one pixel of 0 on each side."""
    return F.pad(field_BCHW, (1, 1, 1, 1))


def walkable(strength_B1HW: Tensor, dy_B1HW: Tensor, dx_B1HW: Tensor, tie_B1HW: Tensor | None) -> bool:
    """Whether the compiled walk can thin them: on the CPU, all of one dtype (ties may be uint8), nothing traced."""
    fields = [field for field in (strength_B1HW, dy_B1HW, dx_B1HW, tie_B1HW) if field is not None]
    dtypes = {field.dtype for field in fields if field is not tie_B1HW or field.dtype != torch.uint8}
    on_cpu = all(field.device.type == "cpu" for field in fields)
    single = len(dtypes) == 1 and dtypes <= {torch.float32, torch.float64}
    return COMPILED and on_cpu and single and not torch.compiler.is_compiling()


def largest_along(
    strength_B1HW: Tensor, dy_B1HW: Tensor, dx_B1HW: Tensor, tie_B1HW: Tensor | None, least: float = 0.0
) -> Tensor:
    """Which pixels stay, (B, 1, H, W) bool, with the normals (dy, dx), of which length and sign don't matter.

    Strengths below `least` don't stay; saying so here saves the time that they would take. Ties may be a uint8 image.
    On a CPU row by row where numba is installed, which is several times as fast; else by whole fields.
    """
    if not walkable(strength_B1HW, dy_B1HW, dx_B1HW, tie_B1HW):
        return largest_by_fields(strength_B1HW, dy_B1HW, dx_B1HW, tie_B1HW, least)
    stays = torch.zeros(strength_B1HW.shape, dtype=torch.bool)
    found = places_along(strength_B1HW, dy_B1HW, dx_B1HW, tie_B1HW, least)
    for stays_1HW, place_N in zip(stays, found, strict=True):
        stays_1HW.view(-1)[torch.from_numpy(place_N)] = True
    return stays


def largest_by_fields(
    strength_B1HW: Tensor, dy_B1HW: Tensor, dx_B1HW: Tensor, tie_B1HW: Tensor | None, least: float = 0.0
) -> Tensor:
    """`largest_along` by operations on whole fields, on any device."""
    dy, dx, ties = dy_B1HW, dx_B1HW, None
    if tie_B1HW is not None and tie_B1HW.dtype == torch.uint8:
        tie_B1HW = tie_B1HW.to(strength_B1HW.dtype) / 255
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
