"""One image file -> one array, through Pillow. H height, W width, C channel (1 grey, 3 colour).

`decode` gives 8 bits, as networks are trained on; `decode_deep` keeps the 16 bits of a file that has them.
"""

import sys
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image, ImageFile, ImageOps, TiffImagePlugin, UnidentifiedImageError

from cnnlab._choices import UsageError

MOST_PIXELS = 2**29  # 32768 x 16384: a larger picture is refused before it is unpacked
_GREY = {"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N"}
_SEE_THROUGH = {"LA", "La", "PA", "RGBA", "RGBa"}
_SWAPPED = "B" if sys.byteorder == "little" else "L"
# Pillow's raw modes of 16 bits a channel, of which it keeps the high byte -> the one that keeps the low byte.
_OTHER_BYTE = {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBA")
    for order, other in (("B", "L"), ("L", "B"), ("N", _SWAPPED))
}
_LIMIT = Lock()
_STRIPE = 1 << 22  # values at once, where a temporary copy in floating point is needed


def decode(path: Path, size: tuple[int, int] | None = None, channels: int | None = None) -> np.ndarray:
    """Returns (H, W, C) uint8, turned upright as its EXIF orientation says.

    size (h, w): scaled, antialiased, until it covers h x w, then cropped around the centre; None: as it is.
    channels: 1 or 3 converts; None keeps grey grey and gives everything else in RGB. See-through pixels are
    laid over white, 16 bits become 8. Of several frames or pages, the first. Raises whatever Pillow raises on a broken
    file, and UsageError on a picture whose range is not known (floating point, or more than 16 bits) or that has more
    than MOST_PIXELS.
    """
    image = _eight_bit(_upright(path))
    if channels is not None:
        image = image.convert("L" if channels == 1 else "RGB")
    if size is not None and (image.height, image.width) != size:
        image = ImageOps.fit(image, (size[1], size[0]), method=Image.Resampling.BILINEAR)
    array = np.asarray(image)
    return array[:, :, None] if array.ndim == 2 else array


def decode_deep(path: Path) -> np.ndarray:
    """Returns (H, W, C), uint16 if the file has 16 bits and uint8 otherwise; white is the largest value of the dtype.

    Like `decode` in all else. 16 bits are kept from PNG, TIFF and PGM; other files in colour (PPM, JPEG 2000) come
    with the 8 bits that Pillow reads.
    """
    colour_HWC = _deep_colour(path)
    if colour_HWC is not None:
        return colour_HWC
    image = _upright(path)
    if image.mode.startswith("I"):
        return _sixteen_bits(image)[:, :, None]
    return _array(_eight_bit(image))


def _array(image: Image.Image) -> np.ndarray:
    """(H, W, C) uint8 of a picture L or RGB, some rows at a time: Pillow makes two copies of all that it hands over."""
    channels = len(image.getbands())
    pixels_HWC = np.empty((image.height, image.width, channels), np.uint8)
    rows = max(1, _STRIPE // max(image.width * channels, 1))
    for top in range(0, image.height, rows):
        part = np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))
        pixels_HWC[top : top + rows] = part.reshape(-1, image.width, channels)
    return pixels_HWC


def upright_size(path: Path) -> tuple[int, int]:
    """(height, width), turned as the EXIF orientation says, without the pixels. Raises whatever Pillow raises."""
    with opened(path) as image:
        size = image.height, image.width
        return size[::-1] if image.getexif().get(0x0112, 1) in (5, 6, 7, 8) else size


def reason(error: Exception, path: Path) -> str:
    """Why a file can't be read, in words."""
    if isinstance(error, UnidentifiedImageError):
        return "the file is empty" if path.stat().st_size == 0 else "not an image"
    if isinstance(error, MemoryError):
        return "too large for the memory of this machine"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def opened(path: Path) -> ImageFile.ImageFile:
    """The file, its pixels unread, to be closed. Raises whatever Pillow raises, but not for its size.

    Pillow's own limit (a warning from 89 million pixels on, an error from 179 on) is not ours, which is MOST_PIXELS.
    """
    with _LIMIT:  # it belongs to the process
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path)
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _upright(path: Path, raw_mode: str | None = None) -> Image.Image:
    """The picture in memory, whole, turned as its EXIF orientation says; raw_mode: read as if packed so."""
    with opened(path) as image:
        _check(image)
        if raw_mode is not None:
            image.tile = [tile._replace(args=_packed_as(raw_mode, tile.args)) for tile in image.tile]
        image.load()  # now, so that a truncated file fails here
        ImageOps.exif_transpose(image, in_place=True)  # else a picture that stands upright is copied
    return image


