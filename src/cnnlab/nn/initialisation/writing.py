"""Writes a filter bank into a convolution and reports every filter written.

O output, C input channel of one group, N patch, h, w kernel (patches: larger).
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnlab._choices import UsageError, check_choice
from cnnlab.filters.bank import FilterBank
from cnnlab.nn.initialisation.channels import channel_mix
from cnnlab.nn.initialisation.fills import FILLS, FITS, SURPLUS, Candidate, candidates, random_candidate
from cnnlab.nn.initialisation.resizing import size_text

GAINS = ("kaiming", "layer", "response", "keep")

# He et al. 2015, ICCV, eq. 10: std = sqrt(2 / fan_in), so filters have a root mean square norm of sqrt(2).
KAIMING_NORM = math.sqrt(2)


@dataclass(frozen=True)
class WrittenFilter:
    """One output of the convolution; `kernel` and `channels` are None where it was drawn at random."""

    output: int
    group: int
    kernel: str | None
    channels: str | None  # the row of the channel mix, e.g. "luminance" or "red_green"
    change: str  # "none", "negated", "rotated by 45 degrees", "scaled to 5x5" or "random"
    gain: float  # what the filter was multiplied by, last of all


@dataclass(frozen=True)
class InitialisationReport:
    """What `initialise` wrote: `filters` in the order of the outputs."""

    source: str
    weight_shape: tuple[int, ...]
    fit: str  # "as given", "3x3 embedded in 7x7" or "3x3 resampled to 7x7"
    gain: str
    filters: tuple[WrittenFilter, ...]
    left_out: tuple[str, ...]  # "kernel on row" that found no output, in any group
    bias_zeroed: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain types that survive a round trip through JSON."""
        plain = asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}


