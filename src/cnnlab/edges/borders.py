"""Images that detectors take, float in [0, 1] or uint8, and what lies beyond their border. H by W image."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab._choices import UsageError

BORDERS = ("reflect", "replicate", "zeros", "circular")
_MODES = {"reflect": "reflect", "replicate": "replicate", "zeros": "constant", "circular": "circular"}


def pad(image_BCHW: Tensor, top: int, bottom: int, left: int, right: int, border: str) -> Tensor:
    """The image with so many more rows and columns on each side.

    `reflect` mirrors about the middle of the outermost pixel (OpenCV's BORDER_REFLECT_101, numpy's "reflect",
    scipy's "mirror"), `replicate` repeats that pixel, `zeros` is 0, `circular` starts again from the other side.
    An image that is smaller than its border is mirrored or repeated as often as it takes (numpy's and scipy's
    rule; of a single pixel, mirroring makes copies).
    """
    height, width = image_BCHW.shape[-2:]
    if image_BCHW.dtype == torch.uint8 and border != "zeros":
        return _framed(image_BCHW, top, bottom, left, right, border)
    spare = {"reflect": 1, "circular": 0}.get(border)
    if spare is None or (max(top, bottom) + spare <= height and max(left, right) + spare <= width):
        return F.pad(image_BCHW, (left, right, top, bottom), mode=_MODES[border])
    rows = _inside(torch.arange(-top, height + bottom, device=image_BCHW.device), height, border)
    columns = _inside(torch.arange(-left, width + right, device=image_BCHW.device), width, border)
    return image_BCHW.index_select(-2, rows).index_select(-1, columns)


def _framed(image_BCHW: Tensor, top: int, bottom: int, left: int, right: int, border: str) -> Tensor:
    """The same of an image of integers, which torch cannot mirror: its columns first, then whole rows."""
    height, width = image_BCHW.shape[-2:]
    framed = image_BCHW.new_empty(*image_BCHW.shape[:-2], top + height + bottom, left + width + right)
    middle = framed[..., top : top + height, :]
    middle[..., left : left + width] = image_BCHW
    for target, size, start, dim in ((middle, width, left, -1), (framed, height, top, -2)):
        places = torch.arange(target.shape[dim], device=image_BCHW.device)
        beyond = places[(places < start) | (places >= start + size)]
        inside = _inside(beyond - start, size, border) + start
        target.index_copy_(dim, beyond, target.index_select(dim, inside))
    return framed


def sources(size: int, before: int, behind: int, border: str) -> Tensor:
    """(before + size + behind,) int64: which pixel of a line of `size` stands at each place; -1 where 0 does."""
    places = torch.arange(-before, size + behind)
    if border == "zeros":
        return torch.where((places >= 0) & (places < size), places, -1)
    return _inside(places, size, border)


def _inside(places: Tensor, size: int, border: str) -> Tensor:
    """Which pixel of a line of `size` stands at each place beyond it."""
    if border == "circular":
        return places % size
    if border == "replicate":
        return places.clamp(0, size - 1)
    around = places % max(2 * size - 2, 1)
    return torch.minimum(around, 2 * size - 2 - around) if size > 1 else torch.zeros_like(places)


def trimmed(padded_BCHW: Tensor, has: tuple[int, int], needs: tuple[int, int]) -> Tensor:
    """Without the pixels of border that are more than it needs."""
    before, behind = has[0] - needs[0], has[1] - needs[1]
    height, width = padded_BCHW.shape[-2:]
    return padded_BCHW[..., before : height - behind, before : width - behind]


def accepted(image_BCHW: Tensor) -> Tensor:
    """The image, uint8 or in the dtype to compute in; UsageError unless (B, C, H, W), not empty, float or uint8."""
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


def like(field_B1HW: Tensor, image_BCHW: Tensor) -> Tensor:
    """In the dtype of an image in floating point."""
    return field_B1HW.to(image_BCHW.dtype) if image_BCHW.is_floating_point() else field_B1HW
