"""What a study compares: ways to start and to train a first layer, written as `start/control@mode`.

jet                  the start, trainable
jet/permuted         its control: the pixels of all kernels in one other order, drawn anew for every seed
jet/shuffled         its control: the pixels of each kernel in an order of its own
jet@frozen           never trained; jet@unfrozen:3 from epoch 3 on
sobel + laplacian    any bank of cnnlab.filters is a start as well

O filter, R row of the channel mix, K kernel, C channel, h, w kernel, N patch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cnnlab._choices import UsageError, check_choice
from cnnlab.filters.expression import check_expression
from cnnlab.filters.families import families
from cnnlab.studies.controls import CONTROLS
from cnnlab.studies.starts import STARTS, Layer, Start, from_bank

MODES = ("trainable", "frozen", "unfrozen")
MATCHES = {
    "norm": "every filter has norm sqrt 2, the random ones too",
    "response": "every filter has the same standard deviation of its responses on training patches",
}
NORM = 2**0.5  # of every filter: the root mean square of Kaiming normal ones
SILENT = 1e-9
DRAWS, PIXELS = 1, 2  # streams of random numbers of one seed


@dataclass(frozen=True)
class Arm:
    """`name` as it was given; `unfreeze_epoch` counts from 0 and is that of mode unfrozen."""

    name: str
    start: str
    control: str | None = None
    mode: str = "trainable"
    unfreeze_epoch: int = 1

    @property
    def row(self) -> Start:
        """Its start in the table; a bank has a row of its own."""
        if self.start in STARTS:
            return STARTS[self.start]
        return Start(f"the bank {self.start}", lambda layer: from_bank(self.start, layer))

    @property
    def words(self) -> str:
        """For people: start, control, mode."""
        control = f"; {CONTROLS[self.control].words}" if self.control else ""
        mode = f"frozen, unfrozen at epoch {self.unfreeze_epoch}" if self.mode == "unfrozen" else self.mode
        return f"{self.row.words}{control}; {mode}"

    @property
    def line(self) -> str:
        """How its curves are drawn; "" is a whole line."""
        return CONTROLS[self.control].line if self.control else ""

    @property
    def family(self) -> str:
        """What a bank and its controls share in one mode: they are drawn in one colour."""
        return self.name.replace(f"/{self.control}", "") if self.control else self.name

    @property
    def kind(self) -> str:
        """`bank`, the name of its control, or `random`."""
        return self.control or ("bank" if self.row.structured else "random")

    @property
    def modules(self) -> set[str]:
        """Those outside of the package that define its start and its control."""
        functions: list[Callable[..., Tensor]] = [self.row.make]
        functions += [CONTROLS[self.control].destroy] if self.control else []
        return {f.__module__ for f in functions if f.__module__.partition(".")[0] != "cnnlab"}


def read_arm(text: str) -> Arm:
    """UsageError, with what is valid and the nearest match, for what names no arm."""
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f"an arm is written as start/control@mode, such as jet/permuted@frozen; got {text!r}")
    rest, _, mode = text.strip().partition("@")
    start, _, control = (part.strip() for part in rest.partition("/"))
    mode, _, epoch = mode.partition(":")
    try:
        _check_start(start)
        if control:
            check_choice("control", control, CONTROLS)
        check_choice("mode", mode or "trainable", MODES)
        if control and start in STARTS and not STARTS[start].structured:
            raise UsageError(f"{start} is random already, so it has no control")
        if (mode == "unfrozen") != bool(epoch) or (epoch and (not epoch.isdigit() or int(epoch) < 1)):
            raise UsageError(f"an epoch goes with unfrozen, from 1 on, such as {start}@unfrozen:3")
    except UsageError as error:
        raise UsageError(f"arm {text!r}: {error}") from None
    return Arm(text.strip(), start, control or None, mode or "trainable", int(epoch or 1))


def _check_start(start: str) -> None:
    if start in STARTS:
        return
    if start.isidentifier():
        check_choice("start", start, dict.fromkeys((*STARTS, *families())))
    check_expression(start)


def start_filters(
    arm: Arm, shape: tuple[int, int, int, int], seed: int, mix_RC: Tensor, patch_NChw: Tensor, match: str = "norm"
) -> Tensor:
    """(O, C, h, w) float64: what the first layer of `arm` starts from; what is random follows from the seed alone.

    mix_RC: the rows by which a spatial kernel sees the channels; all kernels of row 0 come first. patch_NChw: training
    patches. match: "norm" brings every filter to norm sqrt 2; "response" to the standard deviation that filters of
    that norm without any order have on the patches, sqrt(2 tr(covariance) / D).
    UsageError, naming the arm, for one that does not fit the shape, and for filters that cannot be scaled.
    """
    draw_OChw = torch.randn(shape, generator=_generator(seed, DRAWS), dtype=torch.float64)
    layer = Layer(draw_OChw, mix_RC.double(), patch_NChw)
    try:
        filters = arm.row.make(layer)
        if filters.ndim == 3:
            return _matched(_on_each_row(filters, layer, arm.control, seed), patch_NChw, match)
        if filters.shape != layer.shape:
            raise UsageError(f"it gives {tuple(filters.shape)}; kernels (K, h, w), or filters {tuple(layer.shape)}")
        return _matched(_controlled(filters, arm.control, seed), patch_NChw, match)
    except UsageError as error:
        raise UsageError(f"arm {arm.name!r}: {error}") from error


def _generator(seed: int, stream: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * 1_000_003 + stream)


def _controlled(filter_OChw: Tensor, control: str | None, seed: int) -> Tensor:
    if control is None:
        return filter_OChw
    return CONTROLS[control].destroy(filter_OChw, _generator(seed, PIXELS))


def _on_each_row(kernel_Khw: Tensor, layer: Layer, control: str | None, seed: int) -> Tensor:
    """The kernels on each row of the channel mix; what is missing to the filters of a row stays random."""
    if len(kernel_Khw) > layer.per_row:
        raise UsageError(
            f"it has {len(kernel_Khw)} kernels, and the first layer has {layer.per_row} filters for each row"
        )
    spread_RKChw = torch.einsum("rc,khw->rkchw", layer.mix_RC, kernel_Khw)
    controlled_RKChw = _controlled(spread_RKChw.flatten(0, 1), control, seed).unflatten(0, spread_RKChw.shape[:2])
    start_RKChw = layer.draw_OChw.unflatten(0, (-1, layer.per_row)).clone()
    start_RKChw[:, : len(kernel_Khw)] = controlled_RKChw
    return start_RKChw.flatten(0, 1)


def _matched(start_OChw: Tensor, patch_NChw: Tensor, match: str) -> Tensor:
    flat_OD = start_OChw.flatten(1)
    size_O, wanted = torch.linalg.vector_norm(flat_OD, dim=1), NORM
    if match == "response":
        covariance_DD = torch.cov(patch_NChw.double().flatten(1).T)
        size_O = torch.einsum("od,de,oe->o", flat_OD, covariance_DD, flat_OD).clamp(min=0).sqrt()
        wanted = float(2 * covariance_DD.trace() / len(covariance_DD)) ** 0.5
    if (size_O <= SILENT * max(1.0, float(size_O.max()))).any():
        silent = (size_O <= SILENT).nonzero().flatten().tolist()
        raise UsageError(f"the filters {silent} have no response, so that they cannot be matched in {match}")
    return start_OChw * (wanted / size_O)[:, None, None, None]
