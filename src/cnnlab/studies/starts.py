"""Starts of a first layer. O filter, R row of the channel mix, K kernel, C channel, h, w kernel, D = C h w, N patch.

All random starts of one seed come from the same draws, so that arms differ in nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.filters.bank import bank, embedded
from cnnlab.filters.gaussian import derivative_taps
from cnnlab.filters.learned import components_of
from cnnlab.filters.stencils import STENCILS

EPSILON = 1e-5  # of whitening: added to each variance, as a fraction of their mean


@dataclass(frozen=True, eq=False)
class Layer:
    """The first layer that a start fills.

    draw_OChw: standard normal float64, the draws of the seed. mix_RC: the rows by which a spatial kernel sees the
    channels. patch_NChw: training patches as the network sees them; none for a start that does not ask for them.
    """

    draw_OChw: Tensor
    mix_RC: Tensor
    patch_NChw: Tensor

    @property
    def shape(self) -> torch.Size:
        """(O, C, h, w)"""
        return self.draw_OChw.shape

    @property
    def per_row(self) -> int:
        """Filters on each row of the channel mix."""
        rows, outputs = len(self.mix_RC), len(self.draw_OChw)
        if outputs % rows:
            raise UsageError(f"it needs equally many filters on each of {rows} rows; the layer has {outputs}")
        return outputs // rows


Make = Callable[[Layer], Tensor]


@dataclass(frozen=True)
class Start:
    """`structured`: it has a spatial order that a control can destroy. `patches`: it is learned from images."""

    words: str
    make: Make
    structured: bool = True
    patches: bool = False


STARTS: dict[str, Start] = {}


def start(words: str, structured: bool = True, patches: bool = False) -> Callable[[Make], Make]:
    """Decorator: makes a function a start of the function's name, which is at once a valid arm of a study.

    The function takes a `Layer` and returns float64: spatial kernels (K, h, w), which are put on every row of the
    channel mix, the last filters of each row staying random where they are too few; or all filters (O, C, h, w).
    Their scale does not matter. It is known once its module is imported; a study imports it in each of its processes.

    Args:
        words: What it is, as the page says it.
        structured: Whether it has a spatial order that a control can destroy; a random start has none.
        patches: Whether it needs `layer.patch_NChw`.

    Raises:
        UsageError: By the decorator: for a name that another module has taken.

    >>> @start("one pixel in the middle")
    ... def delta(layer):
    ...     kernel_1hw = torch.zeros(1, *layer.shape[2:], dtype=torch.float64)
    ...     kernel_1hw[0, layer.shape[2] // 2, layer.shape[3] // 2] = 1
    ...     return kernel_1hw
    """

    return partial(_register, words, structured, patches)


def _register(words: str, structured: bool, patches: bool, make: Make) -> Make:
    check_free("start", make, {name: row.make for name, row in STARTS.items()})
    STARTS[make.__name__] = Start(words, make, structured, patches)
    return make


def check_free(kind: str, function: Callable[..., Tensor], taken: Mapping[str, Callable[..., Tensor]]) -> None:
    """Raises UsageError if another module has a row of the function's name."""
    name = function.__name__
    if name in taken and taken[name].__module__ != function.__module__:
        raise UsageError(f"a {kind} {name!r} is there already, in {taken[name].__module__}; take another name")


@start("Kaiming normal (He et al. 2015), what PyTorch users do", structured=False)
def kaiming(layer: Layer) -> Tensor:
    return layer.draw_OChw


@start("Kaiming normal, the mean of each kernel taken off", structured=False)
def zero_mean(layer: Layer) -> Tensor:
    return _centred(layer.draw_OChw)


@start("random orthonormal kernels", structured=False)
def orthonormal(layer: Layer) -> Tensor:
    return _orthonormal(layer.draw_OChw)


@start("random orthonormal kernels, the mean of each taken off", structured=False)
def orthonormal_zero_mean(layer: Layer) -> Tensor:
    return _centred(_orthonormal(layer.draw_OChw))


@start("Kaiming normal, each kernel on one row of the channel mix (luminance or one opponent colour)", structured=False)
def kaiming_mixed(layer: Layer) -> Tensor:
    kernel_RKhw = layer.draw_OChw[:, 0].unflatten(0, (-1, layer.per_row))
    return torch.einsum("rc,rkhw->rkchw", layer.mix_RC, kernel_RKhw).flatten(0, 1)


@start("random orthonormal kernels on each row of the channel mix: a jet rotated at random", structured=False)
def orthonormal_mixed(layer: Layer) -> Tensor:
    kernel_RKhw = layer.draw_OChw[:, 0].unflatten(0, (-1, layer.per_row))
    kernel_RKhw = torch.stack([_orthonormal(kernel_Khw) for kernel_Khw in kernel_RKhw])
    return torch.einsum("rc,rkhw->rkchw", layer.mix_RC, kernel_RKhw).flatten(0, 1)


@start("Sobel in four directions, second derivatives, two Laplacians")
def derivatives(layer: Layer) -> Tensor:
    return from_bank("sobel(orientations=4) + central(order=2) + laplacian + laplacian(neighbours=8)", layer)


@start("[0 1 0], [-1 0 1] and [1 -2 1] along y times the same along x: no smoothing")
def differences(layer: Layer) -> Tensor:
    size = _odd_side(layer)
    taps = [torch.ones(1, dtype=torch.float64), STENCILS["central_2"].along(), STENCILS["central_2_second"].along()]
    return _products([F.pad(tap, [(size - len(tap)) // 2] * 2) for tap in taps])


@start("the complete finite-difference jet: cosines (DCT) of up to two half-waves a side")
def jet(layer: Layer) -> Tensor:
    size = _side(layer)
    if size < 3:
        raise UsageError(f"cosines of up to two half-waves need a side of at least 3, not {size}")
    return bank(f"dct(size={size})").kernels.reshape(size, size, size, size)[:3, :3].flatten(0, 1)


@start("Gaussian derivatives of orders 0 to 2 along y times the same along x")
def gaussian(layer: Layer) -> Tensor:
    size = _odd_side(layer)
    # A Gaussian that just fits: sigma 0.6 on 3 pixels, 1 on 5.
    return _products([derivative_taps(size / 5, order, size) for order in range(3)])


@start("Gabor kernels, even and odd, in four directions, and a Gaussian")
def gabor(layer: Layer) -> Tensor:
    size = _odd_side(layer)
    wavelength, sigma = max(2.5, 0.8 * size), size / 5
    return from_bank(f"quadrature(size={size}, wavelength={wavelength}) + gaussian(sigma={sigma}, size={size})", layer)


@start("principal components of training patches", patches=True)
def pca(layer: Layer) -> Tensor:
    return _components(layer)[1][: len(layer.draw_OChw)].reshape(layer.shape)


@start("whitening filters of training patches (ZCA)", patches=True)
def whitening(layer: Layer) -> Tensor:
    variance_D, rows_DD = _components(layer)
    damped_D = variance_D + EPSILON * variance_D.mean()
    white_DD = rows_DD.T @ (rows_DD / damped_D.sqrt()[:, None])
    return white_DD[_central(layer.shape)].reshape(layer.shape)


def from_bank(expression: str, layer: Layer) -> Tensor:
    """(K, h, w): the kernels of any filter bank."""
    size, kernels_K1hw = _odd_side(layer), bank(expression).kernels
    if max(kernels_K1hw.shape[-2:]) > size:
        sides = "x".join(map(str, kernels_K1hw.shape[-2:]))
        raise UsageError(f"its kernels are {sides}, and those of the first layer {size}x{size}")
    return embedded(kernels_K1hw, size, size)[:, 0]


def _side(layer: Layer) -> int:
    height, width = layer.shape[2:]
    if height != width:
        raise UsageError(f"it needs square kernels; those of the layer are {height}x{width}")
    return height


def _odd_side(layer: Layer) -> int:
    size = _side(layer)
    if size % 2 == 0 or size < 3:
        raise UsageError(f"it needs kernels of an odd side, at least 3, not {size}")
    return size


def _centred(filter_OChw: Tensor) -> Tensor:
    return filter_OChw - filter_OChw.mean(dim=(2, 3), keepdim=True)


def _orthonormal(draw: Tensor) -> Tensor:
    """(O, ...) uniform over all orthonormal rows."""
    draw_OD = draw.flatten(1)
    outputs, inputs = draw_OD.shape
    if outputs > inputs:
        raise UsageError(f"{outputs} filters of {inputs} weights cannot be orthonormal; at most {inputs}")
    basis_DO, upper_OO = torch.linalg.qr(draw_OD.T)
    # With positive signs on the diagonal the basis is uniform over all (Mezzadri 2007, Notices of the AMS 54(5)).
    return (basis_DO * upper_OO.diagonal().sign()).T.reshape(draw.shape)


def _products(taps: list[Tensor]) -> Tensor:
    return torch.stack([torch.outer(down, across) for down in taps for across in taps])


def _components(layer: Layer) -> tuple[Tensor, Tensor]:
    """Variances, falling, and components of the patches, which are at least as many as the filters."""
    variance_D, rows_DD = components_of(layer.patch_NChw.double().flatten(1))
    outputs = len(layer.draw_OChw)
    if outputs > len(rows_DD):
        raise UsageError(f"patches of {len(rows_DD)} values have as many filters, and the first layer has {outputs}")
    return variance_D, rows_DD


def _central(shape: torch.Size) -> Tensor:
    """(O,) which of the D whitened values: those of the pixels nearest to the middle, every channel of each."""
    outputs, channels, height, width = shape
    y, x = torch.arange(height) - (height - 1) / 2, torch.arange(width) - (width - 1) / 2
    distance_P = (y[:, None] ** 2 + x**2).flatten()
    pixel_P = distance_P.argsort(stable=True)
    return (torch.arange(channels) * height * width + pixel_P[:, None]).flatten()[:outputs]
