"""How fast cnnlab finds edges: side by side with OpenCV, scikit-image and kornia, in one run, on this machine.

python benchmarks/edges.py [--threads N] [--rounds N] [--seconds process] [magnitude] [detector] [gpu]

magnitude  Sobel's gradient magnitude of 512 x 512, 1080p and 4K: float32, and uint8 in (float32 out)
detector   gradient, thinning and hysteresis of 1080p
gpu        images per second at 1080p, 8 at a time, where there is a GPU (edges_gpu.py)

All ways take turns, round by round, with the same number of threads. `--seconds process` counts processor time, which
says more than the clock on a machine that others use too; with several threads it adds them up. The floor is the time
in which the bytes that must be moved (the image in, the magnitude out) pass at the bandwidth of a copy of the same
size, measured in the same rounds. OpenCV, scikit-image and kornia are rivals, not needed: one that isn't installed is
named and left out.
"""

import argparse
import importlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from edges_gpu import gpu
from rich.progress import track
from tables import console, print_machine, print_rounds
from torch import Tensor

from cnnlab.edges.detector import EdgeDetector
from cnnlab.edges.gradient import Gradient
from cnnlab.filters import bank

SIZES = {"512 x 512": (512, 512), "1080p": (1080, 1920), "4K": (2160, 3840)}
SHARE_LOW, SHARE_HIGH = 0.8, 0.9  # quantiles of the thinned strengths that serve as thresholds


def rival(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        console.print(f"{name} is not installed: left out")
        return None


def scene(height: int, width: int, batch: int = 1) -> Tensor:
    """(batch, 1, height, width) float32 in [0, 1]: blobs of all sizes and a little noise."""
    random = torch.Generator().manual_seed(0)
    image = 0.03 * torch.randn(batch, 1, height, width, generator=random)
    for side in (8, 32, 128):
        coarse = torch.randn(batch, 1, height // side + 2, width // side + 2, generator=random).sign()
        large = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
        image = image + 0.2 * (3 * large).tanh()
    return (image + 0.6).div(1.2).clamp(0, 1)


def magnitudes(image: Tensor) -> dict[str, Callable[[], Any]]:
    """Sobel's magnitude by each way, the image as it comes: float32 or uint8."""
    arrays = list(image[:, 0].numpy())
    eager, compiled = Gradient(bank("sobel")), Gradient(bank("sobel")).compiled()
    ways: dict[str, Callable[[], Any]] = {}
    if cv2 := rival("cv2"):
        ways["OpenCV Sobel + magnitude"] = lambda: [
            cv2.magnitude(*(cv2.Sobel(one, cv2.CV_32F, x, 1 - x) for x in (1, 0))) for one in arrays
        ]
    ways["cnnlab, eager"] = lambda: eager.magnitude(as_float(image))
    ways["cnnlab, compiled"] = lambda: compiled.magnitude(as_float(image))
    if skimage := rival("skimage.filters"):
        ways["scikit-image sobel"] = lambda: [skimage.sobel(one) for one in arrays]
    if kornia := rival("kornia"):
        ways["kornia sobel"] = lambda: kornia.filters.sobel(as_float(image))
    target = torch.empty_like(image, dtype=torch.float32)
    ways["floor: a copy of as many bytes"] = lambda: target.copy_(image)
    return ways


def as_float(image: Tensor) -> Tensor:
    return image.float() / 255 if image.dtype == torch.uint8 else image


def limits(expression: str, image: Tensor) -> tuple[float, float]:
    """Thresholds for hysteresis at two quantiles of the thinned strengths."""
    strengths = EdgeDetector.plain(expression).thinned(image)
    positive = strengths[strengths > 0].sort().values
    return float(positive[int(SHARE_LOW * len(positive))]), float(positive[int(SHARE_HIGH * len(positive))])


def detectors(image: Tensor) -> dict[str, Callable[[], Any]]:
    """Thinned edges of one image after hysteresis, with the same thresholds: Sobel 3 x 3, Euclidean length, edges out.

    Rivals get the dtype that they are fastest with. Only scikit-image's canny smooths by itself: beside it without
    smoothing stands it with its default, sigma 1, and our derivative of that Gaussian.
    """
    whole = (image * 255).round().to(torch.uint8)
    low, high = limits("sobel", image)
    ours = EdgeDetector.plain("sobel", low=low, high=high)  # one walk compiled by numba, whether torch compiles or not
    smooth_low, smooth_high = limits("gaussian(sigma=1, order=1)", image)
    smooth = EdgeDetector.plain("gaussian(sigma=1, order=1)", low=smooth_low, high=smooth_high)
    compiled = EdgeDetector.plain("gaussian(sigma=1, order=1)", low=smooth_low, high=smooth_high).compiled()
    ways: dict[str, Callable[[], Any]] = {}
    if cv2 := rival("cv2"):
        levels = int(low * 8 * 255), int(high * 8 * 255)
        ways["OpenCV Canny, uint8"] = lambda: cv2.Canny(whole[0, 0].numpy(), *levels, L2gradient=True)
    ways["cnnlab, uint8"] = lambda: ours.thinned(whole)
    ways["cnnlab, float32"] = lambda: ours.thinned(image)
    ways["cnnlab, sigma 1, float32, eager"] = lambda: smooth.thinned(image)
    ways["cnnlab, sigma 1, float32, compiled"] = lambda: compiled.thinned(image)
    if skimage := rival("skimage.feature"):
        array = image[0, 0].numpy()
        for sigma, bottom, top in ((0, low, high), (1, smooth_low, smooth_high)):
            ways[f"scikit-image canny, sigma {sigma}, float32"] = partial(
                skimage.canny, array, sigma=sigma, low_threshold=bottom * 8, high_threshold=top * 8
            )
    best = EdgeDetector()
    colours = image.expand(-1, 3, -1, -1).contiguous()
    ways["cnnlab, the default detector, RGB"] = lambda: best.thinned(colours)
    return ways


def take_turns(title: str, ways: dict[str, Callable], rounds: int, clock: Callable[[], float], images: int = 1) -> None:
    for way in ways.values():  # compile and warm up
        way(), way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in track(range(rounds), description=title, transient=True):
        for name, way in ways.items():
            start = clock()
            way()
            seconds[name].append(clock() - start)
    print_rounds(title, seconds, images, reference=next(iter(ways)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["magnitude", "detector", "gpu"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", choices=["wall", "process"], default="wall")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if cv2 := rival("cv2"):
        cv2.setNumThreads(options.threads)
    clock = time.perf_counter if options.seconds == "wall" else time.process_time
    print_machine()
    if "magnitude" in options.parts:
        for name, (height, width) in SIZES.items():
            image = scene(height, width)
            take_turns(f"magnitude, {name}, float32", magnitudes(image), options.rounds, clock)
            whole = (image * 255).to(torch.uint8)
            take_turns(f"magnitude, {name}, uint8", magnitudes(whole), options.rounds, clock)
        many = scene(512, 512, batch=16)
        take_turns("magnitude, 16 images of 512 x 512, float32", magnitudes(many), options.rounds, clock, images=16)
    if "detector" in options.parts:
        take_turns("detector, 1080p", detectors(scene(1080, 1920)), options.rounds, clock)
    if "gpu" in options.parts:
        gpu(scene(1080, 1920, batch=8), options.rounds, rival("kornia"))


if __name__ == "__main__":
    main()
