"""Filters learned from image patches. N patches of c channels and h by w pixels, M = N c, D = h w."""

import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.filters.bank import FilterBank
from cnnlab.filters.families import family
from cnnlab.filters.parameters import choice, number, refuse


def middle(family: str, patches_Nchw: Tensor, size: int | None) -> Tensor:
    """The (size, size) middle of every patch, or the patches as they are. UsageError for what has none."""
    if size is None or not isinstance(patches_Nchw, Tensor) or patches_Nchw.ndim != 4:
        return patches_Nchw
    spare = [side - size if type(size) is int else -1 for side in patches_Nchw.shape[-2:]]
    if type(size) is not int or size < 1 or min(spare) < 0 or any(rest % 2 for rest in spare):
        sides = " x ".join(str(side) for side in patches_Nchw.shape[-2:])
        refuse(family, "size", size, f"up to the {sides} of the patches, and odd or even as they are")
    top, left = (rest // 2 for rest in spare)
    return patches_Nchw[..., top : top + size, left : left + size]


def samples(family: str, patches_Nchw: Tensor) -> Tensor:
    """(M, D) float64: every channel of every patch is one sample. UsageError for what teaches nothing."""
    if not isinstance(patches_Nchw, Tensor) or patches_Nchw.ndim != 4 or not patches_Nchw.is_floating_point():
        kind = getattr(patches_Nchw, "dtype", type(patches_Nchw)), tuple(getattr(patches_Nchw, "shape", ()))
        raise UsageError(f"{family}: patches must be a float tensor (N, c, h, w), got {kind}")
    samples_MD = patches_Nchw.detach().to("cpu", torch.float64).flatten(0, 1).flatten(1)
    if len(samples_MD) < 2 or samples_MD.shape[1] == 0 or not samples_MD.isfinite().all():
        raise UsageError(f"{family}: patches must be at least two and finite, got {tuple(patches_Nchw.shape)}")
    return samples_MD


def components_of(samples_MD: Tensor) -> tuple[Tensor, Tensor]:
    """Variances (D,), falling, and the components (D, D) in rows, of the covariance (divided by M - 1).

    The entry of largest size in a component is positive, so the same data give the same signs.
    """
    variance, columns_DD = torch.linalg.eigh(torch.cov(samples_MD.T).reshape([samples_MD.shape[1]] * 2))
    rows_DD = columns_DD.T.flip(0)
    largest = rows_DD.gather(1, rows_DD.abs().argmax(dim=1, keepdim=True))
    return variance.flip(0).clamp(min=0), rows_DD * largest.sign()


@family("principal components of image patches")
def pca(*, patches: Tensor, size: int | None = None, components: int | None = None) -> FilterBank:
    """Principal components of `patches` (N, c, h, w): orthonormal kernels `pca_0`, ... by falling variance.

    The first `components` of them, all h w by default; of the (size, size) middle of the patches if given. The
    mean patch is subtracted before, as in scikit-learn's PCA, whose components these are up to sign; channels
    count as patches of their own. Pearson 1901.
    """
    patches = middle("pca", patches, size)
    samples_MD = samples("pca", patches)
    _, rows_DD = components_of(samples_MD)
    count = len(rows_DD) if components is None else components
    if type(count) is not int or not 1 <= count <= len(rows_DD):
        refuse("pca", "components", components, f"an integer from 1 to {len(rows_DD)}")
    kernels = rows_DD[:count].reshape(count, 1, *patches.shape[-2:])
    names = tuple(f"pca_{index}" for index in range(count))
    return FilterBank(kernels, names, f"principal components of {len(samples_MD)} patches, Pearson 1901")


@family("whitening filters of image patches (ZCA or PCA)")
def whitening(*, patches: Tensor, size: int | None = None, kind: str = "zca", epsilon: float = 1e-5) -> FilterBank:
    """h w kernels whose responses to such patches, or their (size, size) middle, have the identity as covariance.

    With covariance E diag(d) E': "zca" is E diag(d)^-1/2 E', closest to the pixels (Bell & Sejnowski 1997,
    Vision Research 37(23)), `whitening_y_x` in row order; "pca" is diag(d)^-1/2 E', by falling variance
    (Kessy, Lewin & Strimmer 2018, Am. Stat. 72(4)), `whitening_0`, ... `epsilon` >= 0 is added to each
    variance d as a fraction of their mean and damps the weak ones; 0 whitens exactly. UsageError if a
    variance is then 0.
    """
    choice("whitening", "kind", kind, ("zca", "pca"))
    number("whitening", "epsilon", epsilon, least=0.0)
    patches = middle("whitening", patches, size)
    samples_MD = samples("whitening", patches)
    variance_D, rows_DD = components_of(samples_MD)
    damped_D = variance_D + epsilon * variance_D.mean()
    if damped_D.min() <= 1e-12 * damped_D.max():
        flat = int((damped_D <= 1e-12 * damped_D.max()).sum())
        refuse(
            "whitening",
            "epsilon",
            epsilon,
            f"more than 0 or more patches: {flat} of {len(damped_D)} variances are 0",
        )
    kernels_DD = rows_DD / damped_D.sqrt().unsqueeze(1)
    height, width = patches.shape[-2:]
    names = [f"whitening_{index}" for index in range(len(kernels_DD))]
    if kind == "zca":
        kernels_DD = rows_DD.T @ kernels_DD
        names = [f"whitening_{y}_{x}" for y in range(height) for x in range(width)]
    source = f"{kind.upper()} whitening of {len(samples_MD)} patches, Bell & Sejnowski 1997; Kessy et al. 2018"
    return FilterBank(kernels_DD.reshape(-1, 1, height, width), tuple(names), source)
