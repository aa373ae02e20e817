"""The classical kernels that a learned kernel is compared with. L dimensions, h by w kernel sides, N = hw pixels.

Each entry is a span: one kernel up to its scale and sign, or the two first derivatives of one stencil, which hold
that derivative along every direction. An entry that an earlier one holds already is left out, so that a kernel
has one name: at 3 x 3 the cosine `dct_0_1` is Prewitt's derivative.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab.filters.bank import bank

_GRADIENTS = {
    "central": ("central", "central(accuracy=4)", "central(accuracy=6)"),
    "prewitt": ("prewitt",),
    "sobel": ("sobel", "sobel(size=5)", "sobel(size=7)"),
    "scharr": ("scharr",),
    "farid": ("farid", "farid(size=7)"),
    "frei_chen": ("frei_chen[dy, dx]",),
}
# Family and expressions, in the order in which a kernel of two names gets its name.
_SINGLE = (
    ("derivative", ("central[dx]", "central[dy]", "central(order=2)", "kirsch", "robinson", "robinson(levels=3)")),
    ("laplacian", ("laplacian", "laplacian(neighbours=8)")),
    ("smoothing", ("gaussian(sigma=0.85, size=3)",)),
    ("sharpen", ("sharpen", "sharpen(neighbours=8)")),
    ("derivative", ("frei_chen",)),
)


@dataclass(frozen=True, eq=False)
class Entry:
    """`span_LN` has orthonormal rows; of two rows the first is dy and the second dx."""

    family: str
    name: str
    span_LN: Tensor


@cache
def dictionary(height: int, width: int) -> tuple[Entry, ...]:
    """Every classical kernel that has a place about the middle of h by w pixels: sides both odd or both even.

    Families: derivative, laplacian, smoothing, sharpen, shift (a weight of its own at any pixel; `identity` in the
    middle), dct.
    """
    entries: list[Entry] = []
    rows_RN, owner_R = torch.empty(0, height * width, dtype=torch.float64), torch.empty(0, dtype=torch.int64)
    for entry in _candidates(height, width):
        inside_LR = (entry.span_LN @ rows_RN.T).square()
        held_LE = torch.zeros(len(inside_LR), len(entries), dtype=torch.float64).index_add_(1, owner_R, inside_LR)
        if not (held_LE > (1 - 1e-6) ** 2).all(0).any():
            rows_RN = torch.cat([rows_RN, entry.span_LN])
            owner_R = torch.cat([owner_R, owner_R.new_full((len(entry.span_LN),), len(entries))])
            entries.append(entry)
    return tuple(entries)


def placed(kernel_hw: Tensor, height: int, width: int) -> Tensor | None:
    """The kernel about the middle of height by width pixels: margins of zeros cut or added. None if it has no place."""
    for axis, side in enumerate((height, width)):
        while kernel_hw.shape[axis] > side and not _rim(kernel_hw, axis).any():
            kernel_hw = kernel_hw.narrow(axis, 1, kernel_hw.shape[axis] - 2)
    missing = [side - own for side, own in zip((height, width), kernel_hw.shape, strict=True)]
    if min(missing) < 0 or missing[0] % 2 or missing[1] % 2:
        return None
    return F.pad(kernel_hw, (missing[1] // 2, missing[1] // 2, missing[0] // 2, missing[0] // 2))


def _all_placed(kernels_Khw: Tensor, height: int, width: int) -> list[Tensor]:
    """Each of them `placed`; none if one has no place."""
    in_place = [kernel for kernel_hw in kernels_Khw if (kernel := placed(kernel_hw, height, width)) is not None]
    return in_place if len(in_place) == len(kernels_Khw) else []


def _rim(kernel_hw: Tensor, axis: int) -> Tensor:
    last = kernel_hw.shape[axis] - 1
    return kernel_hw.index_select(axis, torch.tensor([0, last])) if last > 1 else torch.ones(1)


def _candidates(height: int, width: int) -> Iterator[Entry]:
    size = (height, width)
    for name, expressions in _GRADIENTS.items():
        for expression in expressions:
            pair_2nn = bank(expression).kernels[:, 0]
            pair = _all_placed(pair_2nn, *size)
            if pair:
                side = pair_2nn.shape[-1]
                smaller = f" {side}x{side}" if side < max(size) else ""
                yield _entry("derivative", f"{name}{smaller}", torch.stack(pair))
    yield from _roberts(*size)
    yield _entry("smoothing", "box", torch.ones(1, *size))
    yield _entry(
        "shift", "identity" if height % 2 and width % 2 else "shift_0", _impulse(*size, height // 2, width // 2)
    )
    for family, expressions in _SINGLE:
        for expression in expressions:
            kernels = bank(expression)
            for name, kernel in zip(kernels.names, kernels.kernels[:, 0], strict=True):
                in_place = placed(kernel, *size)
                if in_place is not None:
                    neighbours = " 8" if "neighbours" in expression else ""
                    yield _entry(family, f"{name}{neighbours}", in_place.unsqueeze(0))
    yield from _pixels_and_waves(*size)


def _roberts(height: int, width: int) -> Iterator[Entry]:
    """Roberts's pair at the middle of an even kernel, or in the four corners about the middle of an odd one."""
    cross = bank("roberts(orientations=2)").kernels[:, 0].flip(0)  # (dy, dx) of the rotated pair
    centred = _all_placed(cross, height, width)
    if centred:
        yield _entry("derivative", "roberts", torch.stack(centred))
    elif height == width == 3:
        for down in (0, 1):
            for right in (0, 1):
                corner = f"{('upper', 'lower')[down]} {('left', 'right')[right]}"
                yield _entry("derivative", f"roberts {corner}", F.pad(cross, (right, 1 - right, down, 1 - down)))


def _pixels_and_waves(height: int, width: int) -> Iterator[Entry]:
    for y in range(height):
        for x in range(width):
            yield _entry("shift", _shift_name(height // 2 - y, width // 2 - x), _impulse(height, width, y, x))
    down_hN, across_wN = _cosines(height), _cosines(width)
    for v in range(height):
        for u in range(width):
            yield _entry("dct", f"dct {v},{u}", torch.outer(down_hN[v], across_wN[u]).unsqueeze(0))


def _shift_name(down: int, right: int) -> str:
    """As `simple.shift` names it: out[y, x] = image[y - down, x - right]."""
    moves = ((down, "up", "down"), (right, "left", "right"))
    words = [f"{back if move < 0 else on}{abs(move)}" for move, back, on in moves if move]
    return "_".join(["shift", *(words or ["0"])])


def _cosines(side: int) -> Tensor:
    place = torch.arange(side, dtype=torch.float64)
    return torch.cos(torch.pi / side * torch.outer(place, place + 0.5))


def _impulse(height: int, width: int, y: int, x: int) -> Tensor:
    kernel_1hw = torch.zeros(1, height, width, dtype=torch.float64)
    kernel_1hw[0, y, x] = 1
    return kernel_1hw


def _entry(family: str, name: str, kernels_Lhw: Tensor) -> Entry:
    span_LN = F.normalize(kernels_Lhw.double().flatten(1), dim=1)
    assert len(span_LN) == 1 or abs(float(span_LN[0] @ span_LN[1])) < 1e-9, f"{name}: dy and dx are orthogonal"
    return Entry(family, name, span_LN)