@torch.no_grad()
def initialise(
    conv: nn.Conv2d,
    bank: FilterBank,
    *,
    channels: str = "luminance",
    fill: str = "random",
    fit: str = "embed",
    gain: str = "kaiming",
    surplus: str = "error",
    patches_NChw: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> InitialisationReport:
    """Writes the bank over the weight of `conv`, in place, and sets its bias to 0.

    Each group receives all kernels on the first row of the channel mix, then on the next (see `channel_mix`).
    channels: `luminance`, `each` or `opponent`.
    fill, for outputs beyond the bank: `random` (Kaiming normal), `flips` (negated), `orientations` (turned by
        equal steps of a half turn), `scales` (2 taps larger a step while they fit) or `error`. What is
        left after `flips` and `scales` is random.
    fit, for kernels of another size: `embed` (centred in zeros; ValueError if larger) or `resample`.
    gain: `kaiming` (each filter has norm sqrt 2), `layer` (the root mean square norm of the layer's filters
        before), `response` (standard deviation 1 on `patches_NChw`) or `keep` (as the bank has it).
    surplus, for kernels beyond the outputs: `error`, or `first` (the rest stands in the report).
    patches_NChw: (N, in_channels, >= h, >= w) as the layer will see them; only for `response`.
    generator: a CPU generator for the random filters; None takes the global one.
    """
    given = {"channels": channels, "fill": fill, "fit": fit, "gain": gain, "surplus": surplus}
    plans, left_out = _plan_groups(conv, bank, given, generator)
    weight_OChw = torch.stack([c.taps_Chw for plan in plans for c in plan])
    gain_O = _gains(conv, weight_OChw, gain, patches_NChw)
    conv.weight.copy_(weight_OChw * gain_O[:, None, None, None])
    if conv.bias is not None:
        conv.bias.zero_()
    return _report(conv, bank, given, plans, left_out, gain_O)


def _plan_groups(
    conv: nn.Conv2d, bank: FilterBank, given: dict[str, str], generator: torch.Generator | None
) -> tuple[list[list[Candidate]], list[Candidate]]:
    """For each group one candidate per output; and the candidates left out."""
    if not isinstance(conv, nn.Conv2d):
        raise UsageError(f"a bank is written into an nn.Conv2d, got {type(conv).__name__}")
    for what, valid in {"fill": FILLS, "fit": FITS, "gain": GAINS, "surplus": SURPLUS}.items():
        check_choice(what, given[what], valid)
    in_channels, outputs = conv.in_channels // conv.groups, conv.out_channels // conv.groups
    mix = channel_mix(given["channels"], in_channels)
    height, width = conv.kernel_size
    chosen, left_out = candidates(bank, mix, given["fit"], (height, width), given["fill"], given["surplus"], outputs)
    missing = outputs - len(chosen)
    plans = [
        chosen + [random_candidate(in_channels, (height, width), generator) for _ in range(missing)]
        for _ in range(conv.groups)
    ]
    return plans, left_out


def _gains(conv: nn.Conv2d, weight_OChw: Tensor, gain: str, patches_NChw: Tensor | None) -> Tensor:
    """(O,) float64: what to multiply each filter by. Raises ValueError for a filter that answers nothing."""
    if gain == "keep":
        return torch.ones(len(weight_OChw), dtype=torch.float64)
    if gain == "response":
        size_O, wanted = _response_deviation(conv, weight_OChw, patches_NChw), 1.0
    else:
        size_O = weight_OChw.flatten(1).norm(dim=1)
        before_OChw = conv.weight.double()
        wanted = KAIMING_NORM if gain == "kaiming" else float(before_OChw.square().sum() / len(before_OChw)) ** 0.5
    silent = (size_O <= 1e-12).nonzero().flatten().tolist()
    if silent:
        raise UsageError(
            f"gain={gain!r} cannot scale filters without any answer, outputs {silent}; "
            "take other kernels or patches, or gain='keep'"
        )
    return wanted / size_O


def _response_deviation(conv: nn.Conv2d, weight_OChw: Tensor, patches_NChw: Tensor | None) -> Tensor:
    """(O,): standard deviation of the responses over patches and positions, no padding, stride 1."""
    if patches_NChw is None:
        raise UsageError("gain='response' needs patches_NChw; without patches choose kaiming, layer or keep")
    needed = [d * (n - 1) + 1 for d, n in zip(conv.dilation, conv.kernel_size, strict=True)]
    N_C_h_w = tuple(patches_NChw.shape)
    if len(N_C_h_w) != 4 or N_C_h_w[1] != conv.in_channels or N_C_h_w[2] < needed[0] or N_C_h_w[3] < needed[1]:
        raise UsageError(f"patches_NChw must be (N, {conv.in_channels}, >= {needed[0]}, >= {needed[1]}), got {N_C_h_w}")
    patches_NChw = patches_NChw.to(weight_OChw)
    response_NOhw = F.conv2d(patches_NChw, weight_OChw, dilation=conv.dilation, groups=conv.groups)
    return response_NOhw.std(dim=(0, 2, 3), correction=0)


def _report(
    conv: nn.Conv2d,
    bank: FilterBank,
    given: dict[str, str],
    plans: list[list[Candidate]],
    left_out: list[Candidate],
    gain_O: Tensor,
) -> InitialisationReport:
    owners = [(group, candidate) for group, plan in enumerate(plans) for candidate in plan]
    filters = tuple(
        WrittenFilter(output, group, c.kernel, c.channels, c.change, float(gain_O[output]))
        for output, (group, c) in enumerate(owners)
    )
    before, after = tuple(bank.kernels.shape[-2:]), conv.kernel_size
    change = "embedded in" if given["fit"] == "embed" else "resampled to"
    return InitialisationReport(
        source=bank.source,
        weight_shape=tuple(conv.weight.shape),
        fit="as given" if before == after else f"{size_text(before)} {change} {size_text(after)}",
        gain=given["gain"],
        filters=filters,
        left_out=tuple(f"{c.kernel} on {c.channels}" for c in left_out),
        bias_zeroed=conv.bias is not None,
    )
