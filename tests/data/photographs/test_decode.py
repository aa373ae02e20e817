"""Files of every kind come out as upright 8-bit grey or RGB. H height, W width, C channel."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from cnnlab._choices import UsageError
from cnnlab.data.photographs.decode import MOST_PIXELS, decode, decode_deep, upright_size

Writer = Callable[..., np.ndarray]


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_lossless_file_comes_back_exactly(tmp_path: Path, write_image: Writer, mode: str) -> None:
    array = write_image(tmp_path / "a.png", mode=mode)
    np.testing.assert_array_equal(decode(tmp_path / "a.png").squeeze(), array)
    assert decode(tmp_path / "a.png").shape == (10, 12, len(mode))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_picture_upright(tmp_path: Path, orientation: int) -> None:
    stored_HW = np.arange(6, dtype=np.uint8).reshape(2, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a.png", Image.fromarray(stored_HW), exif=exif)
    # EXIF 2.32, tag 274: where row 0 and column 0 of the stored picture are shown.
    upright = [
        stored_HW,
        np.fliplr(stored_HW),
        np.rot90(stored_HW, 2),
        np.flipud(stored_HW),
        stored_HW.T,
        np.rot90(stored_HW, -1),
        np.rot90(stored_HW, 2).T,
        np.rot90(stored_HW, 1),
    ][orientation - 1]
    np.testing.assert_array_equal(decode(path)[:, :, 0], upright)


def test_sixteen_bits_are_scaled_to_eight_from_black_to_white(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(np.array([[0, 257, 32896, 65535]], dtype=np.uint16)))
    assert decode(path)[:, :, 0].tolist() == [[0, 1, 128, 255]]


def test_see_through_pixels_show_white(tmp_path: Path) -> None:
    colour = Image.fromarray(np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], dtype=np.uint8))
    grey = Image.frombytes("LA", (2, 1), bytes([10, 255, 10, 0]))
    assert decode(saved(tmp_path / "a.png", colour)).tolist() == [[[10, 20, 30], [255, 255, 255]]]
    assert decode(saved(tmp_path / "b.png", grey)).tolist() == [[[10], [255]]]


def test_a_palette_gives_its_colours(tmp_path: Path) -> None:
    image = Image.frombytes("P", (2, 1), bytes([0, 1]))
    image.putpalette([255, 0, 0, 0, 0, 255])
    assert decode(saved(tmp_path / "a.png", image)).tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert decode(saved(tmp_path / "b.png", image, transparency=0)).tolist() == [[[255] * 3, [0, 0, 255]]]


def test_print_colours_become_rgb_and_black_and_white_becomes_grey(tmp_path: Path) -> None:
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    red_HWC = decode(saved(tmp_path / "a.jpg", cmyk, quality=100))
    assert np.abs(red_HWC.astype(int) - [255, 0, 0]).max() < 8
    assert decode(saved(tmp_path / "b.png", Image.new("1", (2, 1), 1))).tolist() == [[[255], [255]]]


def test_floating_point_and_out_of_range_pixels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="floating-point"):
        decode(saved(tmp_path / "a.tif", Image.new("F", (2, 2))))
    with pytest.raises(ValueError, match=r"outside 0 \.\. 65535"):
        decode(saved(tmp_path / "b.tif", Image.new("I", (2, 2), 70000)))


def test_channels_convert_both_ways(tmp_path: Path, write_image: Writer) -> None:
    grey_HW = write_image(tmp_path / "grey.png", mode="L")
    colour_HWC = decode(tmp_path / "grey.png", channels=3)
    assert all(np.array_equal(colour_HWC[:, :, c], grey_HW) for c in range(3))
    write_image(tmp_path / "colour.png")
    assert decode(tmp_path / "colour.png", channels=1).shape == (10, 12, 1)


@pytest.mark.parametrize("size", [(10, 12), (5, 6), (4, 4), (7, 20), (30, 2)])
def test_every_size_is_met(tmp_path: Path, write_image: Writer, size: tuple[int, int]) -> None:
    write_image(tmp_path / "a.png")
    assert decode(tmp_path / "a.png", size).shape == (*size, 3)


def test_resizing_covers_and_crops_around_the_centre_without_stretching(tmp_path: Path) -> None:
    stripes_HW = np.repeat(np.array([0, 100, 200], dtype=np.uint8), 10)[None].repeat(10, 0)
    path = saved(tmp_path / "a.png", Image.fromarray(stripes_HW))
    np.testing.assert_array_equal(decode(path, (10, 10)), np.full((10, 10, 1), 100))
    np.testing.assert_array_equal(decode(path, (5, 5))[:, 1:-1], np.full((5, 3, 1), 100))


def test_scaling_down_averages(tmp_path: Path) -> None:
    checks_HW = (np.indices((32, 32)).sum(0) % 2 * 255).astype(np.uint8)
    small_HWC = decode(saved(tmp_path / "a.png", Image.fromarray(checks_HW)), (8, 8)).astype(int)
    assert np.abs(small_HWC[1:-1, 1:-1] - 127.5).max() < 8


COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # of PNG, by channels


def deep_png(path: Path, value_HWC: np.ndarray, more: bytes = b"") -> Path:
    """A PNG of 16 bits, written from the specification: Pillow writes 16 bits in grey only."""
    height, width, channels = value_HWC.shape
    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in value_HWC)
    parts = chunk(b"IHDR", header) + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    return path


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def deep(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 65536, shape, dtype=np.uint16)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bits_of_grey_are_kept_where_asked_for(tmp_path: Path, suffix: str) -> None:
    value_HW = deep(6, 7)
    value_HW[0, :3] = 1, 2, 65535  # 1 and 2 are the same in 8 bits
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(value_HW).save(path)
    found = decode_deep(path)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found[:, :, 0], value_HW)
    assert len(np.unique(found)) > len(np.unique(decode(path)))


def test_sixteen_bits_of_colour_are_kept_where_asked_for(tmp_path: Path) -> None:
    value_HWC = deep(6, 7, 3)
    path = deep_png(tmp_path / "a.png", value_HWC)
    np.testing.assert_array_equal(decode_deep(path), value_HWC)
    assert np.abs(decode(path) - value_HWC / 257).max() < 1


@pytest.mark.parametrize("compression", [1, 5, 8, 32773])
def test_sixteen_bits_of_colour_tiff_are_kept(tmp_path: Path, compression: int) -> None:
    cv2 = pytest.importorskip("cv2", reason="writes 16-bit TIFF in colour")
    value_HWC = deep(40, 50, 3)
    assert cv2.imwrite(str(tmp_path / "a.tif"), value_HWC[:, :, ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    np.testing.assert_array_equal(decode_deep(tmp_path / "a.tif"), value_HWC)


@pytest.mark.parametrize("channels", [2, 4])
def test_see_through_pixels_of_sixteen_bits_show_white(tmp_path: Path, channels: int) -> None:
    value_HWC = deep(5, 6, channels)
    value_HWC[:2, :, -1] = 65535
    value_HWC[2, :, -1] = 0
    found = decode_deep(deep_png(tmp_path / "a.png", value_HWC)).astype(float)
    opaque = value_HWC[:, :, -1:] / 65535
    np.testing.assert_allclose(found, value_HWC[:, :, :-1] * opaque + 65535 * (1 - opaque), atol=0.51)
    np.testing.assert_array_equal(found[:2], value_HWC[:2, :, :-1])
    assert (found[2] == 65535).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_pictures_are_turned_as_others_are(tmp_path: Path, orientation: int, channels: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    value_HWC = deep(3, 5, channels)
    path = deep_png(tmp_path / "a.png", value_HWC, chunk(b"eXIf", exif.tobytes()[6:]))
    plain = Image.fromarray((value_HWC // 257).astype(np.uint8).squeeze())
    turned = decode(saved(tmp_path / "b.png", plain, exif=exif))
    np.testing.assert_array_equal(decode_deep(path) // 257, turned)


@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "RGBA", "P", "1", "CMYK", "YCbCr"])
def test_what_has_eight_bits_is_the_same_deep(tmp_path: Path, mode: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 8, 4), dtype=np.uint8), "RGBA")
    image = noise if mode == "RGBA" else noise.convert("RGB").convert(mode)
    path = saved(tmp_path / ("a.tif" if mode in ("CMYK", "YCbCr") else "a.png"), image)
    found = decode_deep(path)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, decode(path))


def test_a_colour_that_stands_for_nothing_shows_white(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[[10, 20, 30], [1, 2, 3]]], dtype=np.uint8))
    assert decode(saved(tmp_path / "a.png", image, transparency=(1, 2, 3))).tolist() == [[[10, 20, 30], [255] * 3]]


def bomb(path: Path, width: int, height: int) -> Path:
    """The header of a huge PNG, and nothing behind it."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")))
    return path


