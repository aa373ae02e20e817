"""What detectors take: images (B, C, H, W), float in [0, 1] or uint8."""

import torch
from torch import Tensor

from cnnlab._choices import UsageError


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
