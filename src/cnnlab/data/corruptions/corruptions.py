"""Corruptions of test images, computed on the fly: the families of CIFAR-10-C and MNIST-C.

Hendrycks & Dietterich, ICLR 2019, arXiv:1903.12261, with the numbers of their make_cifar_c.py; Mu & Gilmer 2019,
arXiv:1906.02337, with those of their corruptions.py, which are ImageNet-C's where the two share a corruption. Lengths
are in pixels of the benchmark's images (32 and 28 a side) and grow with ours. Left out: frost (photographs), snow,
canny_edges (an edge detector, not a corruption with severities), pessimal noise (a fitted matrix).

B batch, C channel, H height, W width, N images.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.data.corruptions.blurs import defocus_blur, gaussian_blur, glass_blur, motion_blur, zoom_blur
from cnnlab.data.corruptions.digital import dotted_line, jpeg, pixelate, quantize, stripe, zigzag
from cnnlab.data.corruptions.draws import Draws
from cnnlab.data.corruptions.light import brightness, contrast, fog, saturate, spatter
from cnnlab.data.corruptions.noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise
from cnnlab.data.corruptions.warps import elastic, rotate, scale, shear, translate
from cnnlab.data.images.images import Images, TensorImages

SIDES = {"cifar10-c": 32, "mnist-c": 28}  # of the benchmark's images, in pixels


Parameters = tuple[Any, ...]  # what `change` takes: of each corruption others


@dataclass(frozen=True)
class Corruption:
    """`cifar` and `mnist` are the parameters of severities 1 to 5; where one is None, the other's hold for both.

    `ours` says what differs from the benchmark's program, "" if nothing but the random numbers and sizes. `ordered`:
    whether a higher severity is further from the image; the benchmarks' numbers are not always.
    """

    family: str
    change: Callable[[Tensor, Parameters, float, Draws], Tensor]
    cifar: tuple[Any, ...] | None  # a number or Parameters for each severity
    mnist: tuple[Any, ...] | None
    ours: str = ""
    ordered: bool = True

    def at(self, severity: int, benchmark: str) -> tuple[Parameters, int]:
        """(parameters, side in pixels of the images that they were made for)."""
        if benchmark == "cifar10-c" and self.cifar is None:
            benchmark = "mnist-c"
        elif benchmark == "mnist-c" and self.mnist is None:
            benchmark = "cifar10-c"
        given = self.cifar if benchmark == "cifar10-c" else self.mnist
        assert given is not None, "a corruption is in one of the benchmarks"
        chosen = given[severity - 1]
        return chosen if isinstance(chosen, tuple) else (chosen,), SIDES[benchmark]


_BETWEEN = "read between the pixels, so that lengths below a pixel count"
_ZOOMS = ((1.11, 0.01), (1.15, 0.01), (1.20, 0.02), (1.24, 0.02), (1.30, 0.03))
CORRUPTIONS = {
    "gaussian_noise": Corruption(
        "noise", gaussian_noise, (0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38)
    ),
    "shot_noise": Corruption("noise", shot_noise, (500, 250, 100, 75, 50), (60, 25, 12, 5, 3)),
    "impulse_noise": Corruption("noise", impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07), (0.03, 0.06, 0.09, 0.17, 0.27)),
    "speckle_noise": Corruption("noise", speckle_noise, (0.06, 0.10, 0.12, 0.16, 0.20), (0.15, 0.20, 0.35, 0.45, 0.60)),
    "gaussian_blur": Corruption("blur", gaussian_blur, (0.4, 0.6, 0.7, 0.8, 1.0), (1, 2, 3, 4, 6)),
    "defocus_blur": Corruption(
        "blur",
        defocus_blur,
        (0.80, 1.00, 1.20, 1.32, 1.65),
        (3.0, 4.1, 6.1, 8.1, 10.0),
        f"a disc with the variance of the benchmark's, which is one on whole pixels, smoothed; {_BETWEEN}",
    ),
    "glass_blur": Corruption(
        "blur",
        glass_blur,
        ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
        ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
        f"all pixels are scattered at once, not swapped one after another; {_BETWEEN}",
        ordered=False,
    ),
    "motion_blur": Corruption(
        "blur",
        motion_blur,
        ((12, 1), (12, 1.5), (12, 2), (16, 2), (18, 2.5)),
        ((20, 3), (30, 5), (30, 8), (30, 12), (40, 15)),
        f"ImageMagick's half Gaussian over twice its radius; {_BETWEEN}",
    ),
    "zoom_blur": Corruption(
        "blur",
        zoom_blur,
        ((1.06, 0.01), (1.11, 0.01), (1.15, 0.01), (1.20, 0.01), (1.25, 0.01)),
        _ZOOMS,
        "about the exact centre",
    ),
    "brightness": Corruption("light", brightness, (0.05, 0.10, 0.15, 0.20, 0.30), (0.1, 0.2, 0.3, 0.4, 0.5)),
    "contrast": Corruption("light", contrast, (0.75, 0.50, 0.40, 0.30, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05)),
    "saturate": Corruption(
        "light",
        saturate,
        ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
        ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
        ordered=False,
    ),
    "fog": Corruption(
        "weather",
        fog,
        ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
        ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
        "the cloud is as large as the image; MNIST-C cuts 28 of 256 pixels from one",
    ),
    "spatter": Corruption(
        "weather",
        spatter,
        None,
        ((3, 0.6, 1.9), (3, 0.6, 1.4), (3, 0.6, 1.0), (3, 0.6, 0.7), (3, 0.6, 0.4)),
        "MNIST-C's mud, for colour too; the numbers are ours, since its five are not in order",
    ),
    "pixelate": Corruption(
        "digital", pixelate, (0.95, 0.90, 0.85, 0.75, 0.65), (0.6, 0.5, 0.4, 0.3, 0.25), ordered=False
    ),
    "jpeg": Corruption("digital", jpeg, (80, 65, 58, 50, 40), (25, 18, 15, 10, 7)),
    "quantize": Corruption("digital", quantize, None, (5, 4, 3, 2, 1)),
    "elastic": Corruption(
        "shape",
        elastic,
        None,
        ((0.01, 0.14), (0.02, 0.14), (0.03, 0.14), (0.04, 0.14), (0.05, 0.14)),
        "the benchmarks' five are not in order; 5 is Simard et al. 2003 (sigma 4, alpha 34 of 29 pixels)",
    ),
    "shear": Corruption("shape", shear, None, (0.2, 0.4, 0.6, 0.8, 1.0)),
    "rotate": Corruption("shape", rotate, None, (0.2, 0.4, 0.6, 0.8, 1.0)),
    "scale": Corruption("shape", scale, None, (0.9, 0.8, 0.7, 0.6, 0.5)),
    "translate": Corruption("shape", translate, None, (1, 2, 3, 4, 5)),
    "stripe": Corruption(
        "marks", stripe, None, (0.05, 0.10, 0.15, 0.20, 0.25), "MNIST-C has one severity, our 5: a quarter at each side"
    ),
    "dotted_line": Corruption("marks", dotted_line, None, (1, 2, 3, 4, 5), "MNIST-C has one line"),
    "zigzag": Corruption("marks", zigzag, None, (1, 2, 3, 4, 5), "MNIST-C has one line"),
}


def corruptions_for(channels: int) -> dict[str, str]:
    """name -> family of the corruptions that images of so many channels can have; saturation needs 3."""
    return {name: one.family for name, one in CORRUPTIONS.items() if channels == 3 or name != "saturate"}


def benchmark_for(channels: int) -> str:
    """The benchmark whose severities fit: "mnist-c" (strong) for grey images, "cifar10-c" (mild) for the others."""
    return "mnist-c" if channels == 1 else "cifar10-c"


def corrupt(
    image_BCHW: Tensor,
    name: str,
    severity: int,
    index_B: Tensor | Sequence[int],
    seed: int = 0,
    benchmark: str | None = None,
) -> Tensor:
    """Images in [0, 1], float, to the same shape, dtype, device and range; severity 0 leaves them as they are.

    index_B: the number of each image in its set. What happens to it follows from (seed, name, number, severity), and
    at all severities from the same random numbers. benchmark: "cifar10-c" or "mnist-c"; None: `benchmark_for`.
    ValueError for an unknown name, a severity that is not 0 to 5, or a corruption that needs colour.
    """
    batch, channels, *size = image_BCHW.shape
    benchmark = benchmark or benchmark_for(channels)
    check(name, severity, channels, benchmark)
    if len(index_B) != batch:
        raise UsageError(f"{batch} images but {len(index_B)} numbers of images")
    if not image_BCHW.is_floating_point():
        raise UsageError(f"corrupt takes floats in [0, 1], got {image_BCHW.dtype}")
    if severity == 0 or not batch:
        return image_BCHW
    parameters, side = CORRUPTIONS[name].at(severity, benchmark)
    draws = Draws(seed, name, index_B, image_BCHW)
    return CORRUPTIONS[name].change(image_BCHW, parameters, min(size) / side, draws).clamp(0, 1)


def check(name: str, severity: int, channels: int, benchmark: str) -> None:
    """ValueError, with what is valid, if there is no such corruption of such images."""
    known = corruptions_for(channels)
    if name not in known:
        near = get_close_matches(name, known, 1)
        why = "it needs 3 channels; " if name in CORRUPTIONS else f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"no corruption {name!r} of images with {channels} channels: {why}known: {', '.join(known)}")
    if severity not in range(6):
        raise UsageError(f"severity {severity!r}: a whole number from 0 (unchanged) to 5")
    if benchmark not in SIDES:
        raise UsageError(f"unknown benchmark {benchmark!r}; known: {', '.join(SIDES)}")


def corrupted_images(
    images: Images, index_N: Tensor, name: str, severity: int, seed: int = 0, benchmark: str | None = None
) -> TensorImages:
    """The chosen images corrupted and rounded to uint8, as the benchmarks' are, in the order of `index_N`."""
    parts = []
    for part_N in index_N.split(1024):
        image_BCHW = corrupt(images.read(part_N).float() / 255, name, severity, part_N.cpu(), seed, benchmark)
        parts.append((image_BCHW * 255).round().to(torch.uint8))
    label_N = images.label_N[index_N.to(images.label_N.device)]
    return TensorImages(torch.cat(parts), label_N, images.class_names)
