"""An image in tiles with margins, so that what is computed of each is what would be computed of the whole."""

from collections.abc import Iterator
from typing import NamedTuple


class Tile(NamedTuple):
    """Rows and columns of a part of the image: with its margin, without, and the latter inside of the former."""

    outer: tuple[slice, slice]
    inner: tuple[slice, slice]
    crop: tuple[slice, slice]


def tiles(height: int, width: int, step: int, margin: int) -> Iterator[Tile]:
    """Tiles that cover height x width, row by row: `step` pixels, and a margin on each side where the image goes on."""
    for top in range(0, height, step):
        for left in range(0, width, step):
            rows, columns = _side(top, height, step, margin), _side(left, width, step, margin)
            yield Tile((rows[0], columns[0]), (rows[1], columns[1]), (rows[2], columns[2]))


def _side(start: int, size: int, step: int, margin: int) -> tuple[slice, slice, slice]:
    stop, first = min(start + step, size), max(0, start - margin)
    return slice(first, min(stop + margin, size)), slice(start, stop), slice(start - first, stop - first)


def aligned(pixels: int, grid: int) -> int:
    """So many, or a few more: a multiple of the grid."""
    return grid * -(-pixels // grid)
