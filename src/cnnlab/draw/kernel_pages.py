"""Banks of kernels on pages, sorted by what they do. K kernels, C channels, h height, w width, R frequencies."""

from collections.abc import Callable, Sequence
from functools import partial

from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.draw.tiles import Cell, Page, tile_page, zero_centred
from cnnlab.filters.analysis.identify import Match
from cnnlab.filters.analysis.properties import KernelProperties, principal_maps

ORDERS = ("family", "orientation", "frequency", "norm", "index")
WITHIN = 0.995  # of the weights lie on the colour scale
_LAST = 1e9  # where a kernel that has no such number goes


def what_they_do(properties: Sequence[KernelProperties], matches: Sequence[Match], by: str = "family") -> list[int]:
    """Indices of the kernels sorted: by `family` (then orientation, what is no better than chance last), preferred
    `orientation`, `frequency`, falling `norm`, or their own `index`. ValueError for another word."""
    if by not in ORDERS:
        raise UsageError(f"kernels are sorted by one of {', '.join(ORDERS)}, got {by!r}")

    def number(value: float | None) -> float:
        return _LAST if value is None else value

    def key(index: int) -> tuple[float | str, ...]:
        own, match = properties[index], matches[index]
        orientation = number(own.orientation)
        return {
            "family": (not match.significant, match.family, match.name, number(match.orientation), orientation),
            "orientation": (orientation, number(own.frequency)),
            "frequency": (number(own.frequency), orientation),
            "norm": (-own.norm,),
            "index": (),
        }[by]

    return sorted(range(len(properties)), key=lambda index: (*key(index), index))


def called(match: Match) -> str:
    """A match in a few words: "gabor 45°", "-laplacian", "not named" where it is no better than chance."""
    if match.family == "none":
        return "zero"
    if not match.significant:
        return "not named"
    words = match.name.replace("_", " ").replace("gaussian d", "Gaussian ∂").removeprefix("gaussian ")
    turn = "" if match.orientation is None else f" {match.orientation:.0f}°"
    return f"{'-' if match.sign < 0 else ''}{words}{turn}"


def kernel_titles(matches: Sequence[Match]) -> list[str]:
    """Two lines a kernel: its number and the cosine of its match, and what the match is called."""
    return [f"{index}   cos {match.cosine:.2f}\n{called(match)}" for index, match in enumerate(matches)]


def kernel_pages(
    kernels_KChw: Tensor,
    titles: Sequence[str] | None = None,
    order: Sequence[int] | None = None,
    heading: str = "",
    per_page: int | None = None,
) -> list[Figure]:
    """All kernels in `order`, titled, on as many figures as it takes, on one scale that is symmetric about zero.

    Kernels for three channels are drawn in colour (mid-grey is zero, each over its own largest weight) and then channel
    by channel; kernels for one as they are; all others by their principal map (`filters.properties`). A page has 60
    of them, or 32 in colour. The scale ends where WITHIN of the weights do, so that one large weight hides no kernel.
    """
    channels = kernels_KChw.shape[1]
    shown = kernels_KChw.detach().cpu().double() if channels in (1, 3) else principal_maps(kernels_KChw)[0].unsqueeze(1)
    limit = scale_of(shown)
    names = [str(index) for index in range(len(shown))] if titles is None else list(titles)
    cells = [Cell(_tiles(shown[i]), names[i]) for i in (range(len(shown)) if order is None else order)]
    kinds = {1: "", 3: "in colour (over its largest weight), then red, green, blue"}
    kind = kinds.get(channels, f"the principal map over {channels} channels")
    columns, side, most = (4, 0.62, 32) if channels == 3 else (10, 0.95, 60)
    first = ", ".join(part for part in (heading, kind) if part)
    cut = float(shown.abs().max()) > limit
    draw = partial(tile_page, columns=columns, side=side, norm=zero_centred(limit), label="weight", cut=cut)
    return _paged(cells, first, per_page or most, draw)


def scale_of(kernels_KChw: Tensor) -> float:
    """The absolute weight below which WITHIN of all are: where the colour scale ends."""
    weights = kernels_KChw.detach().abs().flatten()
    return float(weights.kthvalue(max(1, round(WITHIN * len(weights)))).values)


def spectrum_pages(
    spectra_KRR: Tensor,
    titles: Sequence[str] | None = None,
    order: Sequence[int] | None = None,
    heading: str = "",
    per_page: int = 60,
) -> list[Figure]:
    """Fourier magnitudes (`filters.spectrum`), each over its own maximum; frequency 0 is in the middle of a tile."""
    names = [str(index) for index in range(len(spectra_KRR))] if titles is None else list(titles)
    cells = []
    for index in range(len(spectra_KRR)) if order is None else order:
        spectrum_RR = spectra_KRR[index]
        cells.append(Cell((spectrum_RR / (spectrum_RR.max() or 1),), names[index]))
    kind = "Fourier magnitude, -1/2 to 1/2 cycles per pixel along x and y, 0 in the middle"
    first = f"{heading}\n{kind}" if heading else kind
    label = "fraction of the kernel's maximum"
    draw = partial(tile_page, columns=10, side=0.95, norm=Normalize(0, 1), cmap="viridis", label=label)
    return _paged(cells, first, per_page, draw)


def _paged(cells: list[Cell], heading: str, per_page: int, draw: Callable[..., Page]) -> list[Figure]:
    pages = [cells[start : start + per_page] for start in range(0, len(cells), per_page)]
    figures = []
    for number, page in enumerate(pages, start=1):
        which = f" (page {number} of {len(pages)})" if len(pages) > 1 else ""
        figures.append(draw(page, heading=f"{heading}{which}").figure)
    return figures


def _tiles(kernel_Chw: Tensor) -> tuple[Tensor, ...]:
    if len(kernel_Chw) == 1:
        return (kernel_Chw[0],)
    largest = float(kernel_Chw.abs().max()) or 1.0
    return (0.5 + kernel_Chw.permute(1, 2, 0) / largest / 2, *kernel_Chw)
