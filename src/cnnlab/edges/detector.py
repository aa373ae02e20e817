"""Edges by fixed kernels. B batch, C channel, S scale, K kernel, H W image."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.edges.borders import BORDERS, pad
from cnnlab.edges.choices import choice
from cnnlab.edges.colour import COLOURS, SPACES, brightness, combined, companded, in_space, principal, products
from cnnlab.edges.energy import OrientedEnergy
from cnnlab.edges.fast.edgels import Limits, spread, thinned_by_places
from cnnlab.edges.fast.fused import fusible, small_taps, walked
from cnnlab.edges.fast.strips import by_strips
from cnnlab.edges.gradient import Gradient
from cnnlab.edges.hysteresis import hysteresis
from cnnlab.edges.texture import TextureGradient, damping
from cnnlab.edges.thinning import largest_along, walkable
from cnnlab.edges.thresholds import KINDS, check_thresholds, thresholds
from cnnlab.filters import bank as build_bank
from cnnlab.filters.bank import FilterBank

SCALES = ("mean", "geometric")


class Edges(NamedTuple):
    """strength (B, 1, H, W) >= 0; orientation (B, 1, H, W) of the normal, radians in [0, pi), from +x towards +y."""

    strength: Tensor
    orientation: Tensor


class EdgeDetector(nn.Module):
    """Strength and orientation of the edges of a batch of images. Nothing is trained.

    bank: pairs of separable derivatives (as `sobel`, `gaussian(sigma=(1, 2), order=1)`: one pair a scale) give a
        gradient; any other bank of oriented kernels (`quadrature`, `gabor`, `steerable_pair`) gives an energy.
    space: `given`, `grey`, `opponent` (`colour.in_space`). root: take the root of intensities first.
    colour: channels together by the `largest` gradient, or by Di Zenzo's structure `tensor`.
    scales: the `mean` of the gradients of all scales, or the `geometric` mean of their strengths.
    texture: weight of the gradient of local contrast beside that of brightness and colour; needs a gradient and
        `tensor`. surround: exponent of the damping by the edges around, within `surround_radius` pixels (0: none).
    border: `reflect`, `replicate`, `zeros`, `circular`: the image goes on so far beyond its border as all steps need.
    thresholds, low, high: hysteresis after the thinning, as in `thresholds.py`; `absolute` without values: none.

    Images are (B, C, H, W) of any number of channels, in [0, 1]; uint8 is divided by 255. float16 and bfloat16 are
    computed in float32. ValueError for values that don't fit.
    """

    def __init__(
        self,
        bank: str = "gaussian(sigma=2, order=1)",
        *,
        space: Literal["given", "grey", "opponent"] = "given",
        root: bool = False,
        colour: Literal["largest", "tensor"] = "largest",
        scales: Literal["mean", "geometric"] = "mean",
        texture: float = 0.0,
        surround: float = 0.0,
        surround_radius: int = 35,
        border: Literal["reflect", "replicate", "zeros", "circular"] = "reflect",
        thresholds: Literal["absolute", "quantile", "automatic"] = "absolute",
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        super().__init__()
        self.space, self.colour = choice("space", space, SPACES), choice("colour", colour, COLOURS)
        self.scales, self.border = choice("scales", scales, SCALES), choice("border", border, BORDERS)
        self.thresholds, self.low, self.high = choice("thresholds", thresholds, KINDS), low, high
        check_thresholds(thresholds, low, high)
        for name, value, least in (("texture", texture, 0), ("surround", surround, 0), ("radius", surround_radius, 1)):
            if not (least <= value < math.inf):
                raise UsageError(f"{name} must be a finite number of at least {least}, got {value!r}")
        self.root, self.surround, self.surround_radius = root, surround, surround_radius
        self.kernels = measure_of(build_bank(bank), border)
        self.texture_weight = texture
        self.texture = TextureGradient() if texture else None
        if texture and not (isinstance(self.kernels, Gradient) and colour == "tensor"):
            raise UsageError("texture needs a bank of gradients and colour=tensor, which adds up channels of any kind")

        self._fast: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]] | None = None
        self._stays: Callable[..., Tensor] = largest_along

    def compiled(self) -> "EdgeDetector":
        """Itself, with the measuring of `thinned`, and the thinning of whole fields where it is done so (on a GPU),
        compiled by torch, the first time for each size of image.

        Compiling both as one would measure each pixel anew for each of its neighbours.
        """
        self._fast = torch.compile(self._measured, fullgraph=True)
        self._stays = torch.compile(largest_along, fullgraph=True)
        return self

    @property
    def halo(self) -> tuple[int, int]:
        """Pixels of border before and behind that strength and orientation need."""
        halos = [part.halo for part in (self.kernels, self.texture) if part is not None]
        return max(before for before, _ in halos), max(behind for _, behind in halos)

    @property
    def full_scale(self) -> float:
        """The strength that stands for 1 on maps of this detector: that of a straight step from black to white.

        Measured on such a step, across an image of three times the detector's reach. Colours can be stronger.
        """
        side = 2 * (sum(self.halo) + (self.surround_radius if self.surround else 0)) + 8
        device = next(self.buffers()).device
        step = (torch.arange(2 * side, device=device) >= side).float().expand(1, 3, 8, -1)
        with torch.no_grad():
            return float(self(step).strength[..., side // 2 : -side // 2].max())

    def forward(self, image_BCHW: Tensor) -> Edges:
        """Before thinning, of the image's dtype (float32 of uint8); strength in intensity per pixel."""
        padded = self._padded(accepted(image_BCHW))
        return self._edges(by_strips(self._measured, padded, sum(self.halo)), image_BCHW.dtype)

    @torch.no_grad()
    def both(self, image_BCHW: Tensor) -> tuple[Edges, Tensor]:
        """What calling it and what `thinned` give, measured once."""
        image = accepted(image_BCHW)
        if self._is_plain and fusible(image, self.kernels):  # of which the thinned edges are the smaller part
            return self(image_BCHW), self.thinned(image_BCHW)
        fields = self._fields(self._padded(image))
        return self._edges(fields, image_BCHW.dtype), _like(self._thinned(image, fields), image_BCHW)

    def _edges(self, fields: tuple[Tensor, Tensor, Tensor], dtype: torch.dtype) -> Edges:
        strength, dy, dx = fields
        dtype = dtype if dtype.is_floating_point else strength.dtype
        return Edges(self._damped(strength).to(dtype), direction(dy, dx).to(dtype))

    def _damped(self, strength: Tensor) -> Tensor:
        return strength * damping(strength, self.surround, self.surround_radius) if self.surround else strength

    def responses(self, image_BCHW: Tensor) -> Tensor:
        """(B, C, K, H, W): what each kernel answers to each channel (root and space applied).

        K runs over (dy, dx) of each scale, or over the kernels of an energy, vectors first.
        """
        padded = in_space(self._companded(self._padded(checked(image_BCHW))), self.space)
        padded = trimmed(padded, self.halo, self.kernels.halo)
        if isinstance(self.kernels, OrientedEnergy):
            return self.kernels.answers(padded)
        return torch.stack([one for pair in self.kernels.inside(padded) for one in pair], dim=2)

    @torch.no_grad()
    def thinned(self, image_BCHW: Tensor) -> Tensor:
        """(B, 1, H, W): the strength where it is largest along the normal, 0 elsewhere; then hysteresis, if asked for.

        Of two equal strengths the one at the brighter pixel stays (`thinning.py`); pixels are compared by their
        strength before the surround damps it.
        """
        image = accepted(image_BCHW)
        if self._is_plain and fusible(image, self.kernels):
            return _like(self._thinned_fused(image), image_BCHW)
        return _like(self._thinned(image, self._fields(self._padded(image))), image_BCHW)

    def _thinned_fused(self, image_B1HW: Tensor) -> Tensor:
        taps = small_taps(self.kernels)
        assert taps is not None
        found = walked(image_B1HW, self.border, taps, self._least)
        dtype = np.float64 if image_B1HW.dtype == torch.float64 else np.float32
        return spread(found, torch.from_numpy(np.zeros(image_B1HW.shape, dtype)), self._limits)

    def _thinned(self, image: Tensor, fields: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        strength, dy, dx = fields
        tie = image if image.shape[1] == 1 else brightness(as_float(image))
        damped, limits = self._damped(strength), self._limits
        if walkable(strength, dy, dx, tie):
            return thinned_by_places((strength, dy, dx), tie, damped, self._least, limits)
        thin = torch.where(self._stays(strength, dy, dx, tie, self._least), damped, 0)
        if limits is None:
            return thin
        levels = limits[1:] if limits[0] == "absolute" else thresholds(thin, *limits)
        return torch.where(hysteresis(thin, *levels), thin, 0)

    @property
    def _is_plain(self) -> bool:
        """Whether the strength is the gradient's length and nothing else."""
        return not (self.root or self.surround or self.texture_weight)

    @property
    def _limits(self) -> Limits | None:
        limited = self.thresholds != "absolute" or self.low is not None
        return (self.thresholds, self.low, self.high) if limited else None

    @property
    def _least(self) -> float:
        """What hysteresis drops for certain need not be thinned."""
        known = self.thresholds == "absolute" and self.low is not None and not self.surround
        return self.low if known else 0.0

    def _fields(self, padded_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`_measured`, by the fastest way there is."""
        if self._fast is not None:
            return self._fast(padded_BCHW)
        return by_strips(self._measured, padded_BCHW, sum(self.halo))

    def _padded(self, image_BCHW: Tensor) -> Tensor:
        before, behind = self.halo
        return pad(image_BCHW, before, behind, before, behind, self.border)

    def _companded(self, image_BCHW: Tensor) -> Tensor:
        return companded(image_BCHW) if self.root else image_BCHW

    def _measured(self, padded_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(strength, dy, dx), each (B, 1, H, W), of an image with `halo` more on each side."""
        padded = in_space(self._companded(as_float(padded_BCHW)), self.space)
        inner = trimmed(padded, self.halo, self.kernels.halo)
        if isinstance(self.kernels, OrientedEnergy):
            return self.kernels.inside(inner, self.colour)
        pairs = list(self.kernels.inside(inner))
        if self.scales == "mean":
            mean = [sum(parts[1:], start=parts[0]) / len(parts) for parts in zip(*pairs, strict=True)]
            pairs = [(mean[0], mean[1])]
        found = [self._combined(dy, dx, padded) for dy, dx in pairs]
        if len(found) == 1:
            return found[0]
        tiny = torch.finfo(padded.dtype).tiny
        logs = sum(strength.clamp_min(tiny).log() for strength, _, _ in found) / len(found)
        silent = torch.stack([strength <= tiny for strength, _, _ in found]).any(0)
        strength = torch.where(silent, 0.0, logs.exp())
        dy, dx = (sum(part[1:], start=part[0]) for part in list(zip(*pairs, strict=True)))
        return strength, *combined(dy, dx, self.colour)[1:]

    def _combined(self, dy: Tensor, dx: Tensor, padded: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.texture is None:
            return combined(dy, dx, self.colour)
        texture = self.texture.inside(trimmed(padded, self.halo, self.texture.halo))
        weight = self.texture_weight**2
        return principal(*(a + weight * b for a, b in zip(products(dy, dx), products(*texture), strict=True)))


def measure_of(bank: FilterBank, border: str) -> Gradient | OrientedEnergy:
    """A gradient if the bank is one, an energy otherwise."""
    try:
        return Gradient(bank, border)
    except ValueError:
        return OrientedEnergy(bank, border)


def direction(dy: Tensor, dx: Tensor) -> Tensor:
    """Angle of (dy, dx) in [0, pi), 0 where both are 0; its own gradient is 0 there."""
    square = dy * dy + dx * dx
    seen = square > torch.finfo(square.dtype).tiny
    angle = torch.atan2(torch.where(seen, dy, 0.0), torch.where(seen, dx, 1.0))
    angle = torch.where(angle < 0, angle + math.pi, angle)
    return torch.where(angle < math.pi, angle, 0.0)


def trimmed(padded_BCHW: Tensor, has: tuple[int, int], needs: tuple[int, int]) -> Tensor:
    """Without the pixels of border that are more than it needs."""
    before, behind = has[0] - needs[0], has[1] - needs[1]
    height, width = padded_BCHW.shape[-2:]
    return padded_BCHW[..., before : height - behind, before : width - behind]


def _like(thin_B1HW: Tensor, image_BCHW: Tensor) -> Tensor:
    """In the dtype of an image in floating point."""
    return thin_B1HW.to(image_BCHW.dtype) if image_BCHW.is_floating_point() else thin_B1HW


def checked(image_BCHW: Tensor) -> Tensor:
    """The image in the dtype to compute in; ValueError as `accepted`."""
    return as_float(accepted(image_BCHW))


def accepted(image_BCHW: Tensor) -> Tensor:
    """The image, uint8 or in the dtype to compute in; ValueError unless (B, C, H, W), not empty, float or uint8."""
    if image_BCHW.ndim != 4 or 0 in image_BCHW.shape[1:]:
        raise UsageError(f"expected images (B, C, H, W), not empty, got {tuple(image_BCHW.shape)}")
    if image_BCHW.dtype == torch.uint8:
        return image_BCHW
    if not image_BCHW.is_floating_point():
        raise UsageError(f"expected float images in [0, 1] or uint8, got {image_BCHW.dtype}")
    return image_BCHW.to(torch.promote_types(image_BCHW.dtype, torch.float32))


def as_float(image_BCHW: Tensor) -> Tensor:
    """uint8 divided by 255."""
    return image_BCHW.float() / 255 if image_BCHW.dtype == torch.uint8 else image_BCHW
