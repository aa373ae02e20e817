"""Compass kernels and the Frei-Chen basis, all 3 x 3.

A compass kernel is a ring of eight weights; the next direction moves the ring on by one place, which is 45°
(not a rotation of the plane: corners and edges change places). Directions run from +x towards +y, so
e, se, s, sw, w, nw, n, ne with south down; each kernel responds positively to intensity growing that way.
"""

import torch
from torch import Tensor

from cnnlab.filters.bank import FilterBank
from cnnlab.filters.families import family
from cnnlab.filters.parameters import choice
from cnnlab.filters.stencils import rescaled

DIRECTIONS = ("e", "se", "s", "sw", "w", "nw", "n", "ne")
RING = ((1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0), (0, 1), (0, 2))  # (row, column) of DIRECTIONS

# Weights around the ring for direction e, as the sources print them.
KIRSCH = (5, 5, -3, -3, -3, -3, -3, 5)
ROBINSON = {3: (1, 1, 0, -1, -1, -1, 0, 1), 5: (2, 1, 0, -1, -2, -1, 0, 1)}

_ROOT2 = 2**0.5
# Frei & Chen 1977, up to the L2 norm: name, rows.
FREI_CHEN = (
    ("dy", ((-1, -_ROOT2, -1), (0, 0, 0), (1, _ROOT2, 1))),
    ("dx", ((-1, 0, 1), (-_ROOT2, 0, _ROOT2), (-1, 0, 1))),
    ("ripple1", ((0, -1, _ROOT2), (1, 0, -1), (-_ROOT2, 1, 0))),
    ("ripple2", ((_ROOT2, -1, 0), (-1, 0, 1), (0, 1, -_ROOT2))),
    ("line1", ((0, 1, 0), (-1, 0, -1), (0, 1, 0))),
    ("line2", ((-1, 0, 1), (0, 0, 0), (1, 0, -1))),
    ("laplacian1", ((1, -2, 1), (-2, 4, -2), (1, -2, 1))),
    ("laplacian2", ((-2, 1, -2), (1, 4, 1), (-2, 1, -2))),
    ("mean", ((1, 1, 1), (1, 1, 1), (1, 1, 1))),
)


def ring_kernels(weights: tuple[float, ...]) -> Tensor:
    """(8, 3, 3) float64: the ring of eight weights in its eight places, centre 0."""
    kernels = torch.zeros(8, 3, 3, dtype=torch.float64)
    for turn in range(8):
        for place, (row, column) in enumerate(RING):
            kernels[turn, row, column] = weights[(place - turn) % 8]
    return kernels


@family("Kirsch compass kernels, eight directions")
def kirsch(*, normalise: str = "ramp") -> FilterBank:
    """Kirsch 1971 (Comput. Biomed. Res. 4(3)): 5 5 5 against -3, eight directions.

    The edge is the largest response. "integers" are the classical kernels; in ramp form the response of each to a
    ramp along its own direction is 1, for which diagonals are scaled otherwise than rows and columns.
    """
    return _compass("kirsch", KIRSCH, "Kirsch 1971, Comput. Biomed. Res. 4(3)", normalise)


@family("Robinson compass kernels, eight directions, 3 or 5 levels")
def robinson(*, levels: int = 5, normalise: str = "ramp") -> FilterBank:
    """Robinson 1977 (CGIP 6(5)): weights 1 2 1 (`levels` 5, Sobel's) or 1 1 1 (`levels` 3, Prewitt's)."""
    choice("robinson", "levels", levels, tuple(ROBINSON))
    return _compass("robinson", ROBINSON[levels], "Robinson 1977, CGIP 6(5)", normalise)


@family("Frei-Chen orthonormal basis: edges, lines and the mean")
def frei_chen(*, normalise: str = "l2") -> FilterBank:
    """Nine orthonormal kernels (Frei & Chen 1977, IEEE Trans. Comput. C-26(10)).

    Two vectors: the edge subspace (dy, dx and two ripples) and the line subspace (two lines, two Laplacians);
    the ratio of a norm to that of all nine responses is the cosine of the angle to that subspace. "ramp"
    refuses, since the ripples and Laplacians respond with 0 to every quadratic; select dy and dx for it.
    """
    rows = torch.tensor([rows for _, rows in FREI_CHEN], dtype=torch.float64).unsqueeze(1)
    names = tuple(f"frei_chen_{name}" for name, _ in FREI_CHEN)
    source = "Frei & Chen 1977, IEEE Trans. Comput. C-26(10)"
    choice("frei_chen", "normalise", normalise, ("l2", "l1"))
    return FilterBank(rows, names, source, ((0, 1, 2, 3), (4, 5, 6, 7))).normalised(normalise)


def _compass(family: str, weights: tuple[float, ...], source: str, normalise: str) -> FilterBank:
    names = tuple(f"{family}_{direction}" for direction in DIRECTIONS)
    bank = FilterBank(ring_kernels(weights).unsqueeze(1), names, source)
    return rescaled(family, bank.normalised("ramp"), normalise)
