"""Which filters a convolution receives: the bank first, then variations of it, then random ones.

C input channel of one group, K kernel, R row of the channel mix, V = R * K, h, w kernel of the convolution.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.filters.bank import FilterBank
from cnnlab.nn.initialisation.channels import ChannelMix
from cnnlab.nn.initialisation.resizing import embed, resample, rotate, size_text

FILLS = ("random", "flips", "orientations", "scales", "error")
FITS = ("embed", "resample")
SURPLUS = ("error", "first")
SAME = 1e-6  # filters repeat each other where 1 - cosine is below


@dataclass(frozen=True)
class Candidate:
    """A filter waiting for an output; `kernel` and `channels` are None where it is drawn at random."""

    taps_Chw: Tensor
    kernel: str | None
    channels: str | None
    change: str


def candidates(
    bank: FilterBank, mix: ChannelMix, fit: str, size: tuple[int, int], fill: str, surplus: str, outputs: int
) -> tuple[list[Candidate], list[Candidate]]:
    """At most `outputs` filters that the bank can give, and those left out.

    Raises ValueError for too many filters where `surplus` is "error", too few where `fill` is.
    """
    fitted_K1hw = (embed if fit == "embed" else resample)(bank.kernels, size)
    base = _spread(bank, mix, fitted_K1hw, "none")
    if len(base) > outputs and surplus == "error":
        raise UsageError(
            f"{len(base)} filters ({len(bank.names)} kernels on {', '.join(mix.names)}) for {outputs} "
            "outputs per group; take a smaller bank, or surplus='first' to write the first ones"
        )
    if len(base) < outputs and fill == "error":
        raise UsageError(
            f"only {len(base)} filters for {outputs} outputs per group; "
            f"to fill the rest choose one of: {', '.join(FILLS[:-1])}"
        )
    if len(base) < outputs:
        base = _varied(bank, mix, fitted_K1hw, fill, base, outputs)
        return base[:outputs], []
    return base[:outputs], base[outputs:]


def random_candidate(in_channels: int, size: tuple[int, int], generator: torch.Generator | None) -> Candidate:
    """Kaiming normal (He et al. 2015): standard deviation sqrt(2 / fan_in)."""
    shape = (in_channels, *size)
    taps_Chw = torch.randn(shape, generator=generator, dtype=torch.float64)
    return Candidate(taps_Chw * (2 / taps_Chw.numel()) ** 0.5, None, None, "random")


def _spread(bank: FilterBank, mix: ChannelMix, kernels_K1hw: Tensor, change: str) -> list[Candidate]:
    """All kernels on the first row of the mix, then on the next."""
    named = zip(mix.spread(kernels_K1hw), mix.owners(bank.names), strict=True)
    return [Candidate(taps_Chw, *owner, change) for taps_Chw, owner in named]


def _varied(
    bank: FilterBank, mix: ChannelMix, fitted_K1hw: Tensor, fill: str, base: list[Candidate], outputs: int
) -> list[Candidate]:
    """`base` and what the fill makes of the bank, without repetitions; maybe fewer than `outputs`."""
    if fill == "flips":
        return _distinct(base, _spread(bank, mix, -fitted_K1hw, "negated"), signed=True)
    if fill == "scales":
        height, width = fitted_K1hw.shape[-2:]
        larger = _scaled(bank, (height, width))
        return base + [c for change, scaled in larger for c in _spread(bank, mix, scaled, change)]
    if fill == "orientations":
        fewest = -(-outputs // len(base))
        # d/dx turned onto d/dy would repeat it: take finer steps until there are enough different filters.
        for steps in range(fewest, 4 * fewest + 1):
            angles = [180 * number / steps for number in range(1, steps)]
            turned = [(f"rotated by {angle:g} degrees", rotate(fitted_K1hw, angle)) for angle in angles]
            new = [c for change, kernels in turned for c in _spread(bank, mix, kernels, change)]
            found = _distinct(base, new, signed=False)
            if len(found) >= outputs:
                break
        return found
    return base


def _scaled(bank: FilterBank, size: tuple[int, int]) -> list[tuple[str, Tensor]]:
    """The bank 2, 4, 6 ... taps larger, embedded, while it fits into `size`."""
    h, w = bank.kernels.shape[-2:]
    steps = range(2, min(size[0] - h, size[1] - w) + 1, 2)
    sizes = [(h + step, w + step) for step in steps]
    return [(f"scaled to {size_text(s)}", embed(resample(bank.kernels, s), size)) for s in sizes]


def _distinct(base: list[Candidate], new: list[Candidate], signed: bool) -> list[Candidate]:
    """`base`, then those of `new` that repeat no earlier filter up to a positive factor (any if unsigned)."""
    directions = F.normalize(torch.stack([c.taps_Chw.flatten() for c in base + new]), dim=1)
    cosine = directions @ directions.T
    repeats = (cosine if signed else cosine.abs()) > 1 - SAME
    first = repeats.to(torch.uint8).argmax(dim=1).tolist()
    return base + [c for number, c in enumerate(new, start=len(base)) if first[number] == number]
