"""Edges by fixed kernels. B batch, C channel, S scale, K kernel, H W image."""

from collections.abc import Callable
from copy import copy
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from cnnlab._arguments import remembers_arguments
from cnnlab._choices import UsageError, check_choice
from cnnlab.edges.borders import BORDERS, accepted, as_float, like, pad, trimmed
from cnnlab.edges.colour import COLOURS, SPACES, brightness, combined, companded, in_space, principal, products
from cnnlab.edges.contract import Edges
from cnnlab.edges.energy import OrientedEnergy, measure_of
from cnnlab.edges.fast.fused import fusible, small_taps, walked
from cnnlab.edges.fast.places import Limits, spread, thinned_by_places
from cnnlab.edges.fast.strips import by_strips
from cnnlab.edges.gradient import Gradient, direction
from cnnlab.edges.hysteresis import hysteresis
from cnnlab.edges.texture import TextureGradient, suppression
from cnnlab.edges.thinning import largest_along, walkable
from cnnlab.edges.thresholds import KINDS, check_number, check_thresholds, thresholds
from cnnlab.filters import bank as build_bank

SCALES = ("mean", "geometric")
Fields = tuple[Tensor, Tensor, Tensor]  # strength, dy, dx


@remembers_arguments
class EdgeDetector(nn.Module):
    """Strength and orientation of the edges of a batch of images. Nothing is trained.

    bank: pairs of separable derivatives (as `sobel`, `gaussian(sigma=(1, 2), order=1)`: one pair a scale) give a
        gradient; any other bank of oriented kernels (`quadrature`, `gabor`, `steerable_pair`) gives an energy.
    space: `given`, `grey`, `opponent` (`colour.in_space`). root: take the root of intensities first.
    colour: channels together by the `largest` gradient, or by Di Zenzo's structure `tensor`.
    scales: the `mean` of the gradients of all scales, or the `geometric` mean of their strengths.
    texture: weight of the gradient of local contrast beside that of brightness and colour; needs a gradient and
        `tensor`. surround: exponent of the surround suppression, within `surround_radius` pixels (0: none).
    border: `reflect`, `replicate`, `zeros`, `circular`: the image goes on so far beyond its border as all steps need.
    thresholds, low, high: hysteresis after the thinning, as in `thresholds.py`; `absolute` without values: none.

    The defaults were chosen on the training images of BSDS500. Images are (B, C, H, W) of any number of channels, in
    [0, 1]; uint8 is divided by 255. float16 and bfloat16 are computed in float32. UsageError for values that don't fit.

    >>> image = torch.zeros(1, 3, 40, 40)
    >>> image[..., 20:] = 1
    >>> (EdgeDetector().thinned(image)[0, 0] > 0).nonzero()[0].tolist()  # a step's line lies on its bright side
    [0, 20]
    """

    arguments: dict[str, object]  # of the constructor

    def __init__(
        self,
        bank: str = "gaussian(sigma=3, order=1)",
        *,
        space: Literal["given", "grey", "opponent"] = "opponent",
        root: bool = True,
        colour: Literal["largest", "tensor"] = "tensor",
        scales: Literal["mean", "geometric"] = "mean",
        texture: float = 1.25,
        surround: float = 0.5,
        surround_radius: int = 35,
        border: Literal["reflect", "replicate", "zeros", "circular"] = "reflect",
        thresholds: Literal["absolute", "quantile", "automatic"] = "absolute",
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        super().__init__()
        for name, value, valid in (
            ("space", space, SPACES), ("colour", colour, COLOURS), ("scales", scales, SCALES),
            ("border", border, BORDERS), ("thresholds", thresholds, KINDS),
        ):  # fmt: skip
            check_choice(name, value, valid)
        check_thresholds(thresholds, low, high)
        for name, number, least in (("texture", texture, 0), ("surround", surround, 0), ("radius", surround_radius, 1)):
            check_number(name, number, least)
        self.space, self.colour, self.scales, self.border = space, colour, scales, border
        self.thresholds, self.low, self.high = thresholds, low, high
        self.root, self.surround, self.surround_radius = root, surround, surround_radius
        self._bank = build_bank(bank)
        self.kernels = measure_of(self._bank, border)
        self.texture_weight = texture
        self.texture = TextureGradient() if texture else None
        if texture and not (isinstance(self.kernels, Gradient) and colour == "tensor"):
            raise UsageError(
                f"texture={texture:g} needs a bank of gradients and colour=tensor, which adds up channels of any kind; "
                "take detector.texture=0 (in Python texture=0)"
            )
        self._fast: Callable[[Tensor], Fields] | None = None
        self._stays: Callable[..., Tensor] = largest_along

    @classmethod
    def plain(cls, bank: str, **options: Any) -> "EdgeDetector":
        """The gradient or the energy of a bank and nothing else, of the channel in which it is largest."""
        off = {"space": "given", "root": False, "colour": "largest", "texture": 0.0, "surround": 0.0}
        return cls(bank, **{**off, **options})

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

    @property
    def reach(self) -> int:
        """Pixels away from which a pixel still matters to a strength."""
        return max(self.halo) + (self.surround_radius if self.surround else 0)

    @property
    def settings(self) -> dict[str, object]:
        """Its arguments: two detectors with the same find the same."""
        return {"_target_": f"{type(self).__module__}.{type(self).__qualname__}", **self.arguments}

    def local(self) -> "EdgeDetector":
        """Itself without thresholds, which look at all pixels."""
        local = copy(self)
        local.thresholds, local.low, local.high = "absolute", None, None
        return local

    def thresholded(self, thin_B1HW: Tensor) -> Tensor:
        """What the thresholds leave of thinned strengths."""
        limits = self._limits
        if limits is None:
            return thin_B1HW
        kind, low, high = limits
        if kind == "absolute":  # numbers: a GPU isn't waited for
            assert low is not None and high is not None  # noqa: PT018
            return torch.where(hysteresis(thin_B1HW, low, high), thin_B1HW, 0)
        return torch.where(hysteresis(thin_B1HW, *thresholds(thin_B1HW, *limits)), thin_B1HW, 0)

    def _repr_png_(self) -> bytes:
        """In a notebook: its kernels, and the edges of a small picture."""
        from cnnlab.edges.figures import detector_png

        return detector_png(self, self._bank.kernels[:, 0].numpy(), self._bank.names)

    def forward(self, image_BCHW: Tensor) -> Edges:
        """Before thinning, of the image's dtype (float32 of uint8); strength in intensity per pixel."""
        return self._edges(self._in_strips(self._padded(accepted(image_BCHW))), image_BCHW.dtype)

    @torch.no_grad()
    def both(self, image_BCHW: Tensor) -> tuple[Edges, Tensor]:
        """What calling it and what `thinned` give, measured once."""
        image = accepted(image_BCHW)
        if self._is_plain and fusible(image, self.kernels):  # of which the thinned edges are the smaller part
            return self(image_BCHW), self.thinned(image_BCHW)
        fields = self._fields(self._padded(image))
        return self._edges(fields, image_BCHW.dtype), like(self._thinned(image, fields), image_BCHW)

    def _edges(self, fields: Fields, dtype: torch.dtype) -> Edges:
        strength, dy, dx = fields
        dtype = dtype if dtype.is_floating_point else strength.dtype
        return Edges(self._suppressed(strength).to(dtype), direction(dy, dx).to(dtype))

    def _suppressed(self, strength: Tensor) -> Tensor:
        return strength * suppression(strength, self.surround, self.surround_radius) if self.surround else strength

    def responses(self, image_BCHW: Tensor) -> Tensor:
        """(B, C, K, H, W): the response of each kernel to each channel (root and space applied).

        K runs over (dy, dx) of each scale, or over the kernels of an energy, vectors first.
        """
        padded = in_space(self._companded(self._padded(as_float(accepted(image_BCHW)))), self.space)
        padded = trimmed(padded, self.halo, self.kernels.halo)
        if isinstance(self.kernels, OrientedEnergy):
            return self.kernels.responses(padded)
        return torch.stack([field for pair in self.kernels.inside(padded) for field in pair], dim=2)

    @torch.no_grad()
    def thinned(self, image_BCHW: Tensor) -> Tensor:
        """(B, 1, H, W): the strength where it is largest along the normal, 0 elsewhere; then hysteresis, if asked for.

        Of two equal strengths the one at the brighter pixel stays (`thinning.py`); pixels are compared by their
        strength before the surround suppresses it.
        """
        image = accepted(image_BCHW)
        if self._is_plain and fusible(image, self.kernels):
            return like(self._thinned_fused(image), image_BCHW)
        return like(self._thinned(image, self._fields(self._padded(image))), image_BCHW)

    def _thinned_fused(self, image_B1HW: Tensor) -> Tensor:
        taps = small_taps(self.kernels)
        assert taps is not None
        found = walked(image_B1HW, self.border, taps, self._least)
        dtype = np.float64 if image_B1HW.dtype == torch.float64 else np.float32
        return spread(found, torch.from_numpy(np.zeros(image_B1HW.shape, dtype)), self._limits)

    def _thinned(self, image: Tensor, fields: Fields) -> Tensor:
        strength, dy, dx = fields
        tie = image if image.shape[1] == 1 else brightness(as_float(image))
        suppressed = self._suppressed(strength)
        if walkable(strength, dy, dx, tie):
            return thinned_by_places((strength, dy, dx), tie, suppressed, self._least, self._limits)
        return self.thresholded(torch.where(self._stays(strength, dy, dx, tie, self._least), suppressed, 0))

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
        if self.thresholds != "absolute" or self.low is None or self.surround:
            return 0.0
        return self.low

    def _fields(self, padded_BCHW: Tensor) -> Fields:
        """`_measured`, by the fastest way there is."""
        return self._in_strips(padded_BCHW) if self._fast is None else self._fast(padded_BCHW)

    def _in_strips(self, padded_BCHW: Tensor) -> Fields:
        strength, dy, dx = by_strips(self._measured, padded_BCHW, sum(self.halo))
        return strength, dy, dx

    def _padded(self, image_BCHW: Tensor) -> Tensor:
        before, behind = self.halo
        return pad(image_BCHW, before, behind, before, behind, self.border)

    def _companded(self, image_BCHW: Tensor) -> Tensor:
        return companded(image_BCHW) if self.root else image_BCHW

    def _measured(self, padded_BCHW: Tensor) -> Fields:
        """(strength, dy, dx), each (B, 1, H, W), of an image with `halo` more on each side."""
        padded = in_space(self._companded(as_float(padded_BCHW)), self.space)
        inner = trimmed(padded, self.halo, self.kernels.halo)
        if isinstance(self.kernels, OrientedEnergy):
            return self.kernels.inside(inner, self.colour)
        pairs = list(self.kernels.inside(inner))
        if self.scales == "mean":
            dy, dx = (sum(parts[1:], start=parts[0]) / len(parts) for parts in zip(*pairs, strict=True))
            return self._combined(dy, dx, padded)
        scales = [self._combined(dy, dx, padded) for dy, dx in pairs]
        if len(scales) == 1:
            return scales[0]
        strength_SB1HW, tiny = torch.stack([strength for strength, _, _ in scales]), torch.finfo(padded.dtype).tiny
        mean = strength_SB1HW.clamp_min(tiny).log().mean(0).exp()
        strength = torch.where((strength_SB1HW <= tiny).any(0), 0.0, mean)
        dy, dx = (sum(parts[1:], start=parts[0]) for parts in zip(*pairs, strict=True))
        return strength, *combined(dy, dx, self.colour)[1:]

    def _combined(self, dy: Tensor, dx: Tensor, padded: Tensor) -> Fields:
        if self.texture is None:
            return combined(dy, dx, self.colour)
        texture = self.texture.inside(trimmed(padded, self.halo, self.texture.halo))
        weight = self.texture_weight**2
        yy, xx, xy = (a + weight * b for a, b in zip(products(dy, dx), products(*texture), strict=True))
        return principal(yy, xx, xy)
