"""What `detect_folder` and the benchmark ask of an edge detector, and a check of it. B batch, C channel, H W image."""

import json
from abc import abstractmethod
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from cnnlab._choices import UsageError

SHAPES = ((2, 3, 33, 46), (1, 1, 1, 1), (1, 3, 1, 9), (2, 1, 12, 7))  # (B, C, H, W) that are tried
ROUNDING = 1e-4  # of the full scale
FARTHEST = 512  # pixels: a longer reach isn't tried


class Edges(NamedTuple):
    """strength (B, 1, H, W) >= 0; orientation (B, 1, H, W) of the normal, radians in [0, pi), from +x towards +y."""

    strength: Tensor
    orientation: Tensor


class Detector(Protocol):
    """Edges of images: any class with these members, such as a `torch.nn.Module`; a subclass of this one gets defaults.

    Images are (B, C, H, W) of one channel or three (red, green, blue) and of any size from 1 x 1 on: float in [0, 1],
    or uint8, which means the same divided by 255. Results are on the device of the image, in its dtype where that is
    floating point, else float32. An image's edges don't depend on the others of the batch.

    >>> class Differences(Detector):
    ...     full_scale, reach = 1.0, 1
    ...     def __call__(self, image_BCHW: Tensor) -> Edges:
    ...         image = image_BCHW / 255 if image_BCHW.dtype == torch.uint8 else image_BCHW
    ...         strength = torch.nn.functional.pad(image.mean(1, keepdim=True).diff(dim=3).abs(), (1, 0))
    ...         return Edges(strength, torch.zeros_like(strength))
    ...     def thinned(self, image_BCHW: Tensor) -> Tensor:
    ...         return self(image_BCHW).strength
    >>> validate_detector(Differences())
    """

    @property
    @abstractmethod
    def full_scale(self) -> float:
        """The strength, above 0, that is white on maps and 1 in the benchmark."""

    @property
    @abstractmethod
    def reach(self) -> int:
        """How many pixels away a pixel still matters to a strength: large photographs are worked on in tiles."""

    @abstractmethod
    def __call__(self, image_BCHW: Tensor, /) -> Edges:
        """Strength and orientation of every pixel."""

    @abstractmethod
    def thinned(self, image_BCHW: Tensor, /) -> Tensor:
        """(B, 1, H, W): the strength on lines one pixel wide, 0 elsewhere."""

    def both(self, image_BCHW: Tensor, /) -> tuple[Edges, Tensor]:
        """What calling it and what `thinned` give, measured once where it can be."""
        return self(image_BCHW), self.thinned(image_BCHW)

    def local(self) -> "Detector":
        """Itself without thresholds that look at all pixels, for tiles."""
        return self

    def thresholded(self, thin_B1HW: Tensor, /) -> Tensor:
        """What these thresholds leave of a map that `local().thinned` gave."""
        return thin_B1HW

    @property
    def settings(self) -> Mapping[str, object]:
        """What its numbers follow from besides weights, in plain types: two detectors with the same find the same."""
        return {"_target_": f"{type(self).__module__}.{type(self).__qualname__}"}


@torch.no_grad()
def validate_detector(detector: Detector) -> None:
    """Raises UsageError at the first law of `Detector` that does not hold, with the image that shows it.

    >>> from cnnlab.edges.detector import EdgeDetector
    >>> validate_detector(EdgeDetector())
    """
    name = type(detector).__name__
    limit = ROUNDING * _check_facts(name, detector)
    before = _state(detector)
    device = next((tensor.device for tensor in before.values()), torch.device("cpu"))
    for shape in SHAPES:
        image = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(device)
        _check_edges(f"{name}: an image {shape} float32", detector, image, limit)
        _check_same(f"{name}: an image {shape} float32", detector, image, limit)
    reach = int(detector.reach)
    if reach <= FARTHEST:
        plain = torch.full((1, 3, 8, reach + 24), 0.5, device=device)
        off = (detector(plain).strength - detector(torch.cat([plain[..., :8] ** 4, plain[..., 8:]], -1)).strength).abs()
        if bool((off[..., 8 + reach :] > limit).any()):
            raise UsageError(f"{name}: its reach is {reach}, but pixels farther away change a strength")
    for key, value in _state(detector).items():
        if not torch.equal(value, before[key]):
            raise UsageError(f"{name}: detecting changes its {key}; in evaluation mode nothing learns: detector.eval()")