@pytest.mark.parametrize("read", [decode, decode_deep])
def test_more_pixels_than_memory_are_refused_by_the_header_alone(tmp_path: Path, read: Callable) -> None:
    with pytest.raises(ValueError, match=r"60000 x 40000 are 2400 million pixels, more than 537"):
        read(bomb(tmp_path / "a.png", 60000, 40000))
    assert MOST_PIXELS > 30000 * 15000


@pytest.mark.parametrize("read", [decode, decode_deep])
def test_a_panorama_that_pillow_would_refuse_is_read_and_its_limit_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable
) -> None:
    path = saved(tmp_path / "a.png", Image.new("1", (30000, 1000), 1))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000_000)
    assert read(path).shape == (1000, 30000, 1)
    assert upright_size(path) == (1000, 30000)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_planar_tiff_of_16_bits_is_the_picture_of_8_bits_or_refused(
    tmp_path: Path, compression: str | None, order: str
) -> None:
    """Pillow reads the low bytes of planes that are not compressed."""
    eight_HWC = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    planes_CHW = np.moveaxis(eight_HWC, 2, 0)
    path, options = tmp_path / "a.tif", {"photometric": "rgb", "planarconfig": "separate", "compression": compression}
    tifffile.imwrite(path, planes_CHW, byteorder=order, **options)
    np.testing.assert_array_equal(decode_deep(path), eight_HWC)
    tifffile.imwrite(path, planes_CHW.astype(np.uint16) * 256, byteorder=order, **options)
    for read, white in ((decode, 255), (decode_deep, 65535)):
        if compression is None:
            with pytest.raises(UsageError, match="planar 16-bit TIFF is not read"):
                read(path)
        else:
            np.testing.assert_allclose(read(path) / white, eight_HWC / 256, atol=1 / 255)