def _check(image: ImageFile.ImageFile) -> None:
    """Raises UsageError for a picture that would fill the memory, since a small file can unpack to anything, and for
    one of which Pillow would read the low bytes alone."""
    width, height = image.size
    if isinstance(image, TiffImagePlugin.TiffImageFile) and len(image.tile) > 1:
        bits, planes = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (8,)), image.tag_v2.get(284)
        if planes == 2 and max(bits) > 8 and image.tile[0].codec_name == "raw":
            raise UsageError("planar 16-bit TIFF is not read; save it with its channels pixel by pixel, or 8 bits")
    if width * height > MOST_PIXELS:
        million = f"{width * height / 1e6:.0f} million pixels, more than {MOST_PIXELS / 1e6:.0f} million"
        raise UsageError(f"{width} x {height} are {million}; cut it into parts")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Mode L for grey, RGB for everything else."""
    if image.mode == "F":
        raise UsageError("floating-point pixels have no fixed range; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        # 65535 = 255 * 257: white stays white.
        return Image.fromarray(((_sixteen_bits(image).astype(np.int64) + 128) // 257).astype(np.uint8))
    grey = image.mode in _GREY
    if image.mode in _SEE_THROUGH or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    mode = "L" if grey else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _sixteen_bits(image: Image.Image) -> np.ndarray:
    value_HW = np.asarray(image)
    if value_HW.size and (value_HW.min() < 0 or value_HW.max() > 65535):
        raise UsageError("pixels outside 0 .. 65535 have no fixed range; save it with 8 or 16 bits")
    return value_HW.astype(np.uint16)


def _deep_colour(path: Path) -> np.ndarray | None:
    """(H, W, C) uint16 of a PNG or TIFF of 16 bits in colour or with transparency; None for any other file.

    Pillow keeps one byte of two. Read as if the order of the bytes were the other one, it keeps the other.
    """
    with opened(path) as image:
        _check(image)
        raw = {_raw_mode(tile.args) for tile in image.tile}
    if raw == {"LA;16B"}:
        bytes_HW4 = np.asarray(_upright(path, "RGBA"))  # four bytes a pixel, as they stand in the file
        return _over_white(bytes_HW4.view(">u2"))
    if len(raw) != 1 or (kind := raw.pop()) not in _OTHER_BYTE:
        return None
    value_HWC = np.asarray(_upright(path)).astype(np.uint16) << 8
    value_HWC |= np.asarray(_upright(path, _OTHER_BYTE[kind]))
    return _over_white(value_HWC) if value_HWC.shape[2] == 4 else value_HWC


def _raw_mode(args: tuple[object, ...] | str | None) -> str:
    """How the pixels of a part of a file are packed, in Pillow's words."""
    return str(args[0]) if isinstance(args, tuple) and args else args if isinstance(args, str) else ""


def _packed_as(raw_mode: str, args: tuple[object, ...] | str | None) -> tuple[object, ...] | str:
    return (raw_mode, *args[1:]) if isinstance(args, tuple) else raw_mode


def _over_white(pixels_HWC: np.ndarray) -> np.ndarray:
    """uint16, the last channel opaqueness -> the others over white, a stripe at a time."""
    height, width, channels = pixels_HWC.shape
    over_HWC = np.empty((height, width, channels - 1), np.uint16)
    rows = max(1, _STRIPE // (width * channels))
    for top in range(0, height, rows):
        value_hWC = pixels_HWC[top : top + rows].astype(np.float32) / 65535
        opaque_hW1 = value_hWC[:, :, -1:]
        over_HWC[top : top + rows] = np.rint(65535 * (value_hWC[:, :, :-1] * opaque_hW1 + (1 - opaque_hW1)))
    return over_HWC
