"""Photographs as tensors: in order, of one size, the same draw for the same seed; what can't be read is named."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from cnnlab._choices import UsageError
from cnnlab.data.photographs.windows import fitted, photograph, photographs_below, windows


def test_the_images_of_a_folder_are_read_in_order_and_a_draw_of_them_is_the_seeds(tmp_path: Path) -> None:
    for number in range(12):
        Image.new("L", (8, 8), 20 * number).save(tmp_path / f"{number}.png")
    every = photographs_below(tmp_path, 1, (8, 8), 12, 0)
    torch.testing.assert_close(every[:, 0, 0, 0] * 255, 20.0 * torch.arange(12))
    some, same, other = (photographs_below(tmp_path, 1, (8, 8), 5, seed) for seed in (0, 0, 1))
    assert some.equal(same)
    assert not some.equal(other)
    assert len(some) == 5


def test_broken_files_are_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match="none of the 1 files"):
        photographs_below(tmp_path, 1, (8, 8), 12, 0)
    Image.new("L", (8, 8), 20).save(tmp_path / "b.png")
    assert len(photographs_below(tmp_path, 1, (8, 8), 12, 0)) == 1
    assert "1 files of" in capsys.readouterr().out


@pytest.mark.parametrize(("channels", "colours"), [(1, 1), (3, 3), (4, 1)])
def test_a_photograph_has_the_channels_that_were_asked_for(tmp_path: Path, channels: int, colours: int) -> None:
    Image.new("RGB", (6, 4), (255, 0, 0)).save(tmp_path / "red.png")
    image_CHW = photograph(tmp_path / "red.png", channels)
    assert image_CHW.shape == (channels, 4, 6)
    assert len(image_CHW.unique(dim=0)) == min(colours, 2)
    assert photograph(None, channels).shape == (channels, 427, 640)


@pytest.mark.parametrize("size", [(4, 4), (30, 9), (9, 30)])
def test_an_image_of_one_colour_keeps_it_in_every_size(size: tuple[int, int]) -> None:
    image_CHW = torch.full((3, 10, 20), 0.25)
    torch.testing.assert_close(fitted(image_CHW, size), torch.full((3, *size), 0.25))
    torch.testing.assert_close(windows(image_CHW, size, 5, seed=0), torch.full((5, 3, *size), 0.25))


def test_windows_lie_inside_of_the_photograph() -> None:
    image_CHW = torch.arange(12.0 * 15).view(1, 12, 15)
    for window_hw in windows(image_CHW, (4, 5), 20, seed=3)[:, 0]:
        torch.testing.assert_close(window_hw, window_hw[0, 0] + torch.arange(4.0)[:, None] * 15 + torch.arange(5.0))
