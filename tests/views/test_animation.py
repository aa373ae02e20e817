"""The film of the kernels: every epoch on one scale, as a GIF always and as MP4 where ffmpeg is."""

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from cnnlab.views.animation import FRAMES, chosen_epochs, kernel_animation


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


def test_ffmpeg_makes_a_second_film_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert kernel_animation(snapshots(1, 2), tmp_path / "kernels.gif") == [tmp_path / "kernels.gif"]


def test_of_a_long_training_the_first_the_last_and_evenly_spaced_epochs_are_shown() -> None:
    chosen = chosen_epochs(list(range(1000)))
    assert len(chosen) == len(set(chosen)) == FRAMES
    assert (chosen[0], chosen[-1]) == (0, 999)
    assert int(torch.tensor(chosen).diff().max()) <= 9
    assert chosen_epochs([0, 5, 7]) == [0, 5, 7]


def test_a_film_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one snapshot"):
        kernel_animation({}, tmp_path / "kernels.gif")
