"""Which units a unit reads along one axis, for every kind of window: `Taps`, as `AxisMap.through` takes them."""

from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor, prod
from struct import pack, unpack
from typing import NamedTuple


class Taps(NamedTuple):
    """`reads(j)`: the input units of output unit j; `reads(j + every)` is the same moved by `moves`."""

    reads: Callable[[int], list[int]]
    every: int = 1
    moves: int = 1


def window(kernel: int, stride: int, padding: int, dilation: int) -> Taps:
    """A convolution or a pool."""
    return Taps(lambda j: [j * stride - padding + tap * dilation for tap in range(kernel)], 1, stride)


def transposed(kernel: int, stride: int, padding: int, dilation: int) -> Taps:
    """A transposed convolution: input i writes to outputs i * stride - padding + tap * dilation."""
    return backwards(window(kernel, stride, padding, dilation))


def backwards(taps: Taps) -> Taps:
    """Unit p reads the units that read p in `taps`."""
    pairs = [(unit, read) for unit in range(taps.every) for read in taps.reads(unit)]

    def reads(p: int) -> list[int]:
        turns = ((unit, divmod(p - read, taps.moves)) for unit, read in pairs)
        return [unit + turn * taps.every for unit, (turn, rest) in turns if rest == 0]

    return Taps(reads, taps.moves, taps.every)


def part(taps: Taps, step: int, before: int, after: int, *, outermost: bool) -> Taps:
    """`taps` for one part of an axis, `step` units apart, with `before` entries that become `after`.

    A part that is not the outermost repeats in every block, and beyond the block's ends nothing is read.
    """

    def reads(unit: int) -> list[int]:
        block, unit = (0, unit) if outermost else divmod(unit, after * step)
        place, rest = divmod(unit, step)
        inside = [read for read in taps.reads(place) if outermost or 0 <= read < before]
        return [(block * before + read) * step + rest for read in inside]

    if outermost:
        return Taps(reads, taps.every * step, taps.moves * step)
    return Taps(reads, after * step, before * step)


def digits(steps: list[int], sizes: list[int]) -> Taps:
    """Unit j, counted through parts of these sizes (the innermost first), reads the unit that is their steps away."""
    whole = prod(sizes[:-1])

    def reads(unit: int) -> list[int]:
        total = 0
        for step, size in zip(steps[:-1], sizes[:-1], strict=True):
            unit, place = divmod(unit, size)
            total += place * step
        return [total + unit * steps[-1]]

    return Taps(reads, whole, steps[-1])


def shift(start: int, step: int = 1) -> Taps:
    """A slice from `start` in steps; a border of p is a start of -p."""
    return Taps(lambda j: [start + step * j], 1, step)


def block(step: int, count: int) -> Taps:
    """All `count` units, `step` apart, that share a block with unit j."""

    def reads(j: int) -> list[int]:
        first = j - j // step % count * step
        return [first + step * k for k in range(count)]

    return Taps(reads, step * count, step * count)


def everywhere(size: int) -> Taps:
    """Every unit reads the first `size` units: all of a window."""
    return Taps(lambda _: list(range(size)))


def around(places: int, size: int) -> Taps:
    """A cyclic shift of `size` units."""
    return Taps(lambda unit: [(unit - places) % size], size, size)


def adaptive(before: int, after: int) -> Taps:
    """Adaptive pooling: from floor(j n / m) to ceil((j + 1) n / m) - 1 for n units made m."""
    ratio = Fraction(before, after)
    return Taps(lambda j: list(range(floor(j * ratio), ceil((j + 1) * ratio))), ratio.denominator, ratio.numerator)


def nearest(ratio: Fraction, *, centred: bool = False) -> Taps:
    """Nearest neighbour; `ratio` input units per output unit; `centred`: torch's mode `nearest-exact`."""
    half = Fraction(1, 2) if centred else 0
    return Taps(lambda j: [floor((j + half) * ratio)], ratio.denominator, ratio.numerator)


def nearest_in_singles(ratio: Fraction, after: int, factor: float, *, centred: bool) -> Taps:
    """`nearest`, with the rounding of torch, which multiplies by `factor`, the ratio, in single precision.

    Where a place falls between two units exactly, or on a unit exactly, rounding decides: of 2 units made 41, the
    middle one reads unit 0 by torch and unit 1 by the formula. `after`: the units that torch makes.
    """
    taps, factor, half = nearest(ratio, centred=centred), _single(factor), 0.5 if centred else 0.0
    places = [[floor(_single((j + half) * factor))] for j in range(after)]
    if places == [taps.reads(j) for j in range(after)]:
        return taps
    turns = -(-after // taps.every)
    every, moves = turns * taps.every, turns * taps.moves

    def reads(j: int) -> list[int]:
        turn, phase = divmod(j, every)
        return [(places[phase] if phase < after else taps.reads(phase))[0] + turn * moves]

    return Taps(reads, every, moves)


def _single(number: float) -> float:
    return unpack("f", pack("f", number))[0]


def interpolated(ratio: Fraction, reach: int, *, align_corners: bool) -> Taps:
    """Linear (`reach` 1) or cubic (`reach` 2): the 2 * reach neighbours, or one where the place is a unit's own."""

    def reads(j: int) -> list[int]:
        place = j * ratio if align_corners else (j + Fraction(1, 2)) * ratio - Fraction(1, 2)
        left = floor(place)
        return [left] if place == left else list(range(left - reach + 1, left + reach + 1))

    return Taps(reads, ratio.denominator, ratio.numerator)


def antialiased(ratio: Fraction, reach: int) -> Taps:
    """Linear or cubic with the kernel widened to the ratio where the map shrinks (torch's antialias=True)."""
    support = reach * max(ratio, Fraction(1))

    def reads(j: int) -> list[int]:
        centre = (j + Fraction(1, 2)) * ratio - Fraction(1, 2)
        inner = range(floor(centre - support) + 1, ceil(centre + support))
        # A cubic kernel is 0 at the integers other than 0.
        zeros = {centre + sign * k * support / reach for k in range(1, reach + 1) for sign in (-1, 1)}
        return [place for place in inner if place not in zeros]

    return Taps(reads, ratio.denominator, ratio.numerator)