def _state(detector: Detector) -> dict[str, Tensor]:
    state = detector.state_dict() if isinstance(detector, nn.Module) else {}
    return {key: value.detach().clone() for key, value in state.items()}


def _check_facts(name: str, detector: Detector) -> float:
    """Returns the full scale."""
    for member in ("full_scale", "reach", "__call__", "thinned", "both", "local", "thresholded", "settings"):
        if getattr(detector, member, None) is None:
            raise UsageError(f"{name} has no {member}; a detector has it, or is a subclass of cnnlab.Detector")
    scale, reach = float(detector.full_scale), detector.reach
    if not 0 < scale < float("inf"):
        raise UsageError(f"{name}: full_scale is a strength above 0, such as 1.0; got {scale!r}")
    if int(reach) != reach or reach < 0:
        raise UsageError(f"{name}: reach is a number of pixels, such as 3; got {reach!r}")
    try:
        json.dumps(dict(detector.settings))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name}: settings are plain types by name, such as {{'sigma': 2.0}}: {error}") from error
    return scale


def _check_edges(example: str, detector: Detector, image_BCHW: Tensor, limit: float) -> None:
    """Shapes, ranges, and thinned maps that are the strength or 0."""
    kept = image_BCHW.clone()
    edges = detector(image_BCHW)
    if not isinstance(edges, tuple) or len(edges) != 2:
        raise UsageError(f"{example} gives {type(edges).__name__}; a detector gives Edges(strength, orientation)")
    thin, wanted = detector.thinned(image_BCHW), (len(image_BCHW), 1, *image_BCHW.shape[2:])
    if not torch.equal(image_BCHW, kept):
        raise UsageError(f"{example} is changed by it; a detector works on a copy, as image.clone()")
    for field, part in (("strength", edges[0]), ("orientation", edges[1]), ("thinned", thin)):
        if tuple(part.shape) != wanted or part.dtype != image_BCHW.dtype:
            raise UsageError(f"{example} has a {field} {tuple(part.shape)} {part.dtype}; expected {wanted} float32")
        most = torch.pi if field == "orientation" else torch.inf
        if not bool(((part >= 0) & (part < most)).all()):  # NaN is neither
            raise UsageError(f"{example} has a {field} outside [0, {most:g}): {part.min():g} to {part.max():g}")
    if bool(((thin - edges[0]).abs() > limit).logical_and(thin != 0).any()):
        raise UsageError(f"{example} is thinned to other values than 0 and its strength")


def _check_same(example: str, detector: Detector, image_BCHW: Tensor, limit: float) -> None:
    """Results that must agree: again, one by one, as uint8, by `both`, and thresholded at the end."""
    eight, whole = (image_BCHW * 255).round().to(torch.uint8), detector(image_BCHW).strength
    edges, thin = detector.both(image_BCHW)
    for words, one, other in (
        ("twice has two results; no dropout, no noise: detector.eval()", detector(image_BCHW).strength, whole),
        ("has other edges in a batch than alone", torch.cat([detector(one[None])[0] for one in image_BCHW]), whole),
        ("has other edges as uint8; divide by 255", detector(eight).strength, detector(eight.float() / 255).strength),
        ("has other strengths by both(image) than by detector(image)", edges.strength, whole),
        ("has another map by both(image) than by thinned(image)", thin, detector.thinned(image_BCHW)),
        ("has another map by thresholded", detector.thresholded(detector.local().thinned(image_BCHW)), thin),
    ):
        if one.shape != other.shape or bool(((one - other).abs() > limit).any()):
            raise UsageError(f"{example} {words}")
