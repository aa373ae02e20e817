"""Identity, shift, box and sharpening. n kernel side."""

import math

import torch
from torch import Tensor

from cnnlab.filters.bank import FilterBank
from cnnlab.filters.families import family
from cnnlab.filters.laplacian import laplacian
from cnnlab.filters.parameters import choice, number, odd, refuse
from cnnlab.filters.stencils import rescaled


@family("leaves the image as it is")
def identity(*, size: int = 3) -> FilterBank:
    """One kernel, 1 in the middle: the image as it is. `size` odd."""
    odd("identity", "size", size)
    return FilterBank(_moved(0.0, size).outer(_moved(0.0, size))[None, None], ("identity",), "unit impulse")


@family("moves the image by (dy, dx) pixels")
def shift(*, dy: float = 0, dx: float = 1, size: int | None = None) -> FilterBank:
    """One kernel that moves the image by (dy, dx) pixels: out[y, x] = image[y - dy, x - dx].

    As `scipy.ndimage.shift(image, (dy, dx), order=1)`: integer moves exactly, fractions by linear
    interpolation. Named by the move, `shift_down1_right2`. `size` odd, by default just large enough; at most
    64 pixels.
    """
    number("shift", "dy", dy, -64, 64)
    number("shift", "dx", dx, -64, 64)
    reach = 2 * math.ceil(max(abs(dy), abs(dx))) + 1
    side = max(reach, 3) if size is None else odd("shift", "size", size)
    if side < reach:
        refuse("shift", "size", size, f"an odd integer of at least {reach} for a shift by ({dy:g}, {dx:g})")
    moves = ((dy, "up", "down"), (dx, "left", "right"))
    words = [f"{word_back if move < 0 else word_on}{abs(move):g}" for move, word_back, word_on in moves if move]
    name = "_".join(["shift", *(words or ["0"])])
    return FilterBank(torch.outer(_moved(dy, side), _moved(dx, side))[None, None], (name,), "moved unit impulse")


@family("mean of a square neighbourhood")
def box(*, size: int = 3, normalise: str = "ramp") -> FilterBank:
    """Mean over size x size pixels ("ramp": a constant stays as it is); "integers" is the sum. `size` odd."""
    odd("box", "size", size)
    kernel = torch.full((1, 1, size, size), 1 / size**2, dtype=torch.float64)
    return rescaled("box", FilterBank(kernel, ("box",), "moving average"), normalise)


@family("image minus a multiple of its Laplacian")
def sharpen(*, amount: float = 1.0, neighbours: int = 4) -> FilterBank:
    """Image - amount * Laplacian, 3 x 3: 5 amid -1 for amount 1 and 4 neighbours. A constant stays as it is.

    The Laplacian on 4 or 8 `neighbours` has its classical integers; `amount` from 0 to 100. Gonzalez & Woods,
    Digital Image Processing, section 3.6.
    """
    choice("sharpen", "neighbours", neighbours, (4, 8))
    number("sharpen", "amount", amount, 0.0, 100.0)
    edges = laplacian(neighbours=neighbours, normalise="integers").kernels
    source = "Gonzalez & Woods, Digital Image Processing, section 3.6"
    return FilterBank(identity().kernels - amount * edges, ("sharpen",), source)


def _moved(distance: float, size: int) -> Tensor:
    """(size,) taps that move a line by `distance`: the triangle 1 - |k + distance|, cut at 0."""
    place = torch.arange(size, dtype=torch.float64) - size // 2
    return (1 - (place + distance).abs()).clamp(min=0)
