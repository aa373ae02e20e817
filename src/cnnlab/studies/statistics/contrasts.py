"""Arms compared seed by seed, and the correction for the number of comparisons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cnnlab.studies.statistics.paired import Difference, holm, paired_difference, smallest_p

Cells = Mapping[tuple[str, str], Mapping[int, float]]  # (arm, condition) -> {seed: value}
LEVEL = 0.05


@dataclass(frozen=True)
class Contrast:
    """One arm against one control under one condition, over the seeds that both have; corrected_p is Holm's."""

    arm: str
    control: str
    condition: str
    difference: Difference
    corrected_p: float

    @property
    def holds(self) -> bool:
        """Whether the interval excludes 0, and p is significant after correction."""
        return self.difference.excludes_zero and self.corrected_p <= LEVEL


def contrasts(cells: Cells, pairs: Sequence[tuple[str, str]], confidence: float = 0.95) -> list[Contrast]:
    """Every (arm, control) of `pairs` under every condition, in their order; one without a common seed is left out.

    The returned list is one family: p is corrected for its length (`family_p`), so give the comparisons that answer one
    question together and other questions apart.
    """
    compared = []
    for condition in dict.fromkeys(condition for _, condition in cells):
        for arm, control in pairs:
            a, b = cells.get((arm, condition), {}), cells.get((control, condition), {})
            common = sorted(a.keys() & b.keys())
            if common:
                difference = paired_difference([a[s] for s in common], [b[s] for s in common], confidence)
                compared.append((arm, control, condition, difference))
    corrected = holm(family_p([difference for *_, difference in compared]))
    return [Contrast(*values, p) for values, p in zip(compared, corrected, strict=True)]


def family_p(differences: Sequence[Difference]) -> list[float]:
    """What the correction for their number starts from: p of the sign-flip test, or of Student's where that can't do.

    n seeds can't make a sign-flip p below 2 / 2^n, so that among many comparisons of few seeds nothing could be
    significant after correction, however large. Then the whole family takes Student's p, which needs normal
    differences.
    """
    few = any(smallest_p(one.n) * len(differences) > LEVEL for one in differences if one.n > 1)
    return [one.p_t if few else one.p for one in differences]
