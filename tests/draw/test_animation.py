"""The film of the kernels: one scale, or one an epoch where weights explode; a GIF, and an MP4 where ffmpeg is."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnnlab.draw.animation import FRAMES, evenly, kernel_animation


def snapshots(channels: int, epochs: int = 4) -> dict[int, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {epoch: torch.randn(6, channels, 3, 3, generator=generator) for epoch in range(epochs)}


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_the_film_has_a_frame_an_epoch_and_they_differ(tmp_path: Path, channels: int) -> None:
    written = kernel_animation(snapshots(channels), tmp_path / "kernels.gif")
    endings = [".gif", ".mp4"] if shutil.which("ffmpeg") else [".gif"]
    assert [path.suffix for path in written] == endings
    assert sorted(tmp_path.iterdir()) == sorted(written)  # no half-written file is left
    with Image.open(written[0]) as film:
        frames = []
        for index in range(film.n_frames):
            film.seek(index)
            frames.append(film.convert("RGB").tobytes())
        assert film.info.get("loop") == 0
    assert len(set(frames)) == 4


@pytest.mark.parametrize(("growth", "pale"), [(3.0, True), (1000.0, False)])
def test_the_start_stays_visible_where_weights_explode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, growth: float, pale: bool
) -> None:
    """The first frame is paler than the last where both have one scale, else its colours are as strong."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    start = torch.zeros(1, 1, 3, 3)
    start[0, 0, 1, 1] = 1.0
    kernel_animation({0: start, 1: growth * start}, tmp_path / "kernels.gif")
    strongest = []
    with Image.open(tmp_path / "kernels.gif") as film:
        for index in (0, 1):
            film.seek(index)
            kernel_HWC = np.asarray(film.convert("RGB")).astype(int)[:, :70]  # left of the colour bar
            strongest.append(int((255 - kernel_HWC).sum(axis=2)[40:].max()))  # below the heading
    assert (strongest[0] < 0.9 * strongest[1]) == pale


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed: apt-get install ffmpeg")
def test_the_second_film_plays_everywhere_and_shows_the_same_kernels(tmp_path: Path) -> None:
    gif, mp4 = kernel_animation(snapshots(1), tmp_path / "kernels.gif")
    asked = "stream=codec_name,pix_fmt,width,height,nb_read_frames"
    told = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-show_entries", asked, "-of", "json", str(mp4)],
        capture_output=True, check=True,
    )  # fmt: skip
    (stream,) = json.loads(told.stdout)["streams"]
    assert (stream["codec_name"], stream["pix_fmt"]) == ("h264", "yuv420p")
    assert stream["width"] % 2 == stream["height"] % 2 == 0
    assert int(stream["nb_read_frames"]) == 4 + 6, "an epoch each, then a second on the last"
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(mp4), str(tmp_path / "f%d.png")], check=True)
    with Image.open(gif) as film:
        for index in range(4):
            film.seek(index)
            with Image.open(tmp_path / f"f{index + 1}.png") as frame:
                drawn = frame.convert("L").crop((0, 0, *film.size))  # the film is padded to even sides
                apart = [abs(a - b) for a, b in zip(drawn.tobytes(), film.convert("L").tobytes(), strict=True)]
            assert sum(apart) / len(apart) < 4, "up to what both lose of the colours"


def test_without_ffmpeg_there_is_one_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert kernel_animation(snapshots(1, 2), tmp_path / "kernels.gif") == [tmp_path / "kernels.gif"]


def test_of_a_long_training_the_first_the_last_and_evenly_spaced_epochs_are_shown() -> None:
    chosen = evenly(list(range(1000)), FRAMES)
    assert len(chosen) == len(set(chosen)) == FRAMES
    assert (chosen[0], chosen[-1]) == (0, 999)
    assert int(torch.tensor(chosen).diff().max()) <= 9
    assert evenly([0, 5, 7], FRAMES) == [0, 5, 7]


def test_a_film_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one snapshot"):
        kernel_animation({}, tmp_path / "kernels.gif")
