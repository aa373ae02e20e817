"""What a unit answers to: the patches that drive it most, and the image that gradient ascent makes for it.

B batch, C channel, H height, W width of images; K unit (a channel of the layer), T patches kept for each unit,
Y and X places on the layer's map. The module is left as it was: mode, gradients, hooks and the random state.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches

import torch
from torch import Tensor, nn


class _Reached(Exception):  # noqa: N818 - not an error: it ends the forward pass
    """The layer has answered."""


DRAWS = 32  # images of noise of which gradient ascent starts from the best
Box = tuple[int, int, int, int]  # top, left, bottom, right in pixels, bottom and right excluded


@dataclass(frozen=True)
class Patch:
    """One of the strongest answers of a unit. `image` counts through all batches; `patch_Chw` is the crop."""

    activation: float
    image: int
    label: int
    place: tuple[int, int]
    box: Box
    patch_Chw: Tensor


@dataclass(frozen=True)
class Maximised:
    """The image that gradient ascent found, (C, H, W), the unit's answer to it, and the answer after each step."""

    image_CHW: Tensor
    activation: float
    course: tuple[float, ...]


def top_activating(
    module: nn.Module,
    layer: str,
    batches: Iterable[tuple[Tensor, Tensor]],
    box_of: Callable[[tuple[int, int]], Box],
    count: int = 9,
    per_image: int = 1,
) -> list[list[Patch]]:
    """For each unit (channel) of `layer` the `count` strongest answers, strongest first, K lists.

    `batches` gives (images (B, C, H, W), labels (B,)), of one size; wrap it to see progress. `box_of((y, x))` is the
    part of the image that the unit at row y and column x of the map sees; it may reach beyond the image, where
    the crop is filled with zeros. An image gives each unit at most `per_image` patches, so that one texture doesn't
    take all places. An output (B, K) counts as a map of one place. ValueError for an unknown layer or no images.
    """
    kept: list[list[tuple]] = []
    seen = 0
    with _undisturbed(module), torch.no_grad(), _recorded(module, layer) as answers:
        for images_BCHW, labels_B in batches:
            _forward(module, images_BCHW.to(_device_of(module)))
            map_BKYX = _map_of(answers, layer)
            kept = kept or [[] for _ in range(map_BKYX.shape[1])]
            for unit, found in enumerate(kept):
                found += _strongest(map_BKYX[:, unit], images_BCHW, labels_B, seen, box_of, count, per_image)
                found.sort(key=lambda patch: -patch.activation)
                del found[count:]
            seen += len(images_BCHW)
    if not seen:
        raise ValueError("top_activating needs at least one batch of images, got none")
    return kept


def maximise_activation(
    module: nn.Module,
    layer: str,
    unit: int,
    shape: tuple[int, int, int],
    *,
    norm: float | None = None,
    steps: int = 256,
    rate: float = 0.05,
    smoothness: float = 0.0,
    jitter: int = 0,
    seed: int = 0,
) -> Maximised:
    """An image (C, H, W) = `shape` that drives `unit` (a channel of `layer`) as far as gradient ascent gets.

    Erhan, Bengio, Courville & Vincent 2009: what grows is the answer at the middle of the unit's map, minus
    `smoothness` times the total variation of the image (mean absolute difference of neighbours). Activations grow with
    contrast, so the image stays on the sphere of length `norm` about 0 (by default sqrt(CHW) / 4, a contrast of 1/4),
    which takes the place of a penalty on its square. Each of `steps` goes up to 2 `rate` times that length along the
    gradient, less by a cosine down to 0; `jitter` moves the image by up to so many pixels first. The best image on the
    way comes back. The start is the best of DRAWS images of noise, and where the gradient is zero (behind a ReLU that
    is closed) noise is drawn anew: a unit that all noise leaves silent stays so. ValueError for an unknown layer or
    unit.
    """
    generator = torch.Generator().manual_seed(seed)
    length = math.sqrt(math.prod(shape)) / 4 if norm is None else norm
    weight = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    course: list[float] = []
    best_gain = -math.inf

    def noise() -> Tensor:
        return _on_sphere(torch.randn(1, *shape, generator=generator), length).to(weight)

    def judged(image_1CHW: Tensor) -> tuple[Tensor, Tensor]:
        _forward(module, image_1CHW)
        answer = _middle(_map_of(answers, layer), layer, unit)
        return answer, answer - smoothness * _total_variation(image_1CHW)

    with _undisturbed(module), torch.enable_grad(), _recorded(module, layer) as answers:
        image_1CHW = max((noise() for _ in range(DRAWS)), key=lambda one: float(judged(one)[1]))
        for step in range(steps + 1):
            answer, gain = (float(one) for one in judged(image_1CHW))
            if not course or gain > best_gain:
                best, best_gain = Maximised(image_1CHW[0], answer, ()), gain
            course.append(answer)
            moved = torch.randint(-jitter, jitter + 1, (2,), generator=generator).tolist()
            pushed_1CHW = image_1CHW.roll(moved, (2, 3)).requires_grad_()
            (slope_1CHW,) = torch.autograd.grad(judged(pushed_1CHW)[1], pushed_1CHW)
            slope_1CHW = slope_1CHW.roll([-one for one in moved], (2, 3))
            pace = rate * length * (1 + math.cos(math.pi * step / steps))
            uphill_1CHW = _on_sphere(image_1CHW + pace * _unit(slope_1CHW), length)
            image_1CHW = uphill_1CHW if slope_1CHW.any() else noise()
    return replace(best, course=tuple(course))


