"""Second-order steerable filters. n kernel side.

Freeman & Adelson 1991, IEEE PAMI 13(9), tables III and V: G2, the second derivative of a Gaussian, and H2, a
cubic times the same Gaussian that approximates its Hilbert transform. With u the coordinate along θ in units
of sqrt(2) sigma: G2 ~ (2u² - 1) exp(-r²), H2 ~ (u³ - 2.254 u) exp(-r²). Both are steerable: G2 at any angle
is a sum of three fixed kernels, H2 of four.
"""

import math

import torch
from torch import Tensor

from cnnlab.filters.bank import FilterBank
from cnnlab.filters.families import family
from cnnlab.filters.gabor import coordinates
from cnnlab.filters.gaussian import default_size
from cnnlab.filters.normalisation import moment
from cnnlab.filters.parameters import MOST_ORIENTATIONS, integer, number, odd
from cnnlab.filters.rotation import angle_names, angles
from cnnlab.filters.stencils import derivative_bank, rescaled

H2_LINEAR = 2.254  # table V
_SOURCE = "Freeman & Adelson 1991, IEEE PAMI 13(9)"


def basis(sigma: float, size: int) -> Tensor:
    """(3, size, size) float64: (dyy, dxy, dxx) whose steered sums equal `even_at` at every angle, exactly."""
    dyy, dxx = even_at(math.pi / 2, sigma, size), even_at(0.0, sigma, size)
    dxy = even_at(math.pi / 4, sigma, size) - (dyy + dxx) / 2
    return torch.stack([dyy, dxy, dxx])


def even_at(angle: float, sigma: float, size: int) -> Tensor:
    """G2 along `angle` (radians), (size, size) float64: (u² - m) exp(-r²), m chosen so that the sum is 0.

    Its scale does not depend on the angle and makes the response to x²/2 exactly 1 at angle 0.
    """
    return _even_shape(angle, sigma, size) / moment(_even_shape(0.0, sigma, size), 0, 2)


def odd_at(angle: float, sigma: float, size: int) -> Tensor:
    """H2 along `angle` (radians), (size, size) float64, L2 norm 1 at angle 0; positive for growth.

    The paper's sign is reversed, like its axes: y grows down here.
    """
    return _odd_shape(angle, sigma, size) / torch.linalg.vector_norm(_odd_shape(0.0, sigma, size))


@family("second-order steerable Gaussian: basis or orientations")
def steerable(
    *, sigma: float = 1.0, size: int | None = None, normalise: str = "ramp", orientations: int | None = None
) -> FilterBank:
    """G2: the basis (dyy, dxy, dxx), or n oriented second derivatives at θ_k = kπ/n.

    θ steers by cos² θ dxx + 2 cos θ sin θ dxy + sin² θ dyy, which equals building G2 at that angle on every
    pixel. The responses of dxx to x²/2 and of dyy to y²/2 are exactly 1. In between, and for dxy, sampling leaves them
    near 1 (within 3 % for sigma 0.7, 1 % from 0.8, at the default size); those of `gaussian(order=2)` are exactly 1
    there, but is not the same function at every angle. `sigma` in pixels, 0.7 to 100; `size`
    odd, by default 2 ceil(4 sigma) + 1.
    """
    side = _side("steerable", sigma, size)
    return derivative_bank("steerable", basis(sigma, side), _SOURCE, normalise, orientations)


@family("Freeman-Adelson pairs (G2, H2), any orientations")
def steerable_pair(
    *, sigma: float = 1.0, orientations: int = 4, size: int | None = None, normalise: str = "l2"
) -> FilterBank:
    """Quadrature pairs (G2, H2), each a vector: `steerable_pair_t45_even`, `steerable_pair_t45_odd`.

    `normalise` is "l2" (unit energy; the paper's H2 has 0.99), "l1" or "ramp"; the rest as in `steerable`.
    """
    side = _side("steerable_pair", sigma, size)
    integer("steerable_pair", "orientations", orientations, 1, MOST_ORIENTATIONS)
    kernels, names = [], []
    for angle, name in zip(angles(orientations), angle_names(orientations), strict=True):
        kernels += [even_at(angle, sigma, side), odd_at(angle, sigma, side)]
        names += [f"steerable_pair_{name}_even", f"steerable_pair_{name}_odd"]
    vectors = tuple((index, index + 1) for index in range(0, len(names), 2))
    pairs = FilterBank(torch.stack(kernels).unsqueeze(1), tuple(names), _SOURCE, vectors)
    return rescaled("steerable_pair", pairs.normalised("ramp"), normalise)


def _even_shape(angle: float, sigma: float, size: int) -> Tensor:
    u, v = coordinates(size, angle)
    gauss = torch.exp(-(u**2 + v**2) / (2 * sigma**2))
    return gauss * (u**2 - (gauss * u**2).sum() / gauss.sum())


def _odd_shape(angle: float, sigma: float, size: int) -> Tensor:
    u, v = (axis / (math.sqrt(2) * sigma) for axis in coordinates(size, angle))
    return torch.exp(-(u**2) - v**2) * (H2_LINEAR * u - u**3)


def _side(family: str, sigma: float, size: int | None) -> int:
    number(family, "sigma", sigma, 0.7, 100.0)
    return default_size(4 * sigma / 3) if size is None else odd(family, "size", size, least=3)
