"""How a kernel of one channel sees an image of several: the rows of a small mixing matrix.

R mixing row, C input channel, K kernel, O = R * K output channel (all kernels of row 0 first), h, w kernel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from cnnlab._choices import UsageError, check_choice
from cnnlab._colour import LUMA

CHANNEL_RULES = ("luminance", "each", "opponent")

# van de Sande, Gevers & Snoek 2010, IEEE TPAMI 32(9), eq. 7. Each sums to 0 (blind to grey), norm 1.
OPPONENT = {
    "red_green": (1 / 2**0.5, -1 / 2**0.5, 0.0),
    "yellow_blue": (1 / 6**0.5, 1 / 6**0.5, -2 / 6**0.5),
}


@dataclass(frozen=True)
class ChannelMix:
    """`weights_RC` float64, one named row per copy of the bank."""

    names: tuple[str, ...]
    weights_RC: Tensor

    def coefficients(self, kernels: int) -> Tensor:
        """(R * K, C, K): the weight of each kernel in each channel of an output."""
        one_KK = torch.eye(kernels, dtype=torch.float64)
        return torch.einsum("rc,kj->rkcj", self.weights_RC, one_KK).flatten(0, 1)

    def owners(self, kernel_names: tuple[str, ...]) -> list[tuple[str, str]]:
        """(kernel, row) of each of the R * K outputs."""
        return [(kernel, row) for row in self.names for kernel in kernel_names]

    def spread(self, kernels_K1hw: Tensor) -> Tensor:
        """(K, 1, h, w) -> (R * K, C, h, w): row r of the mix weighs each kernel."""
        return torch.einsum("ock,khw->ochw", self.coefficients(len(kernels_K1hw)), kernels_K1hw.squeeze(1))


def channel_mix(rule: str, in_channels: int) -> ChannelMix:
    """The mixing rows of a rule.

    `luminance`: one row; the luma of BT.601 for three channels, else the mean. Sums to 1, so that
        grey in RGB answers as grey does.
    `each`: one row per channel, so each kernel sees each channel alone.
    `opponent`: luminance, red-green, yellow-blue. Needs three channels.
    Raises ValueError for an unknown rule, fewer than 1 channel, or `opponent` without three channels.
    """
    check_choice("channel rule", rule, CHANNEL_RULES)
    if in_channels < 1:
        raise UsageError(f"in_channels must be at least 1, got {in_channels}")
    if rule == "each":
        return ChannelMix(
            tuple(f"channel_{c}" for c in range(in_channels)), torch.eye(in_channels, dtype=torch.float64)
        )
    mean = (1 / in_channels,) * in_channels
    rows = {"luminance": LUMA if in_channels == 3 else mean}
    if rule == "opponent":
        if in_channels != 3:
            raise UsageError(
                f"channel rule 'opponent' needs 3 channels (red, green, blue), got {in_channels}; "
                "valid for any number: luminance, each"
            )
        rows |= OPPONENT
    return ChannelMix(tuple(rows), torch.tensor(list(rows.values()), dtype=torch.float64))
