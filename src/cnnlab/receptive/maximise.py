"""The images that gradient ascent makes for the units of a layer.

U units in question, N images, C channel, H height, W width of images; K unit (a channel of the layer), Y and X places
on the layer's map. The module is left as it was: mode, gradients, hooks and the random state.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.receptive.responses import response_map, undisturbed

DRAWS = 32  # images of noise of which gradient ascent starts from the best


@dataclass(frozen=True)
class Maximised:
    """The image that gradient ascent found, (C, H, W), the unit's response to it, and that after each step."""

    image_CHW: Tensor
    activation: float
    course: tuple[float, ...]


def maximise_activations(
    module: nn.Module,
    layer: str,
    units: Sequence[int],
    shape: tuple[int, int, int],
    *,
    norm: float | None = None,
    steps: int = 256,
    rate: float = 0.05,
    smoothness: float = 0.0,
    jitter: int = 0,
    seed: int = 0,
    watch: Callable[[range], Iterable[int]] = iter,
) -> list[Maximised]:
    """For each of `units` (channels of `layer`) an image (C, H, W) = `shape` that drives it as far as gradient ascent
    gets. All of them take a step at once, each as if it were alone.

    Erhan, Bengio, Courville & Vincent 2009: what grows is the response at the middle of the unit's map, minus
    `smoothness` times the total variation of the image (mean absolute difference of neighbours). Activations grow with
    contrast, so the image stays on the sphere of length `norm` about 0 (by default sqrt(CHW) / 4, a contrast of 1/4),
    which takes the place of a penalty on its square. Each of `steps` goes up to 2 `rate` times that length along the
    gradient, less by a cosine down to 0; `jitter` moves the image by up to so many pixels first. The best image on the
    way comes back. The start is the best of DRAWS images of noise, and where the gradient is zero (before a ReLU that
    is closed) noise is drawn anew: a unit that all noise leaves silent stays so. `watch` wraps the steps, so that
    progress can be shown. ValueError for an unknown layer or unit.
    """
    length = math.sqrt(math.prod(shape)) / 4 if norm is None else norm
    noise = [_Noise(module, shape, length, seed) for _ in units]  # each unit's own, so that its course is its own
    courses: list[Tensor] = []
    with undisturbed(module), torch.enable_grad():

        def judged(image_NCHW: Tensor) -> tuple[Tensor, Tensor]:
            """(N, U) each: the responses of all units to each image, and what is to grow."""
            response_NU = _middles(response_map(module, layer, image_NCHW), layer, units)
            rough_N = _total_variation(image_NCHW) if smoothness else image_NCHW.new_zeros(len(image_NCHW))
            return response_NU, response_NU - smoothness * rough_N.unsqueeze(1)

        image_UCHW = _starts(noise, judged)
        best_UCHW, best_response_U = image_UCHW, torch.zeros_like(image_UCHW[:, 0, 0, 0])
        best_gain_U = torch.full_like(best_response_U, -math.inf)
        for step in watch(range(steps + 1)):
            moves = [one.move(jitter) for one in noise]
            pushed_UCHW = _rolled(image_UCHW, moves).requires_grad_()
            response_U, gain_U = (one_UU.diagonal() for one_UU in judged(pushed_UCHW))
            (slope_UCHW,) = torch.autograd.grad(gain_U.sum(), pushed_UCHW)
            if jitter:  # the image itself was not judged yet
                with torch.no_grad():
                    response_U, gain_U = (one_UU.diagonal() for one_UU in judged(image_UCHW))
            response_U, gain_U = response_U.detach(), gain_U.detach()
            courses.append(response_U)
            better_U = gain_U > best_gain_U
            best_UCHW = torch.where(better_U[:, None, None, None], image_UCHW, best_UCHW)
            best_response_U = torch.where(better_U, response_U, best_response_U)
            best_gain_U = torch.where(better_U, gain_U, best_gain_U)
            pace = rate * length * (1 + math.cos(math.pi * step / max(steps, 1)))
            slope_UCHW = _rolled(slope_UCHW, [(-down, -right) for down, right in moves])
            image_UCHW = _on_sphere(image_UCHW + pace * _on_sphere(slope_UCHW, 1.0), length)
            for lost in (~slope_UCHW.flatten(1).any(1)).nonzero()[:, 0].tolist():
                image_UCHW[lost] = noise[lost].image()[0]
    rows = zip(best_UCHW, best_response_U.tolist(), torch.stack(courses, dim=1).tolist(), strict=True)
    return [Maximised(image_CHW, response, tuple(course)) for image_CHW, response, course in rows]


class _Noise:
    """Random images and moves of one unit, the same for the same seed."""

    def __init__(self, module: nn.Module, shape: tuple[int, int, int], length: float, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.shape, self.length = shape, length
        self.like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))

    def image(self) -> Tensor:
        """(1, C, H, W) on the sphere."""
        return _on_sphere(torch.randn(1, *self.shape, generator=self.generator), self.length).to(self.like)

    def move(self, jitter: int) -> tuple[int, int]:
        down, right = torch.randint(-jitter, jitter + 1, (2,), generator=self.generator).tolist()
        return down, right


@torch.no_grad()
def _starts(noise: Sequence[_Noise], judged: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    """(U, C, H, W): of the first DRAWS images, which all units have in common, the one each grows most for."""
    drawn_NCHW = torch.cat([noise[0].image() for _ in range(DRAWS)])
    for other in noise[1:]:
        other.generator.set_state(noise[0].generator.get_state())
    gain_NU = torch.cat([judged(part_NCHW)[1] for part_NCHW in drawn_NCHW.split(max(len(noise), 4))])
    return drawn_NCHW[gain_NU.argmax(0)]


def _middles(map_NKYX: Tensor, layer: str, units: Sequence[int]) -> Tensor:
    """(N, U): the responses of the units in the middle of their maps."""
    count, rows, columns = map_NKYX.shape[1:]
    for unit in units:
        if type(unit) is not int or not 0 <= unit < count:
            raise UsageError(f"layer {layer!r} has no unit {unit!r}; valid: 0 to {count - 1}")
    return map_NKYX[:, list(units), rows // 2, columns // 2]


def _total_variation(image_NCHW: Tensor) -> Tensor:
    down_NCHW, right_NCHW = image_NCHW.diff(dim=2), image_NCHW.diff(dim=3)
    return down_NCHW.abs().mean((1, 2, 3)) + right_NCHW.abs().mean((1, 2, 3))


def _rolled(image_UCHW: Tensor, moves: Sequence[tuple[int, int]]) -> Tensor:
    if not any(map(any, moves)):
        return image_UCHW.clone()
    return torch.stack([image_CHW.roll(move, (1, 2)) for image_CHW, move in zip(image_UCHW, moves, strict=True)])


def _on_sphere(image_NCHW: Tensor, length: float) -> Tensor:
    """Each image scaled to that norm; an image of zeros stays one."""
    norm_N = torch.linalg.vector_norm(image_NCHW, dim=(1, 2, 3), keepdim=True)
    return image_NCHW * (length / norm_N.clamp_min(torch.finfo(image_NCHW.dtype).tiny))
