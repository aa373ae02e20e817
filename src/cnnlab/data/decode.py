"""One image file -> one uint8 array, through Pillow. H height, W width, C channel (1 grey, 3 colour)."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

_GREY = {"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N"}
_SEE_THROUGH = {"LA", "La", "PA", "RGBA", "RGBa"}


def decode(path: Path, size: tuple[int, int] | None = None, channels: int | None = None) -> np.ndarray:
    """Returns (H, W, C) uint8, turned upright as its EXIF orientation says.

    size (h, w): scaled, antialiased, until it covers h x w, then cropped around the centre; None: as it is.
    channels: 1 or 3 converts; None keeps grey grey and gives everything else in RGB. See-through pixels are
    laid over white, 16 bits become 8. Raises whatever Pillow raises on a broken file, and ValueError on a
    picture whose range is not known (floating point, or more than 16 bits).
    """
    with Image.open(path) as opened:
        opened.load()  # now, so that a truncated file fails here
        image = _eight_bit(ImageOps.exif_transpose(opened))
    if channels is not None:
        image = image.convert("L" if channels == 1 else "RGB")
    if size is not None and (image.height, image.width) != size:
        image = ImageOps.fit(image, (size[1], size[0]), method=Image.Resampling.BILINEAR)
    array = np.asarray(image)
    return array[:, :, None] if array.ndim == 2 else array


def _eight_bit(image: Image.Image) -> Image.Image:
    """Mode L for grey, RGB for everything else."""
    if image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        return _from_sixteen_bits(np.asarray(image).astype(np.int64))
    grey = image.mode in _GREY
    if image.mode in _SEE_THROUGH or (image.mode == "P" and "transparency" in image.info):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if grey else "RGB")


def _from_sixteen_bits(value_HW: np.ndarray) -> Image.Image:
    if value_HW.size and (value_HW.min() < 0 or value_HW.max() > 65535):
        raise ValueError("pixels outside 0 .. 65535 have no fixed range; save it with 8 or 16 bits")
    # 65535 = 255 * 257: white stays white.
    return Image.fromarray(((value_HW + 128) // 257).astype(np.uint8))
