"""Large photographs go through in tiles. H, W photograph."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from cnnlab.draw.edges import edge_picture
from cnnlab.edges import maps as edge_maps
from cnnlab.edges.detector import EdgeDetector
from cnnlab.edges.tiles import aligned, tiles

TILED = {
    "sobel": {"bank": "sobel"},
    "weak and strong": {"bank": "sobel", "low": 0.02, "high": 0.08},
    "automatic": {"bank": "scharr", "thresholds": "automatic"},
    "of all kinds": {"bank": "gaussian(sigma=2, order=1)", "space": "opponent", "colour": "tensor", "texture": 1.0,
                     "surround": 0.5, "surround_radius": 9},
}  # fmt: skip


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", TILED)
def test_in_tiles_a_photograph_has_the_edges_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, blobs: Callable[..., np.ndarray], kind: str, threads: int
) -> None:
    """Also where a weak edge is connected to a strong one many tiles away."""
    pixels_HWC = blobs(300, 500)
    pixels_HWC[150:, :] //= 4
    pixels_HWC[150:] += np.linspace(0, 120, 500).astype(np.uint8)[None, :, None]
    monkeypatch.setattr("cnnlab.draw.edges.LARGEST", 210)  # a panel is a third of the photograph
    detector, how = EdgeDetector.plain(**TILED[kind]), {"grey": kind == "sobel", "pictures": True}
    whole = edge_maps.detect(detector, pixels_HWC, torch.device("cpu"), **how)
    monkeypatch.setattr(edge_maps, "WHOLE", 1000)
    monkeypatch.setattr(edge_maps, "STEP", 70)
    monkeypatch.setattr(edge_maps, "ALIGNED", 16)
    calls = []
    monkeypatch.setattr(EdgeDetector, "both", lambda *given: calls.append(given) or both(*given))
    fractions: list[float] = []
    tiled = edge_maps.detect(detector, pixels_HWC, torch.device("cpu"), threads=threads, tell=fractions.append, **how)
    assert len(calls) == len(fractions) > 10
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    alone = edge_maps.detect(detector, pixels_HWC, torch.device("cpu"), grey=how["grey"], pictures=False)
    np.testing.assert_array_equal(alone.thinned_HW, tiled.thinned_HW)
    assert ((tiled.thinned_HW > 0) != (whole.thinned_HW > 0)).mean() < 1e-4
    np.testing.assert_allclose(tiled.thinned_HW, whole.thinned_HW, atol=1e-5)
    np.testing.assert_allclose(tiled.fields[0], whole.fields[0], atol=1e-5)
    assert tiled.fields[0].shape == (100, 167)
    if kind in ("weak and strong", "automatic"):
        everything = detector.local().thinned(edge_maps.tensor_of(pixels_HWC, torch.device("cpu"), False))
        assert 0 < (tiled.thinned_HW > 0).sum() < (everything > 0).sum()
    pictures = [edge_picture(pixels_HWC, *maps.fields, maps.thinned_HW, 1.0).astype(int) for maps in (tiled, whole)]
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.01


both = EdgeDetector.both


def test_tiles_cover_every_pixel_once_and_bring_their_margin() -> None:
    for height, width, reach, k in ((1, 1, 5, 1), (2100, 5000, 9, 3), (5000, 2047, 70, 2)):
        step, margin = aligned(1024, 64 * k), aligned(reach, 64)
        seen_HW = np.zeros((height, width), int)
        for tile in tiles(height, width, step, margin):
            seen_HW[tile.inner] += 1
            for outer, inner, crop, end in zip(tile.outer, tile.inner, tile.crop, (height, width), strict=True):
                assert outer.start + crop.start == inner.start
                assert crop.stop - crop.start == inner.stop - inner.start
                assert outer.start <= max(0, inner.start - reach)
                assert outer.stop >= min(end, inner.stop + reach)
                assert outer.start % 64 == inner.start % (64 * k) == 0
        assert (seen_HW == 1).all()
