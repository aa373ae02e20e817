"""Gradient and thinning in one walk: the detector as it is, only faster. H W image."""

import math
import os
import select
import signal
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cnnlab.edges import detector as room
from cnnlab.edges import thinning
from cnnlab.edges.borders import BORDERS
from cnnlab.edges.detector import EdgeDetector
from cnnlab.edges.fast import fused, places
from cnnlab.edges.fast.fused import fusible, small_taps

BANKS = ("sobel", "scharr", "prewitt", "central")
LIMITS = (
    {}, {"low": 0.02, "high": 0.2}, {"low": 0.0, "high": 0.2},
    {"thresholds": "quantile", "low": 0.4, "high": 0.9}, {"thresholds": "automatic"},
)  # fmt: skip
pytestmark = pytest.mark.skipif(not fused.COMPILED, reason="numba is not installed: there is no such walk")


@pytest.fixture
def by_fields(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Tensor]:
    """What a detector finds by operations on whole fields."""

    def thinned(detector: EdgeDetector, image: Tensor) -> Tensor:
        with monkeypatch.context() as slow:
            slow.setattr(room, "fusible", lambda image, kernels: False)
            slow.setattr(thinning, "COMPILED", False)
            return detector.thinned(image)

    return thinned


def some(*shape: int, levels: int = 256, seed: int = 0) -> Tensor:
    return torch.randint(0, levels, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.mark.parametrize("name", BANKS)
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 1, 1, 9), (2, 1, 9, 1), (2, 1, 2, 3), (3, 1, 40, 57)])
def test_it_finds_what_whole_fields_find(name: str, border: str, shape: tuple[int, ...], by_fields: Callable) -> None:
    """Noise without ties: which of two equals stays by a rounding is no matter of this test."""
    image = torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    detector = EdgeDetector.plain(name, border=border)
    assert fusible(image, detector.kernels)
    torch.testing.assert_close(detector.thinned(image), by_fields(detector, image), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_hysteresis_keeps_the_same(limits: dict, dtype: torch.dtype, by_fields: Callable) -> None:
    image = torch.rand(2, 1, 50, 60, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(dtype)
    detector = EdgeDetector.plain("sobel", **limits)
    ours, theirs = detector.thinned(image), by_fields(detector, image)
    assert ours.dtype == dtype
    differ = (ours > 0) != (theirs > 0)
    assert differ.sum() <= (0 if dtype == torch.float64 else 30)  # a rounding of a threshold, and what hangs on it
    torch.testing.assert_close(ours[~differ], theirs[~differ], rtol=2e-2 if dtype == torch.bfloat16 else 1e-5, atol=0)


@pytest.mark.parametrize("name", ["sobel", "scharr", "central"])
@pytest.mark.parametrize("levels", [2, 3, 256])
def test_a_uint8_image_is_computed_in_whole_numbers(name: str, levels: int, by_fields: Callable) -> None:
    """Full of ties. The same image as whole numbers of float64, for which these kernels are exact, has the same."""
    image = some(2, 1, 80, 90, levels=levels)
    ours = EdgeDetector.plain(name).thinned(image)
    theirs = by_fields(EdgeDetector.plain(name), image.double()) / 255
    torch.testing.assert_close(ours.double(), theirs, rtol=1e-6, atol=0)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 14), width=st.integers(1, 14), levels=st.integers(1, 6), quarters=st.integers(0, 3),
    mirrored=st.booleans(), name=st.sampled_from(BANKS), whole=st.booleans(), seed=st.integers(0, 2**31),
)  # fmt: skip
def test_edges_turn_and_mirror_with_the_image_to_the_last_bit(
    height: int, width: int, levels: int, quarters: int, mirrored: bool, name: str, whole: bool, seed: int
) -> None:
    image = some(1, 1, height, width, levels=levels, seed=seed)
    image = image if whole else image / levels
    detector = EdgeDetector.plain(name, low=0.0005, high=0.002)

    def moved(field: Tensor) -> Tensor:
        return torch.rot90(field.flip(-1) if mirrored else field, quarters, (-2, -1)).contiguous()

    assert torch.equal(detector.thinned(moved(image)), moved(detector.thinned(image)))


