"""A filter bank as first layer of a network: linear responses, then the rectification of an edge detector.

B batch, C input channel, O response (all kernels on the first row of the channel mix, then on the next),
K basis kernel, F feature, H, W image, h, w kernel.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnlab._choices import UsageError, check_choice
from cnnlab.filters.bank import FilterBank
from cnnlab.nn.initialisation.channels import channel_mix
from cnnlab.nn.initialisation.writing import KAIMING_NORM

MODES = ("frozen", "trainable", "unfrozen", "fixed_basis", "anchored")
STARTS = ("bank", "random")
GAINS = ("kaiming", "keep")
RECTIFIERS = ("full", "parts", "none")
PADDING = {"reflect": "reflect", "replicate": "replicate", "zeros": "constant", "circular": "circular"}
# The magnitude is sqrt(sum of squares + FLOOR): finite gradient on flat images, where it is 1e-6.
FLOOR = 1e-12


class FrontEnd(nn.Module):
    """(B, C, H, W) -> features (B, F, ceil(H / stride), ceil(W / stride)); F is `out_channels`.

    mode: `frozen` (a buffer), `trainable`, `unfrozen` (trainable from epoch `unfreeze_epoch`, counted from 0,
        told by `at_epoch`), `fixed_basis` (trainable coefficients over the bank's fixed kernels: structured
        receptive fields, Jacobsen et al. 2016, CVPR), `anchored` (`penalty()` pulls to the start).
    channels: `luminance`, `each` or `opponent`, see `channel_mix`.
    start: `bank`, or `random`: Kaiming normal, the control of the same shape. Its generator is seeded by one
        draw from the global one, made in every mode, so that later layers start alike whatever the mode.
    gain: `kaiming` scales each filter to norm sqrt 2, the random start's root mean square (filters of one
        magnitude share a gain, so that it stays isotropic); `keep` leaves the bank's scale.
    rectify: `full` (max(r, 0), max(-r, 0), one magnitude for each of the bank's vectors), `parts`, `none`.
    border: `reflect` (OpenCV's BORDER_REFLECT_101), `replicate`, `zeros`, `circular`. A kernel of even size
        has its anchor at n // 2, as in OpenCV: one more pixel of border above and left.
    """

    start: Tensor  # of mode anchored

    def __init__(
        self,
        bank: FilterBank,
        in_channels: int,
        mode: str = "trainable",
        *,
        channels: str = "luminance",
        start: str = "bank",
        gain: str = "kaiming",
        rectify: str = "full",
        border: str = "reflect",
        stride: int = 1,
        unfreeze_epoch: int = 1,
        anchor: float = 0.01,
    ) -> None:
        super().__init__()
        for what, given, valid in (
            ("mode", mode, MODES), ("start", start, STARTS), ("gain", gain, GAINS),
            ("rectify", rectify, RECTIFIERS), ("border", border, PADDING),
        ):  # fmt: skip
            check_choice(what, given, valid)
        if stride < 1 or unfreeze_epoch < 0 or anchor < 0:
            given = f"{stride}, {unfreeze_epoch}, {anchor}"
            raise UsageError(f"stride >= 1, unfreeze_epoch >= 0, anchor >= 0; got {given}")
        self.mode, self.rectify, self.border, self.stride = mode, rectify, border, stride
        self.unfreeze_epoch, self.anchor, self.in_channels = unfreeze_epoch, anchor, in_channels
        self.kernel_size = tuple(bank.kernels.shape[-2:])
        mix = channel_mix(channels, in_channels)
        owners = mix.owners(bank.names)
        self.response_names = tuple(k if len(mix.names) == 1 else f"{k} on {row}" for k, row in owners)
        offsets = range(0, len(self.response_names), len(bank.names))
        vectors = [tuple(offset + k for k in vector) for offset in offsets for vector in bank.vectors]
        self.vectors = tuple(vectors) if rectify == "full" else ()
        gain_O = _gains(mix.spread(bank.kernels), vectors, self.response_names, gain)
        coefficients_OCK = mix.coefficients(len(bank.names)) * gain_O[:, None, None]
        self._store(bank.kernels.squeeze(1), coefficients_OCK, start)

    def _store(self, kernel_Khw: Tensor, coefficients_OCK: Tensor, start: str) -> None:
        """Registers the parameters and buffers of the mode, cast once to the default dtype."""
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        dtype = torch.get_default_dtype()
        if self.mode == "fixed_basis":
            # A basis of norm 1 makes a step in the coefficients about as long as one in the weight.
            norm_K11 = kernel_Khw.flatten(1).norm(dim=1)[:, None, None]
            start_OCK = coefficients_OCK * norm_K11.flatten()
            if start == "random":
                start_OCK = _kaiming_normal(start_OCK.shape, generator)
            self.register_buffer("basis", (kernel_Khw / norm_K11).to(dtype))
            self.coefficients = nn.Parameter(start_OCK.to(dtype))
            return
        start_OChw = torch.einsum("ock,khw->ochw", coefficients_OCK, kernel_Khw)
        if start == "random":
            start_OChw = _kaiming_normal(start_OChw.shape, generator)
        weight = start_OChw.to(dtype)
        if self.mode == "frozen":
            self.register_buffer("weight", weight)
            return
        self.weight = nn.Parameter(weight)
        if self.mode == "anchored":
            self.register_buffer("start", weight.clone())
        self.at_epoch(0)

    @property
    def out_channels(self) -> int:
        return len(self.feature_names)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The start of each feature: `+name`, `-name`, then `|name, name|`."""
        names = self.response_names
        if self.rectify == "none":
            return names
        magnitudes = tuple(f"|{', '.join(names[o] for o in vector)}|" for vector in self.vectors)
        return tuple(f"+{n}" for n in names) + tuple(f"-{n}" for n in names) + magnitudes

    def kernel(self) -> Tensor:
        """(O, C, h, w): the convolution's weight, with its gradient."""
        if self.mode == "fixed_basis":
            return torch.einsum("ock,khw->ochw", self.coefficients, self.basis)
        return self.weight

    def first_layer_kernels(self) -> Tensor:
        """(O, C, h, w): a detached copy of the convolution's weight."""
        return self.kernel().detach().clone()

    def at_epoch(self, epoch: int) -> None:
        """Freezes or unfreezes the weight of mode `unfrozen`. Epochs count from 0."""
        if self.mode == "unfrozen":
            self.weight.requires_grad_(epoch >= self.unfreeze_epoch)
            if not self.weight.requires_grad:
                self.weight.grad = None

    def penalty(self) -> Tensor:
        """() what `anchored` adds to the loss: anchor * ||weight - start||^2; 0 in the other modes."""
        if self.mode == "anchored":
            return self.anchor * (self.weight - self.start).square().sum()
        return self.kernel().new_zeros(())

    def respond(self, image_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O, H', W'): the linear responses, correlation, spatial size kept at stride 1.

        Raises ValueError for another number of channels, or an image too small for its border.
        """
        return F.conv2d(self.with_border(image_BCHW), self.kernel(), stride=self.stride)

    def rectified(self, response_BOHW: Tensor) -> Tensor:
        """(B, O, H, W) -> (B, F, H, W), in the order of `feature_names`."""
        if self.rectify == "none":
            return response_BOHW
        positive_BOHW = response_BOHW.relu()
        magnitudes = [self._magnitude(response_BOHW, vector) for vector in self.vectors]
        return torch.cat([positive_BOHW, positive_BOHW - response_BOHW, *magnitudes], dim=1)

    def forward(self, image_BCHW: Tensor, named: bool = False) -> Tensor | dict[str, Tensor]:
        """The features, or with `named` both {"response": ..., "feature": ...}."""
        response_BOHW = self.respond(image_BCHW)
        feature_BFHW = self.rectified(response_BOHW)
        return {"response": response_BOHW, "feature": feature_BFHW} if named else feature_BFHW

    @staticmethod
    def _magnitude(response_BOHW: Tensor, vector: tuple[int, ...]) -> Tensor:
        """(B, 1, H, W). Squares are taken in float32 at least, where FLOOR is not lost."""
        wide = torch.promote_types(response_BOHW.dtype, torch.float32)
        squares = [response_BOHW[:, o : o + 1].to(wide).square() for o in vector]
        total = functools.reduce(torch.add, squares)
        return (total + FLOOR).sqrt().to(response_BOHW.dtype)

    def with_border(self, image_BCHW: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H + h - 1, W + w - 1): what the convolution sees. Raises ValueError as `respond`."""
        if image_BCHW.ndim != 4 or image_BCHW.shape[1] != self.in_channels:
            raise UsageError(f"expected images (B, {self.in_channels}, H, W), got {tuple(image_BCHW.shape)}")
        h, w = self.kernel_size
        H, W = image_BCHW.shape[-2:]
        spare = {"reflect": 1, "circular": 0}.get(self.border, -max(h, w))
        least_h, least_w = h // 2 + spare, w // 2 + spare
        if least_h > H or least_w > W:
            raise UsageError(
                f"a kernel of {h}x{w} with border {self.border!r} needs images of at least "
                f"{least_h}x{least_w}, got {H}x{W}; take a smaller bank, or border replicate or zeros"
            )
        sides = (w // 2, (w - 1) // 2, h // 2, (h - 1) // 2)
        return F.pad(image_BCHW, sides, mode=PADDING[self.border])


def _kaiming_normal(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Standard deviation sqrt(2 / fan_in); over a basis of norm 1 the fan-in is C * K."""
    return torch.randn(shape, generator=generator, dtype=torch.float64) * (2 / shape[1:].numel()) ** 0.5


def _gains(weight_OChw: Tensor, vectors: list[tuple[int, ...]], names: tuple[str, ...], gain: str) -> Tensor:
    """(O,): 1 for `keep`, else what brings each filter to norm sqrt 2, those of one vector together (rms)."""
    square_O = weight_OChw.square().sum(dim=(1, 2, 3))
    if silent := [name for name, square in zip(names, square_O, strict=True) if square == 0]:
        raise UsageError(f"kernels that are zero everywhere cannot start a layer: {', '.join(silent)}")
    if gain == "keep":
        return torch.ones_like(square_O)
    group = list(range(len(names)))
    for vector in vectors:  # vectors that share a filter fall into one group
        joined = {group[o] for o in vector}
        group = [min(joined) if g in joined else g for g in group]
    group_O = torch.tensor(group)
    mean_O = torch.stack([square_O[group_O == g].mean() for g in group])
    return KAIMING_NORM / mean_O.sqrt()
