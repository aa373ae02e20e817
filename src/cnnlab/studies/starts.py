"""The filters that an arm starts from. O filter, R row of the channel mix, K kernel, C channel, D = C h w, N patch.

What is random follows from the seed alone, and kaiming, zero_mean and the orthonormal starts from the same draws, so
that arms of one seed differ in nothing else.
"""

import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.filters.bank import bank, embedded
from cnnlab.filters.gaussian import derivative_taps
from cnnlab.filters.learned import components_of
from cnnlab.filters.stencils import STENCILS
from cnnlab.studies.arms import Arm

NORM = 2**0.5  # of every filter: the root mean square of Kaiming normal ones
MATCHES = ("norm", "response")
EPSILON = 1e-5  # of whitening: added to each variance, as a share of their mean
SILENT = 1e-9
DRAWS, PIXELS = 1, 2  # streams of random numbers of one seed


def start_filters(
    arm: Arm, shape: tuple[int, int, int, int], seed: int, mix_RC: Tensor, patch_NChw: Tensor, match: str = "norm"
) -> Tensor:
    """(O, C, h, w) float64: what the first layer of `arm` starts from.

    mix_RC: the rows by which a spatial kernel sees the channels; all kernels of row 0 come first. A bank with fewer
    kernels than O / R leaves the last filters of each row random, those of kaiming. patch_NChw: training patches.
    match: "norm" brings every filter to norm sqrt 2; "response" to the standard deviation that filters of that norm
    without any order have on the patches, sqrt(2 tr(covariance) / D).
    ValueError, naming the arm, for one that does not fit the shape, and for filters that cannot be scaled.
    """
    assert match in MATCHES
    try:
        if arm.structured:
            start_OChw = _structured(arm, shape, seed, mix_RC, patch_NChw)
        else:
            start_OChw = _random(arm, shape, seed, mix_RC)
        return _matched(start_OChw, patch_NChw, match)
    except ValueError as error:
        raise UsageError(f"arm {arm.name!r}: {error}") from error


def words_of(match: str) -> str:
    """How filters were matched, for the report."""
    if match == "norm":
        return "every filter has norm sqrt 2, the random ones too"
    return "every filter has the same standard deviation of its responses on training patches"


def _generator(seed: int, stream: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * 1_000_003 + stream)


def _draws(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=_generator(seed, DRAWS), dtype=torch.float64)


def _random(arm: Arm, shape: tuple[int, int, int, int], seed: int, mix_RC: Tensor) -> Tensor:
    draw_OChw = _draws(shape, seed)
    if arm.start.endswith("mixed"):
        return _mixed(draw_OChw, mix_RC.double(), arm.start.startswith("orthonormal"))
    if arm.start.startswith("orthonormal"):
        draw_OChw = _orthonormal(draw_OChw.flatten(1)).reshape(shape)
    if arm.start.endswith("zero_mean"):
        draw_OChw = draw_OChw - draw_OChw.mean(dim=(2, 3), keepdim=True)
    return draw_OChw


def _mixed(draw_OChw: Tensor, mix_RC: Tensor, orthonormal: bool) -> Tensor:
    """The kernels of the first channel, each on one row of the mix, as those of a bank are."""
    rows, outputs = len(mix_RC), len(draw_OChw)
    if outputs % rows:
        raise UsageError(f"it needs equally many filters on each of {rows} rows; the layer has {outputs}")
    kernel_RKhw = draw_OChw[:, 0].unflatten(0, (rows, -1))
    if orthonormal:
        kernel_RKhw = torch.stack([_orthonormal(one.flatten(1)).reshape(one.shape) for one in kernel_RKhw])
    return torch.einsum("rc,rkhw->rkchw", mix_RC, kernel_RKhw).flatten(0, 1)


def _orthonormal(draw_OD: Tensor) -> Tensor:
    """Uniform over all orthonormal rows."""
    outputs, inputs = draw_OD.shape
    if outputs > inputs:
        raise UsageError(f"{outputs} filters of {inputs} weights cannot be orthonormal; at most {inputs}")
    basis_DO, upper_OO = torch.linalg.qr(draw_OD.T)
    # With positive signs on the diagonal the basis is uniform over all (Mezzadri 2007, Notices of the AMS 54(5)).
    return (basis_DO * upper_OO.diagonal().sign()).T


def _structured(arm: Arm, shape: tuple[int, int, int, int], seed: int, mix_RC: Tensor, patch_NChw: Tensor) -> Tensor:
    if arm.needs_patches:
        return _reordered(_learned(arm.start, shape, patch_NChw), arm.control, seed)
    outputs, _, height, width = shape
    per_row = outputs // len(mix_RC)
    if height != width or outputs % len(mix_RC):
        raise UsageError(f"it needs square kernels, equally many on each of {len(mix_RC)} rows; the layer is {shape}")
    kernel_Khw = _spatial(arm.start, height)
    if len(kernel_Khw) > per_row:
        raise UsageError(f"it has {len(kernel_Khw)} kernels, and the first layer has {per_row} filters for each row")
    spread_RKChw = torch.einsum("rc,khw->rkchw", mix_RC.double(), kernel_Khw)
    ordered_RKChw = _reordered(spread_RKChw.flatten(0, 1), arm.control, seed).unflatten(0, spread_RKChw.shape[:2])
    start_RKChw = _draws(shape, seed).unflatten(0, (len(mix_RC), per_row)).clone()
    start_RKChw[:, : len(kernel_Khw)] = ordered_RKChw
    return start_RKChw.flatten(0, 1)


