"""Gradients by first-derivative banks. B batch, C channel, S scale, D derivative (y, x), H W image, n taps.

A derivative kernel is a line of difference taps across a line of smoothing taps, the same ones for d/dy and d/dx. A
pass adds (or subtracts) the two pixels at the same distance from the middle before it weighs them, and smooths before
it differentiates, so that the response to a mirrored or rotated image is the mirrored or rotated response to the last
bit, and the response to a constant is exactly 0.
"""

import math
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn

from cnnlab._choices import UsageError, check_choice
from cnnlab.edges.borders import BORDERS, pad
from cnnlab.edges.fast.lengths import lengths, walkable
from cnnlab.edges.fast.strips import by_strips, recorded
from cnnlab.filters import FilterBank

_ROUNDING = 1e-9  # of kernels in float64, against their largest weight


class Gradient(nn.Module):
    """(d/dy, d/dx) of every channel at every scale of a bank. Nothing is trained.

    bank: each of its vectors is a pair of separable derivatives across each other, one pair a scale: `sobel`, `scharr`,
        `farid`, `roberts`, `gaussian(sigma=(1, 2), order=1)`, `sobel + sobel(size=5)`. UsageError otherwise.
    border: `reflect`, `replicate`, `zeros`, `circular`, as in `borders.pad`.

    The response of a kernel of even side belongs to the middle of four pixels; it stands at the lower right of them,
    as in OpenCV's `filter2D`, so that mirroring the image moves it by one pixel.

    Buffers: `difference_Sn`, `smoothing_Sn` (float64), zeros at their ends where the scales differ in length.
    """

    difference_Sn: Tensor
    smoothing_Sn: Tensor

    def __init__(self, bank: FilterBank, border: str = "reflect") -> None:
        super().__init__()
        check_choice("border", border, BORDERS)
        self.border = border
        pairs = separated(bank)
        self.register_buffer("difference_Sn", torch.stack([difference_n for difference_n, _ in pairs]))
        self.register_buffer("smoothing_Sn", torch.stack([smoothing_n for _, smoothing_n in pairs]))
        self._read_taps()
        self._fast: Callable[[Tensor], Tensor] | None = None

    def _read_taps(self) -> None:
        """The buffers as numbers: folded into compiled arithmetic, which more than halves its time."""
        self.taps = list(zip(self.difference_Sn.tolist(), self.smoothing_Sn.tolist(), strict=True))

    def _load_from_state_dict(self, state: Mapping[str, object], *arguments: object) -> None:
        super()._load_from_state_dict(state, *arguments)
        self._read_taps()

    def compiled(self) -> "Gradient":
        """Itself, with `magnitude` compiled by torch where loops don't serve, as on a GPU; the border is added before,
        which is faster than inside."""
        self._fast = torch.compile(self._magnitude_inside, fullgraph=True)
        return self

    @property
    def halo(self) -> tuple[int, int]:
        """Pixels that a response needs before it and behind it, along both axes."""
        side = self.difference_Sn.shape[-1]
        return side // 2, (side - 1) // 2

    def padded(self, image_BCHW: Tensor) -> Tensor:
        before, behind = self.halo
        return pad(image_BCHW, before, behind, before, behind, self.border)

    def forward(self, image_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """(dy, dx), each (B, C, S, H, W), in intensity per pixel (times the bank's own normalisation)."""
        dy, dx = zip(*self.inside(self.padded(image_BCHW)), strict=True)
        return torch.stack(dy, dim=2), torch.stack(dx, dim=2)

    def inside(self, padded_BCHW: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """(dy, dx) of one scale after the other, (B, C, H, W), of an image that has its border already."""
        for difference, smoothing in self.taps:
            smooth_in_x = correlated(padded_BCHW, smoothing, -1, +1)
            smooth_in_y = correlated(padded_BCHW, smoothing, -2, +1)
            yield correlated(smooth_in_x, difference, -2, -1), correlated(smooth_in_y, difference, -1, -1)

    def magnitude(self, image_BCHW: Tensor) -> Tensor:
        """(B, C, S, H, W): the lengths of the gradients.

        Of a float image on a CPU, with nothing recorded, by loops that numba compiles (`lengths.py`)."""
        if walkable(image_BCHW):
            return lengths(image_BCHW, self.taps, self.border)
        padded_BCHW = self.padded(image_BCHW)
        if self._fast is not None:
            return self._fast(padded_BCHW)
        return by_strips(lambda part: (self._magnitude_inside(part),), padded_BCHW, sum(self.halo))[0]

    def _magnitude_inside(self, padded_BCHW: Tensor) -> Tensor:
        return torch.stack([length(dy, dx) for dy, dx in self.inside(padded_BCHW)], dim=2)


def length(dy: Tensor, dx: Tensor) -> Tensor:
    """sqrt(dy² + dx²), the same to the last bit for (dx, dy); its own gradient is 0 where both are 0."""
    return root(dy * dy + dx * dx)


def direction(dy: Tensor, dx: Tensor) -> Tensor:
    """Angle of (dy, dx) in [0, pi), 0 where both are 0; its own gradient is 0 there."""
    square = dy * dy + dx * dx
    seen = square > torch.finfo(square.dtype).tiny
    angle = torch.atan2(torch.where(seen, dy, 0.0), torch.where(seen, dx, 1.0))
    angle = torch.where(angle < 0, angle + math.pi, angle)
    return torch.where(angle < math.pi, angle, 0.0)


def root(square: Tensor) -> Tensor:
    """sqrt(square); its own gradient is 0 where the square is (or vanishes in this dtype)."""
    if not recorded(square):
        return square.sqrt()
    seen = square > torch.finfo(square.dtype).tiny
    return torch.where(seen, torch.where(seen, square, 1.0).sqrt(), 0.0)


def correlated(image_BCHW: Tensor, taps: list[float], dim: int, sign: int) -> Tensor:
    """Correlation along `dim`, where the taps fit, with taps of which each is `sign` times its mirror image.

    Where nothing is recorded, two buffers serve for all taps: memory that was just used still lies in the cache.
    """
    last = len(taps) - 1
    size = image_BCHW.shape[dim] - last
    kept = torch.compiler.is_compiling() or recorded(image_BCHW)
    total = pair = None
    if last % 2 == 0 and sign > 0:
        total = image_BCHW.narrow(dim, last // 2, size) * taps[last // 2]
    for k in range(last // 2 + 1, len(taps)):
        if taps[k] == 0:
            continue
        behind, before = image_BCHW.narrow(dim, k, size), image_BCHW.narrow(dim, last - k, size)
        join = torch.add if sign > 0 else torch.sub
        pair = join(behind, before) if kept or pair is None else join(behind, before, out=pair)
        if total is None:
            total = pair * taps[k]
        else:
            total = torch.add(total, pair, alpha=taps[k]) if kept else total.add_(pair, alpha=taps[k])
    assert total is not None
    return total


def separated(bank: FilterBank) -> list[tuple[Tensor, Tensor]]:
    """(difference, smoothing) of each vector: (n,) float64 taps, antisymmetric, and symmetric with sum 1.

    d/dy is the outer product of difference and smoothing, d/dx that of smoothing and difference; a pair of derivatives
    along other directions is rotated to these first (Roberts'). UsageError for a kernel that is in no such pair.
    """
    pairs = derivative_pairs(bank)
    others = set(range(len(bank))).difference(*pairs)
    if others:
        names = ", ".join(bank.names[index] for index in sorted(others))
        raise UsageError(f"a gradient needs pairs of separable derivatives, such as (sobel_dy, sobel_dx); got {names}")
    return list(pairs.values())


def derivative_pairs(bank: FilterBank) -> dict[tuple[int, ...], tuple[Tensor, Tensor]]:
    """Those of the bank's vectors that are pairs of separable derivatives, with (difference, smoothing) of each."""
    taps = {vector: _separated_pair(bank.kernels[list(vector), 0]) for vector in bank.vectors}
    return {vector: pair for vector, pair in taps.items() if pair is not None}


def _separated_pair(kernels_Khw: Tensor) -> tuple[Tensor, Tensor] | None:
    slopes_KD = _slopes(kernels_Khw)
    if kernels_Khw.shape != (2, kernels_Khw.shape[-1], kernels_Khw.shape[-1]) or not slopes_KD[0].any():
        return None
    turn_DK = slopes_KD.T / torch.linalg.vector_norm(slopes_KD[0])
    dy, dx = torch.einsum("dk,khw->dhw", turn_DK, kernels_Khw)
    row, column = divmod(int(dy.abs().argmax()), dy.shape[1])
    difference_n, smoothing_n = dy[:, column], dy[row]
    difference_n, smoothing_n = (difference_n - difference_n.flip(0)) / 2, (smoothing_n + smoothing_n.flip(0)) / 2
    smoothing_n = smoothing_n / smoothing_n.sum()
    difference_n = difference_n / smoothing_n[column]
    remade = torch.stack([torch.outer(difference_n, smoothing_n), torch.outer(smoothing_n, difference_n)])
    limit = _ROUNDING * kernels_Khw.abs().max()
    same = (remade - torch.stack([dy, dx])).abs().max() <= limit
    return (_without(difference_n, limit), _without(smoothing_n, _ROUNDING)) if same else None


def _slopes(kernels_Khw: Tensor) -> Tensor:
    """(K, 2): the responses to a unit ramp along y and along x."""
    y, x = (torch.arange(side, dtype=torch.float64) - (side - 1) / 2 for side in kernels_Khw.shape[-2:])
    return torch.stack([(kernels_Khw.sum(-1) * y).sum(-1), (kernels_Khw.sum(-2) * x).sum(-1)], dim=1)


def _without(taps_n: Tensor, limit: float | Tensor) -> Tensor:
    """The taps with rounding noise made 0."""
    return torch.where(taps_n.abs() > limit, taps_n, 0.0)
