"""The part of benchmarks/edges.py for a GPU: images per second at 1080p, beside what the memory would allow.

All ways take turns. Time is read from the device's own clock, with a pause before each way that lets it finish.
The floor of a way is the time in which the bytes that it can't do without (the image in, the edges out, in the dtypes
given) pass at the bandwidth of a copy, measured here on 256 MB.
"""

from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from rich.table import Table
from tables import console
from torch import Tensor

from cnnlab.edges.detector import EdgeDetector
from cnnlab.edges.gradient import Gradient
from cnnlab.filters import bank

LIMITS = {"low": 0.05, "high": 0.1}
Way = tuple[Callable[[], Any], int]  # and the bytes that must be moved


def gpu(image_B1HW: Tensor, rounds: int, kornia: Any) -> None:
    """Prints a table; image_B1HW float32, on the processor."""
    if not torch.cuda.is_available():
        console.print("gpu: there is none here")
        return
    console.print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    bandwidth = copied_bytes_a_second(rounds)
    ways = ways_of(image_B1HW.cuda(), kornia)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way, _ in ways.values():  # compile and warm up
        for _ in range(3):
            way()
    for _ in range(rounds):
        for name, (way, _) in ways.items():
            seconds[name].append(timed(way))
    table = Table(title=f"{len(image_B1HW)} images of 1080p; a copy moves {bandwidth / 1e12:.2f} TB/s")
    for column in ("", "images/s", "ms a batch", "least", "most", "floor ms", "times the floor"):
        table.add_column(column, justify="left" if not column else "right")
    for name, found in seconds.items():
        middle, floor = median(found), ways[name][1] / bandwidth
        cells = [f"{value * 1e3:.3f}" for value in (middle, min(found), max(found), floor)]
        table.add_row(name, f"{len(image_B1HW) / middle:.0f}", *cells, f"{middle / floor:.1f}")
    console.print(table)


def timed(way: Callable[[], Any]) -> float:
    """Seconds of device time, from the first launch to the last result."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    way()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3


def copied_bytes_a_second(rounds: int) -> float:
    """Read and written, by `copy_` between two buffers of 256 MB."""
    one, other = (torch.zeros(2**28, dtype=torch.uint8, device="cuda") for _ in range(2))
    found = [timed(lambda: other.copy_(one)) for _ in range(rounds + 3)][3:]
    return 2 * one.numel() / median(found)


def ways_of(image_B1HW: Tensor, kornia: Any) -> dict[str, Way]:
    pixels, whole = image_B1HW.numel(), (image_B1HW * 255).round().to(torch.uint8)
    colours_BCHW = image_B1HW.expand(-1, 3, -1, -1).contiguous()
    half = image_B1HW.bfloat16()
    ways: dict[str, Way] = {}
    for kind in ("eager", "compiled"):
        gradient = ready(Gradient(bank("sobel")), kind)
        sobel, plain = (ready(EdgeDetector.plain("sobel", **limits), kind) for limits in (LIMITS, {}))
        best = ready(EdgeDetector(), kind)
        ways[f"sobel magnitude, float32, {kind}"] = (lambda g=gradient: g.magnitude(image_B1HW)), 8 * pixels
        ways[f"sobel magnitude, bfloat16, {kind}"] = (lambda g=gradient: g.magnitude(half)), 4 * pixels
        ways[f"sobel thinned, float32, {kind}"] = (lambda d=plain: d.thinned(image_B1HW)), 8 * pixels
        ways[f"sobel thinned, hysteresis, float32, {kind}"] = (lambda d=sobel: d.thinned(image_B1HW)), 8 * pixels
        ways[f"sobel thinned, hysteresis, uint8, {kind}"] = (lambda d=sobel: d.thinned(whole)), 5 * pixels
        ways[f"the default detector, RGB, {kind}"] = (lambda d=best: d.thinned(colours_BCHW)), 16 * pixels
    if kornia:
        canny = kornia.filters.Canny(LIMITS["low"], LIMITS["high"], kernel_size=(3, 3), sigma=(1.0, 1.0)).cuda()
        ways["kornia sobel, float32"] = (lambda: kornia.filters.sobel(image_B1HW)), 8 * pixels
        ways["kornia canny, float32"] = (lambda: canny(image_B1HW)), 8 * pixels
    return ways


def ready(module: Any, kind: str) -> Any:
    return module.cuda().compiled() if kind == "compiled" else module.cuda()