def _reordered(filter_OChw: Tensor, control: str | None, seed: int) -> Tensor:
    """The pixels in another order, drawn by the seed, the same for all channels of a filter."""
    if control is None:
        return filter_OChw
    outputs, channels, height, width = filter_OChw.shape
    generator, pixels = _generator(seed, PIXELS), height * width
    orders = 1 if control == "permuted" else outputs
    order_OP = torch.stack([torch.randperm(pixels, generator=generator) for _ in range(orders)])
    order_OCP = order_OP[:, None].expand(outputs, channels, pixels)
    return filter_OChw.flatten(2).gather(2, order_OCP).reshape(filter_OChw.shape)


def _spatial(start: str, size: int) -> Tensor:
    """(K, size, size): the kernels of a structured start."""
    if start == "jet":
        if size < 3:
            raise UsageError(f"cosines of up to two half-waves need a side of at least 3, not {size}")
        return bank(f"dct(size={size})").kernels.reshape(size, size, size, size)[:3, :3].flatten(0, 1)
    if size % 2 == 0 or size < 3:
        raise UsageError(f"it needs kernels of an odd side, at least 3, not {size}")
    if start == "gaussian":
        # A Gaussian that just fits: sigma 0.6 on 3 pixels, 1 on 5.
        return _products([derivative_taps(size / 5, order, size) for order in range(3)])
    if start == "differences":
        taps = [torch.ones(1, dtype=torch.float64), STENCILS["central_2"].along(), STENCILS["central_2_second"].along()]
        return _products([torch.nn.functional.pad(tap, [(size - len(tap)) // 2] * 2) for tap in taps])
    if start == "derivatives":
        start = "sobel(orientations=4) + central(order=2) + laplacian + laplacian(neighbours=8)"
    if start == "gabor":
        start = f"quadrature(size={size}, wavelength={max(2.5, 0.8 * size)}) + gaussian(sigma={size / 5}, size={size})"
    kernels_K1hw = bank(start).kernels
    if max(kernels_K1hw.shape[-2:]) > size:
        sides = "x".join(map(str, kernels_K1hw.shape[-2:]))
        raise UsageError(f"its kernels are {sides}, and those of the first layer {size}x{size}")
    return embedded(kernels_K1hw, size, size)[:, 0]


def _products(taps: list[Tensor]) -> Tensor:
    return torch.stack([torch.outer(down, across) for down in taps for across in taps])


def _learned(start: str, shape: tuple[int, int, int, int], patch_NChw: Tensor) -> Tensor:
    outputs, channels, height, width = shape
    variance_D, rows_DD = components_of(patch_NChw.double().flatten(1))
    if outputs > len(rows_DD):
        raise UsageError(f"patches of {len(rows_DD)} values have as many filters, and the first layer has {outputs}")
    if start == "pca":
        return rows_DD[:outputs].reshape(shape)
    damped_D = variance_D + EPSILON * variance_D.mean()
    white_DD = rows_DD.T @ (rows_DD / damped_D.sqrt()[:, None])
    return white_DD[_central(outputs, channels, height, width)].reshape(shape)


def _central(outputs: int, channels: int, height: int, width: int) -> Tensor:
    """(O,) which of the D whitened values: those of the pixels nearest to the middle, every channel of each."""
    y, x = torch.arange(height) - (height - 1) / 2, torch.arange(width) - (width - 1) / 2
    distance_P = (y[:, None] ** 2 + x**2).flatten()
    pixel_P = distance_P.argsort(stable=True)
    return (torch.arange(channels) * height * width + pixel_P[:, None]).flatten()[:outputs]


def _matched(start_OChw: Tensor, patch_NChw: Tensor, match: str) -> Tensor:
    flat_OD = start_OChw.flatten(1)
    size_O, wanted = torch.linalg.vector_norm(flat_OD, dim=1), NORM
    if match == "response":
        covariance_DD = torch.cov(patch_NChw.double().flatten(1).T)
        size_O = torch.einsum("od,de,oe->o", flat_OD, covariance_DD, flat_OD).clamp(min=0).sqrt()
        wanted = float(2 * covariance_DD.trace() / len(covariance_DD)) ** 0.5
    if (size_O <= SILENT * max(1.0, float(size_O.max()))).any():
        silent = (size_O <= SILENT).nonzero().flatten().tolist()
        raise UsageError(f"the filters {silent} answer nothing, so that they cannot be matched in {match}")
    return start_OChw * (wanted / size_O)[:, None, None, None]
