"""What files and pens do to images. B batch, C channel, H height, W width; small letters are sides after shrinking."""

import io
import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cnnlab.data.corruptions.draws import Draws


def pixelate(image_BCHW: Tensor, parameters: tuple[float], pixel: float, draws: Draws) -> Tensor:
    """Shrunk to a share of its sides and enlarged again, both with Pillow's box filter."""
    height, width = image_BCHW.shape[-2:]
    rows, columns = (max(1, int(side * parameters[0])) for side in (height, width))
    down_hH, down_wW = _box(height, rows).to(image_BCHW), _box(width, columns).to(image_BCHW)
    up_Hh, up_Ww = _box(rows, height).to(image_BCHW), _box(columns, width).to(image_BCHW)
    return up_Hh @ (down_hH @ image_BCHW @ down_wW.T) @ up_Ww.T


def _box(before: int, after: int) -> Tensor:
    """(after, before) float64: each new pixel is the mean of the old ones whose middle it covers."""
    ratio = before / after
    middle_a1 = (torch.arange(after, dtype=torch.float64)[:, None] + 0.5) * ratio
    place_1b = torch.arange(before, dtype=torch.float64)[None, :] + 0.5
    offset_ab = (place_1b - middle_a1) / max(ratio, 1.0)
    covered_ab = ((offset_ab > -0.5) & (offset_ab <= 0.5)).double()
    return covered_ab / covered_ab.sum(1, keepdim=True)


def jpeg(image_BCHW: Tensor, parameters: tuple[int], pixel: float, draws: Draws) -> Tensor:
    """Written as JPEG of the quality given, and read again. Channels other than 1 or 3 are written one by one."""
    bytes_BCHW = (image_BCHW.clamp(0, 1) * 255).round().to("cpu", torch.uint8)
    channels = image_BCHW.shape[1]
    parts = bytes_BCHW if channels in (1, 3) else bytes_BCHW.flatten(0, 1).unsqueeze(1)
    read = [_written_and_read(part_CHW, parameters[0]) for part_CHW in parts]
    return torch.stack(read).reshape(image_BCHW.shape).to(image_BCHW) / 255


def _written_and_read(image_CHW: Tensor, quality: int) -> Tensor:
    array_HWC = image_CHW.permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(array_HWC if len(image_CHW) == 3 else array_HWC[..., 0]).save(file, "JPEG", quality=quality)
    read = torch.from_numpy(np.array(Image.open(file)))
    return read.permute(2, 0, 1) if len(image_CHW) == 3 else read[None]


def quantize(image_BCHW: Tensor, parameters: tuple[int], pixel: float, draws: Draws) -> Tensor:
    """Rounded to so many bits."""
    steps = 2 ** parameters[0] - 1
    return (image_BCHW * steps).round() / steps


def stripe(image_BCHW: Tensor, parameters: tuple[float], pixel: float, draws: Draws) -> Tensor:
    """Inverted in a band at the left and one at the right, each a share of the width."""
    width = image_BCHW.shape[-1]
    left_W = torch.arange(width, dtype=torch.float64)
    band = parameters[0] * width
    covered_W = (band - left_W).clamp(0, 1) + (band - (width - 1 - left_W)).clamp(0, 1)
    covered_W = covered_W.clamp(max=1).to(image_BCHW)
    return image_BCHW * (1 - covered_W) + (1 - image_BCHW) * covered_W


def dotted_line(image_BCHW: Tensor, parameters: tuple[int], pixel: float, draws: Draws) -> Tensor:
    """So many bright dotted lines from the left border to the right one."""
    return _marked(image_BCHW, parameters[0], pixel, draws, zigzag=False)


def zigzag(image_BCHW: Tensor, parameters: tuple[int], pixel: float, draws: Draws) -> Tensor:
    """So many bright zigzag lines, nearly level."""
    return _marked(image_BCHW, parameters[0], pixel, draws, zigzag=True)


def _marked(image_BCHW: Tensor, count: int, pixel: float, draws: Draws, zigzag: bool) -> Tensor:
    """Plus lines as bright as 1 + log(1 - d / 2.3) at the vertical distance d, in pixels of 28 by 28."""
    height, width = image_BCHW.shape[-2:]
    pixel = max(pixel, 0.5)  # thinner lines would fall between the pixels
    column_W = torch.arange(width, dtype=image_BCHW.dtype, device=image_BCHW.device)
    row_H1 = torch.arange(height, dtype=image_BCHW.dtype, device=image_BCHW.device)[:, None]
    for _ in range(count):
        start_B, end_B = draws.uniform(0, height - 1, 2).unbind(1)
        if zigzag:
            end_B = start_B + (end_B - (height - 1) / 2) * (10 / 27)
        place_BW = start_B[:, None] + (end_B - start_B)[:, None] * column_W / max(width - 1, 1)
        if zigzag:
            phase_W = (column_W / (8 * pixel)) % 1
            place_BW = place_BW + 2 * pixel * (1 - 4 * (phase_W - 0.5).abs())
            shown_W = (column_W >= 2 / 28 * width) & (column_W < 25 / 28 * width)
        else:
            shown_W = (column_W / (2 * pixel)).floor() % 2 == 1
        away_BHW = (row_H1 - place_BW[:, None, :]).abs() / pixel
        bright_BHW = (1 + torch.log((1 - away_BHW / 2.3).clamp(min=math.exp(-1)))).clamp(0, 1) * shown_W
        image_BCHW = (image_BCHW + bright_BHW[:, None]).clamp(0, 1)
    return image_BCHW
