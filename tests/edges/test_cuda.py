"""The detector on a GPU: what the processor finds, found there, without waiting for it. H W image.

Skipped where there is no GPU; `pytest tests/edges/test_cuda.py tests/app/test_edges_on_cuda.py` on a machine with one.
"""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from scipy import ndimage
from torch import Tensor

from cnnlab.edges.detector import EdgeDetector
from cnnlab.edges.gradient import Gradient
from cnnlab.edges.hysteresis import flooded, hysteresis, joined
from cnnlab.edges.network import NetworkDetector
from cnnlab.edges.thinning import largest_by_fields, thin
from cnnlab.filters import bank
from cnnlab.nn.edge_net import pretrained

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning"),  # of torch's own compiler
]
CUDA = torch.device("cuda")
BEST = {"bank": "gaussian(sigma=3, order=1)", "space": "opponent", "root": True, "colour": "tensor"}
BEST |= {"texture": 1.25, "surround": 0.5}
DETECTORS = {
    "sobel": {"bank": "sobel"},
    "scales": {"bank": "gaussian(sigma=(1, 2), order=1)", "scales": "geometric", "colour": "tensor"},
    "quadrature": {"bank": "quadrature(wavelength=6, orientations=8)"},
    "best": BEST,
}
# Of the largest strength. Convolutions of float32 are rounded to TF32, 10 bits, on a GPU: `quadrature` is one.
ROUNDING = {torch.float64: 1e-9, torch.float32: 2e-5, torch.bfloat16: 1e-2, torch.uint8: 2e-5}
TF32 = 3e-3


@contextmanager
def waiting_forbidden() -> Iterator[None]:
    """Inside, an operation that makes the processor wait for the GPU is an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Synchronization debug mode is a prototype")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def photograph(dtype: torch.dtype, batch: int = 2, height: int = 70, width: int = 90) -> Tensor:
    """(batch, 3, height, width), smooth enough that its edges are no noise."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(batch, 3, height // 6, width // 6, generator=random, dtype=torch.float64)
    image = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    return (image * 255).round().to(dtype) if dtype == torch.uint8 else image.to(dtype)


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("dtype", ROUNDING)
def test_strength_and_orientation_are_the_processors(name: str, dtype: torch.dtype) -> None:
    image = photograph(dtype)
    detector = EdgeDetector.plain(**DETECTORS[name])
    expected = detector(image)
    found = detector.to(CUDA)(image.to(CUDA))
    assert all(field.device.type == "cuda" and field.dtype == expected.strength.dtype for field in found)
    share = max(ROUNDING[dtype], TF32 if name == "quadrature" and dtype != torch.float64 else 0)
    largest = float(expected.strength.max())
    torch.testing.assert_close(found.strength.cpu(), expected.strength, rtol=0, atol=share * largest)
    # Half a turn is none, and where there is hardly an edge its direction means little.
    turned = 2 * (found.orientation.cpu().double() - expected.orientation.double())
    # Of two channels with gradients of one length a rounding chooses, hence the few that may differ.
    clear = expected.strength > largest / 4
    assert (turned[clear].cos() < 1 - 20 * share).double().mean() < 2e-3


