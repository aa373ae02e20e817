"""The kernels as they change. K kernels, C channels, h height, w width."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from matplotlib.animation import AbstractMovieWriter, FFMpegWriter, FuncAnimation, PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import AxesImage
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab._colour import DIVERGING
from cnnlab.draw.kernel_pages import scale_of
from cnnlab.draw.tiles import Cell, Page, tile_page, zero_centred

Item = TypeVar("Item")
SHOWN = 64  # kernels
FRAMES = 120  # at most; of longer trainings every n-th epoch and the last
APART = 4  # times: where the largest weights of epochs are further apart, one scale would leave some epochs blank


def kernel_animation(snapshots: dict[int, Tensor], path: Path, *, frames_per_second: int = 6) -> list[Path]:
    """`path` with the ending .gif, and .mp4 where ffmpeg is installed: one frame per epoch; returns what was written.

    Snapshots {epoch: (K, C, h, w)}, of which SHOWN kernels are drawn. One scale, symmetric about zero, for all epochs,
    or one per epoch where theirs are `uneven`, which the heading then tells with the bar as a fraction of it;
    kernels for three channels in colour, mid-grey for zero; of other numbers of channels their mean. ValueError for
    no snapshots.
    """
    if not snapshots:
        raise UsageError("an animation needs at least one snapshot, got none")
    epochs = evenly(sorted(snapshots), FRAMES)
    limits = {epoch: scale_of(snapshots[epoch][:SHOWN]) or 1.0 for epoch in epochs}
    apart = uneven(limits.values())
    if not apart:
        limits = dict.fromkeys(epochs, max(limits.values()))
    count, channels = snapshots[epochs[0]].shape[:2]
    layer = "first layer" if count <= SHOWN else f"first layer ({SHOWN} of {count} kernels)"

    def words(epoch: int) -> str:
        scale = f"\neach epoch has its own scale: 1 is a weight of {limits[epoch]:.3g}" if apart else ""
        return (f"{layer} after epoch {epoch}" if epoch else f"{layer} at initialisation") + scale

    def tiles(epoch: int) -> list[Tensor]:
        found = _tiles(snapshots[epoch], limits[epoch])
        return [tile / limits[epoch] for tile in found] if apart and channels != 3 else found

    page = _page(tiles(epochs[0]), 1.0 if apart else limits[epochs[0]], channels == 3, words(epochs[0]), apart)
    FigureCanvasAgg(page.figure)
    heading = page.figure.texts[0]

    def draw(epoch: int) -> list[AxesImage]:
        for image, tile in zip(page.images, tiles(epoch), strict=True):
            image.set_data(tile.numpy())
        heading.set_text(words(epoch))
        return page.images

    pause = [epochs[-1]] * frames_per_second  # a second on the last frame
    film = FuncAnimation(page.figure, draw, frames=[*epochs, *pause], init_func=lambda: page.images, blit=False)
    return [_saved(film, path.with_suffix(ending), writer) for ending, writer in _writers(frames_per_second).items()]


def _writers(frames_per_second: int) -> dict[str, AbstractMovieWriter]:
    """Ending -> writer; MP4 where ffmpeg is installed."""
    writers: dict[str, AbstractMovieWriter] = {".gif": PillowWriter(fps=frames_per_second)}
    if shutil.which("ffmpeg"):
        even = ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white", "-pix_fmt", "yuv420p"]
        writers[".mp4"] = FFMpegWriter(fps=frames_per_second, codec="libx264", extra_args=even)
    return writers


def _saved(film: FuncAnimation, path: Path, writer: AbstractMovieWriter) -> Path:
    half = path.with_name(f"{path.stem}.part{path.suffix}")
    film.save(half, writer=writer, dpi=100)
    half.replace(path)
    return path


def uneven(limits: Iterable[float]) -> bool:
    """True if the largest weights of the epochs are more than APART times apart."""
    limits = list(limits)
    return max(limits) > APART * min(limits)


def evenly(values: Sequence[Item], most: int) -> list[Item]:
    """At most `most` of them, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(index * (len(values) - 1) / max(1, most - 1))] for index in range(most)]


def _tiles(kernels_KChw: Tensor, limit: float) -> list[Tensor]:
    kernels_KChw = kernels_KChw[:SHOWN].detach().cpu().double()
    if kernels_KChw.shape[1] == 3:
        return list((0.5 + kernels_KChw / limit / 2).clamp(0, 1).permute(0, 2, 3, 1))
    return list(kernels_KChw.mean(1))


def _page(tiles: list[Tensor], limit: float, coloured: bool, heading: str, apart: bool) -> Page:
    words = "fraction of the scale" if apart else "weight"
    return tile_page(
        [Cell((tile,)) for tile in tiles],
        columns=16 if len(tiles) > 32 else 8,
        side=0.6,
        norm=zero_centred(limit),
        cmap="gray" if coloured else DIVERGING,
        label=f"{words} in each channel" if coloured else words,
        heading=heading,
        cut=True,
    )
