"""Files of every kind come out as upright 8-bit grey or RGB. H height, W width, C channel."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.data.decode import decode

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
