"""What one unit of a layer sees along one image axis: an interval of pixels, exactly, for every unit.

The interval of unit i + n starts and ends A pixels after that of unit i, for a period n and an advance A that
are integers. Convolutions and pools have n = 1 and A = the stride. Upsampling by 2 has n = 2: the two units
that share a source see the same pixels, and the stride A / n is 1/2. All arithmetic is in integers, so exact.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import gcd, lcm

from cnnlab.receptive._tracer.taps import Taps

Span = tuple[int, int]  # first and last pixel, both inside
LONGEST = 20_000  # units of a period: more of them, from uneven resamplings on top of each other, take seconds a layer


@dataclass(frozen=True)
class AxisMap:
    """Unit -> interval of pixels. `spans[r]` is that of unit r, r = 0 .. n - 1; None: that unit sees nothing.

    Pixels and units may be negative: the map goes on beyond the border as if image and layer did not end. A map that is
    `listed` ends: there are no units but these, those of the example, and the advance says their stride only.
    """

    advance: int
    spans: tuple[Span | None, ...]
    listed: bool = False

    @property
    def period(self) -> int:
        return len(self.spans)

    @property
    def stride(self) -> Fraction:
        """Pixels from one unit's field to the next, on average over a period."""
        return Fraction(self.advance, self.period)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Pixels in the interval of each unit of a period; 0 where a unit sees nothing."""
        return tuple(0 if span is None else span[1] - span[0] + 1 for span in self.spans)

    def __call__(self, unit: int) -> Span | None:
        turns, phase = divmod(unit, self.period)
        span = None if self.listed and turns else self.spans[phase]
        return None if span is None else (span[0] + turns * self.advance, span[1] + turns * self.advance)

    def units(self, pixel: int) -> range:
        """From the first to the last unit whose interval holds `pixel`, negative units included."""
        assert self.advance != 0
        seeing: list[int] = []
        if self.listed:
            seeing = [unit for unit, span in enumerate(self.spans) if hull((span, (pixel, pixel))) == span]
            return range(min(seeing), max(seeing) + 1) if seeing else range(0)
        for phase, span in enumerate(self.spans):
            if span is not None:
                ends = sorted((Fraction(pixel - span[0], self.advance), Fraction(pixel - span[1], self.advance)))
                first, last = -(-ends[0] // 1), ends[1] // 1
                if first <= last:
                    seeing += [phase + int(first) * self.period, phase + int(last) * self.period]
        return range(min(seeing), max(seeing) + 1) if seeing else range(0)

    def repeats(self, taps: Taps) -> int:
        """Units of a layer that reads these taps until the intervals look the same again."""
        return taps.every * (self.period // gcd(self.period, taps.moves))

    def through(self, taps: Taps, units: int | None = None) -> "AxisMap":
        """The map of a layer whose unit j reads the units `taps.reads(j)` of this one; listed for so many `units`."""
        stride = self.stride * Fraction(taps.moves, taps.every)
        spans = [hull(map(self, taps.reads(unit))) for unit in range(units or self.repeats(taps))]
        return listed(spans, stride) if units else reduced(int(stride * len(spans)), spans)

    def union(self, other: "AxisMap") -> "AxisMap":
        """Unit i sees the smallest interval that holds both; the strides must be the same."""
        assert self.stride == other.stride
        if self == other:
            return self
        spans = [hull((self(unit), other(unit))) for unit in range(lcm(self.period, other.period))]
        return listed(spans, self.stride) if self.listed else reduced(int(self.stride * len(spans)), spans)

    def misaligned(self, other: "AxisMap") -> bool:
        """True if some unit sees intervals with different centres through the two maps."""
        pairs = ((self(unit), other(unit)) for unit in range(lcm(self.period, other.period)))
        return any(a and b and sum(a) != sum(b) for a, b in pairs)

    def within(self, other: "AxisMap") -> bool:
        """True if every unit that sees something through this map sees at least that through the other."""
        pairs = ((self(unit), other(unit)) for unit in range(lcm(self.period, other.period)))
        return all(mine is None or hull((mine, theirs)) == theirs for mine, theirs in pairs)


IDENTITY = AxisMap(1, ((0, 0),))


def listed(spans: Sequence[Span | None], stride: Fraction) -> AxisMap:
    """The map of the units 0, 1, ... of the example, with about this stride."""
    return AxisMap(max(1, round(len(spans) * stride)), tuple(spans), listed=True)


def hull(spans: Iterable[Span | None]) -> Span | None:
    """The smallest interval that holds all; None if there is nothing to hold."""
    seen = [span for span in spans if span is not None]
    return (min(first for first, _ in seen), max(last for _, last in seen)) if seen else None


def reduced(advance: int, spans: list[Span | None]) -> AxisMap:
    """The same map with its smallest period."""
    full = len(spans)
    for period in (n for n in range(1, full) if full % n == 0 and advance * n % full == 0):
        short = AxisMap(advance * period // full, tuple(spans[:period]))
        if all(short(unit) == span for unit, span in enumerate(spans)):
            return short
    return AxisMap(advance, tuple(spans))