@pytest.mark.parametrize("name", ["sobel", "scharr", "prewitt"])  # `central` mistakes the slope of a stair
@pytest.mark.parametrize("soft", [False, True])
def test_a_step_of_bytes_gives_a_line_one_pixel_wide_in_each_of_16_orientations(name: str, soft: bool) -> None:
    y, x = torch.meshgrid(*[torch.arange(64.0) - 31.5] * 2, indexing="ij")
    for turn in range(16):
        angle = math.pi * turn / 8
        distance = (x * math.cos(angle) + y * math.sin(angle)).round(decimals=4)
        step = (distance + 0.5).clamp(0, 1) if soft else (distance > 0).float()
        line = EdgeDetector.plain(name).thinned((step * 255).to(torch.uint8)[None, None])[0, 0]
        line = (line > line.max() / 5).numpy()
        steep = abs(math.cos(angle)) > abs(math.sin(angle)) - 1e-6
        np.testing.assert_array_equal((line if steep else line.T)[14:-14].sum(1), 1, err_msg=f"turn {turn}")


def test_a_constant_image_has_no_edge_and_a_plateau_its_brightest_end() -> None:
    assert not EdgeDetector.plain("sobel").thinned(torch.full((2, 1, 20, 30), 77, dtype=torch.uint8)).any()
    row = torch.cat([torch.zeros(8), 20 * torch.arange(1, 9), torch.full((8,), 160)]).to(torch.uint8)
    stays = EdgeDetector.plain("central").thinned(row.expand(1, 1, 5, -1).contiguous())[0, 0] > 0
    assert stays.nonzero()[:, 1].tolist() == [14] * 5  # the last pixel whose neighbours differ by two full steps


@pytest.mark.parametrize("pixels", [1, 200, 2**20])
@pytest.mark.parametrize("threads", [1, 16])
def test_there_is_no_seam_between_rows_at_a_time_nor_between_threads(
    pixels: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = some(2, 1, 53, 60, levels=4)
    alone = EdgeDetector.plain("sobel").thinned(image)
    monkeypatch.setattr(fused, "_PIXELS", pixels)
    monkeypatch.setattr(places, "_ROWS", 7)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert torch.equal(EdgeDetector.plain("sobel").thinned(image), alone)
    assert alone.any()


@pytest.mark.parametrize(
    ("bank", "expected"),
    [("sobel", (1, 2)), ("scharr", (3, 10)), ("prewitt", (1, 1)), ("central", (0, 1))],
)
def test_the_classical_whole_numbers_are_found(bank: str, expected: tuple[int, int]) -> None:
    taps = small_taps(EdgeDetector.plain(bank).kernels)
    assert (taps.outer, taps.middle) == expected
    assert taps.scale * (2 * taps.outer + taps.middle) == pytest.approx(0.5)  # a ramp of slope 1 answers 1


@pytest.mark.parametrize(
    "given_",
    ["sobel(size=5)", "roberts", "farid", "gaussian(sigma=1, order=1)", "sobel + scharr", "quadrature(wavelength=6)"],
)
def test_anything_else_goes_the_general_way(given_: str) -> None:
    image = torch.rand(1, 1, 30, 30)
    assert not fusible(image, EdgeDetector.plain(given_).kernels)
    assert not fusible(image.expand(1, 3, -1, -1), EdgeDetector.plain("sobel").kernels)


def test_a_forked_process_finds_the_same_with_threads_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that are kept don't live on in a fork: waiting for them would take for ever."""
    image = some(1, 1, 53, 60, levels=4)
    monkeypatch.setattr(places, "_ROWS", 7)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    here = EdgeDetector.plain("sobel").thinned(image)
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: of forks while there are threads
        child = os.fork()
    if child == 0:
        os.write(write, bytes([torch.equal(EdgeDetector.plain("sobel").thinned(image), here)]))
        os._exit(0)
    ready, _, _ = select.select([read], [], [], 60)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert ready
    assert os.read(read, 1) == b"\x01"