def _middle(map_1KYX: Tensor, layer: str, unit: int) -> Tensor:
    """The unit's answer in the middle of its map."""
    units, rows, columns = map_1KYX.shape[1:]
    if type(unit) is not int or not 0 <= unit < units:
        raise ValueError(f"layer {layer!r} has no unit {unit!r}; valid: 0 to {units - 1}")
    return map_1KYX[0, unit, rows // 2, columns // 2]


def _strongest(
    map_BYX: Tensor, images_BCHW: Tensor, labels_B: Tensor, seen: int, box_of: Callable, count: int, per_image: int
) -> Iterator[Patch]:
    columns = map_BYX.shape[-1]
    values_BT, places_BT = map_BYX.flatten(1).topk(min(per_image, map_BYX[0].numel()), dim=1)
    order = values_BT.flatten().topk(min(count, values_BT.numel())).indices.tolist()
    for index in order:
        image, rank = divmod(index, values_BT.shape[1])
        place = divmod(int(places_BT[image, rank]), columns)
        box = box_of(place)
        crop_Chw = _crop(images_BCHW[image], box)
        yield Patch(float(values_BT[image, rank]), seen + image, int(labels_B[image]), place, box, crop_Chw)


def _crop(image_CHW: Tensor, box: Box) -> Tensor:
    """The box's pixels on the CPU, zeros beyond the image."""
    top, left, bottom, right = box
    crop_Chw = image_CHW.new_zeros(image_CHW.shape[0], bottom - top, right - left)
    rows, columns = image_CHW.shape[1:]
    up, down = max(top, 0), min(bottom, rows)
    west, east = max(left, 0), min(right, columns)
    if up < down and west < east:
        crop_Chw[:, up - top : down - top, west - left : east - left] = image_CHW[:, up:down, west:east]
    return crop_Chw.cpu()


def _total_variation(image_1CHW: Tensor) -> Tensor:
    return image_1CHW.diff(dim=2).abs().mean() + image_1CHW.diff(dim=3).abs().mean()


def _unit(slope: Tensor) -> Tensor:
    return slope / torch.linalg.vector_norm(slope).clamp_min(torch.finfo(slope.dtype).tiny)


def _on_sphere(image: Tensor, length: float) -> Tensor:
    return _unit(image) * length


def _forward(module: nn.Module, image_BCHW: Tensor) -> None:
    """Up to the recorded layer and no further: what lies behind it is most of the work."""
    with suppress(_Reached):
        module(image_BCHW)


def _map_of(answers: list, layer: str) -> Tensor:
    """(B, K, Y, X) of the layer's call, from (B, K) too; empties the list."""
    shape = tuple(getattr(answers[-1], "shape", ())) if answers else None
    if shape is None or len(shape) not in (2, 4):
        problem = "is not called in the forward pass" if shape is None else f"must answer (B, K, ...), got {shape}"
        raise ValueError(f"layer {layer!r} {problem}; valid: layers whose output is (B, K) or (B, K, Y, X)")
    answer = answers[-1]
    answers.clear()
    return answer if answer.ndim == 4 else answer[..., None, None]


def _device_of(module: nn.Module) -> torch.device:
    return next((parameter.device for parameter in module.parameters()), torch.device("cpu"))


@contextmanager
def _recorded(module: nn.Module, layer: str) -> Iterator[list[Tensor]]:
    """The output of the layer's first call, at which the forward pass ends."""
    layers = dict(module.named_modules())
    if layer not in layers:
        known = [name for name in layers if name]
        near = get_close_matches(layer, known, n=1)
        hint = f", did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"the module has no layer {layer!r}{hint} Known: {', '.join(known)}")
    answers: list = []

    def record(_module: nn.Module, _given: tuple, answer: object) -> None:
        if isinstance(answer, Mapping):  # several named results: the first is the one that the layer computes
            answer = next(iter(answer.values()))
        answers.append(answer)
        raise _Reached

    handle = layers[layer].register_forward_hook(record)
    try:
        yield answers
    finally:
        handle.remove()


@contextmanager
def _undisturbed(module: nn.Module) -> Iterator[None]:
    """In evaluation mode, weights without gradients; everything as before afterwards, the random state too."""
    modes = {one: one.training for one in module.modules()}
    wanted = {parameter: parameter.requires_grad for parameter in module.parameters()}
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=list(devices)):
        try:
            module.eval()
            for parameter in wanted:
                parameter.requires_grad_(False)
            yield
        finally:
            for one, training in modes.items():
                one.training = training
            for parameter, before in wanted.items():
                parameter.requires_grad_(before)
