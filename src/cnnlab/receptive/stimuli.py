"""What a unit responds to: the patches of images that drive it most.

B batch, C channel, H height, W width of images; K unit (a channel of the layer), T patches kept for each unit,
Y and X places on the layer's map. The module is left as it was: mode, gradients, hooks and the random state.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.receptive.responses import device_of, response_map, undisturbed

Box = tuple[int, int, int, int]  # top, left, bottom, right in pixels, bottom and right excluded


@dataclass(frozen=True)
class Patch:
    """One of the strongest responses of a unit. `image` counts through all batches; `patch_Chw` is the crop."""

    activation: float
    image: int
    label: int
    place: tuple[int, int]
    box: Box
    patch_Chw: Tensor


def top_activating(
    module: nn.Module,
    layer: str,
    batches: Iterable[tuple[Tensor, Tensor]],
    box_of: Callable[[tuple[int, int]], Box],
    count: int = 9,
    per_image: int = 1,
    units: Sequence[int] | None = None,
) -> list[list[Patch]]:
    """For each unit (channel) of `layer`, or each of `units`, the `count` strongest responses, strongest first.

    `batches` gives (images (B, C, H, W), labels (B,)), of one size; wrap it to see progress. `box_of((y, x))` is the
    part of the image that the unit at row y and column x of the map sees; it may reach beyond the image, where
    the crop is filled with zeros. An image gives each unit at most `per_image` patches, so that one texture doesn't
    take all places. An output (B, K) counts as a map of one place. ValueError for an unknown layer or no images.
    """
    kept: list[list[Patch]] = []
    seen = 0
    with undisturbed(module), torch.no_grad():
        for images_BCHW, labels_B in batches:
            map_BKYX = response_map(module, layer, images_BCHW.to(device_of(module)))
            wanted = range(map_BKYX.shape[1]) if units is None else units
            kept = kept or [[] for _ in wanted]
            for unit, patches in zip(wanted, kept, strict=True):
                patches += _strongest(map_BKYX[:, unit], images_BCHW, labels_B, seen, box_of, count, per_image)
                patches.sort(key=lambda patch: -patch.activation)
                del patches[count:]
            seen += len(images_BCHW)
    if not seen:
        raise UsageError("top_activating needs at least one batch of images, got none")
    return kept


def _strongest(
    map_BYX: Tensor,
    images_BCHW: Tensor,
    labels_B: Tensor,
    seen: int,
    box_of: Callable[[tuple[int, int]], Box],
    count: int,
    per_image: int,
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