@pytest.mark.parametrize("name", ["sobel", "scales", "best"])
@pytest.mark.parametrize("limits", [{}, {"low": 0.01, "high": 0.03}, {"thresholds": "automatic"}])
def test_thinned_edges_are_the_processors(name: str, limits: dict) -> None:
    """But for the few pixels whose place a rounding decides."""
    image = photograph(torch.float64)
    detector = EdgeDetector.plain(**DETECTORS[name], **limits)
    expected = detector.thinned(image)
    found = detector.to(CUDA).thinned(image.to(CUDA)).cpu()
    differ = (found > 0) != (expected > 0)
    assert differ.sum() <= max(2, 0.002 * (expected > 0).sum())
    torch.testing.assert_close(found[~differ], expected[~differ], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("tied", [False, True])
def test_thinning_by_fields_is_the_same_to_the_last_bit_where_all_is_exact(tied: bool) -> None:
    random = torch.Generator().manual_seed(1)
    strength = torch.randint(0, 9, (3, 1, 50, 61), generator=random).float()
    way = torch.tensor([0.0, 1, -1, 2, -2, 4, -4])[torch.randint(0, 7, (2, 3, 1, 50, 61), generator=random)]
    tie = torch.randint(0, 4, (3, 1, 50, 61), generator=random).float() if tied else None
    expected = largest_by_fields(strength, *way, tie)
    on_device = [None if field is None else field.to(CUDA) for field in (strength, *way, tie)]
    assert torch.equal(largest_by_fields(*on_device).cpu(), expected)


def test_a_step_gives_a_line_one_pixel_wide_in_each_of_16_orientations() -> None:
    detector = EdgeDetector.plain(**BEST).to(CUDA)
    y, x = torch.meshgrid(*[torch.arange(64, dtype=torch.float64, device=CUDA) - 31.5] * 2, indexing="ij")
    for turn in range(16):
        angle = math.pi * turn / 8
        step = ((x * math.cos(angle) + y * math.sin(angle)).round(decimals=9) > 0).double()
        line = detector.thinned(step.expand(1, 3, -1, -1))[0, 0].cpu()
        steep = abs(math.cos(angle)) > abs(math.sin(angle)) - 1e-9
        rows = (line > line.max() / 5) if steep else (line > line.max() / 5).T
        assert rows[14:-14].sum(1).unique().tolist() == [1], f"turn {turn}"
        assert ndimage.label(rows[14:-14, 14:-14], [[1] * 3] * 3)[1] == 1


def test_components_are_the_processors_in_every_image_of_a_batch() -> None:
    random = torch.Generator().manual_seed(2)
    weak = torch.rand(4, 1, 120, 150, generator=random) < 0.4
    strong = weak & (torch.rand(4, 1, 120, 150, generator=random) < 0.01)
    found = joined(weak.to(CUDA), strong.to(CUDA))
    assert torch.equal(found.cpu(), flooded(weak, strong))
    strength = weak.float() + strong.float()
    assert torch.equal(hysteresis(strength.to(CUDA), 1.0, torch.full((4,), 2.0)).cpu(), found.cpu())


@pytest.mark.parametrize("name", DETECTORS)
def test_measuring_and_thinning_never_wait_for_the_device(name: str) -> None:
    detector = EdgeDetector.plain(**DETECTORS[name]).to(CUDA)
    image = torch.rand(2, 3, 96, 128, device=CUDA)
    detector(image)
    with waiting_forbidden():
        strength, orientation = detector(image)
        detector.thinned(image)
        thin(strength, orientation)


@pytest.mark.parametrize(("name", "dtype"), [("sobel", torch.uint8), ("best", torch.float32)])
def test_compiled_it_thins_to_the_same_edges(name: str, dtype: torch.dtype) -> None:
    image = photograph(dtype, 4).to(CUDA)
    detector = EdgeDetector.plain(**DETECTORS[name], low=0.01, high=0.03).to(CUDA)
    plain, fast = detector.thinned(image), detector.compiled().thinned(image)
    assert plain.any()
    assert ((plain > 0) != (fast > 0)).sum() <= 0.01 * (plain > 0).sum() + 2


def test_the_compiled_magnitude_is_the_eager_one() -> None:
    image, gradient = photograph(torch.float32).to(CUDA), Gradient(bank("sobel")).to(CUDA)
    torch.testing.assert_close(gradient.magnitude(image), gradient.compiled().magnitude(image))


def test_gradients_flow_back_to_the_image() -> None:
    image = torch.rand(1, 3, 40, 40, device=CUDA, dtype=torch.float64, requires_grad=True)
    EdgeDetector.plain(**BEST).to(CUDA)(image).strength.sum().backward()
    on_cpu = image.detach().cpu().requires_grad_()
    EdgeDetector.plain(**BEST)(on_cpu).strength.sum().backward()
    torch.testing.assert_close(image.grad.cpu(), on_cpu.grad)


def test_the_network_draws_what_it_draws_on_the_processor_also_in_tiles() -> None:
    image = photograph(torch.float32, 1, 300, 340)
    expected = NetworkDetector(pretrained())(image).strength
    for tile in (1024, 64):
        found = NetworkDetector(pretrained(), tile=tile).to(CUDA)(image.to(CUDA)).strength.cpu()
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-2)
