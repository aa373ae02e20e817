"""The detector as a module: dtypes, buffers, gradients, parity, compiled and exported. H W image."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.feature import canny
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab.edges import thinning
from cnnlab.edges.borders import BORDERS
from cnnlab.edges.contract import Edges
from cnnlab.edges.detector import EdgeDetector
from cnnlab.edges.energy import OrientedEnergy
from cnnlab.edges.fast import places
from cnnlab.edges.texture import suppression
from cnnlab.filters import bank

BEST = {"bank": "gaussian(sigma=3, order=1)", "space": "opponent", "root": True, "colour": "tensor"}
BEST |= {"texture": 1.25, "surround": 0.5}
DETECTORS = {
    "sobel": {"bank": "sobel"},
    "scales": {"bank": "gaussian(sigma=(1, 2), order=1)", "scales": "geometric", "colour": "tensor"},
    "quadrature": {"bank": "quadrature(wavelength=6, orientations=8)"},
    "lines": {"bank": "gaussian(order=2, sigma=1.5, orientations=8)"},
    "best": BEST,
}


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.uint8])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_every_dtype_and_number_of_channels(name: str, dtype: torch.dtype, channels: int) -> None:
    image = (torch.rand(2, channels, 40, 44) * (255 if dtype == torch.uint8 else 1)).to(dtype)
    detector = EdgeDetector.plain(**DETECTORS[name])
    strength, orientation = edges = detector(image)
    assert isinstance(edges, Edges)
    for field in (strength, orientation, detector.thinned(image)):
        assert field.shape == (2, 1, 40, 44)
        assert field.dtype == (torch.float32 if dtype == torch.uint8 else dtype)
        assert field.isfinite().all()
        assert field.min() >= 0
    assert orientation.double().max() < math.pi
    exact = detector(image.double() / (255 if dtype == torch.uint8 else 1))
    rough = 1e-2 if dtype == torch.bfloat16 else 1e-4
    torch.testing.assert_close(strength.double(), exact.strength, rtol=rough, atol=1e-5)


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("level", [0.0, 0.5])
def test_a_constant_image_has_no_strength_and_finite_gradients(name: str, level: float) -> None:
    image = torch.full((1, 3, 40, 40), level, requires_grad=True)
    edges = EdgeDetector.plain(**DETECTORS[name])(image)
    assert edges.strength.max() < 1e-6
    (slope,) = torch.autograd.grad(edges.strength.sum() + edges.orientation.sum(), image)
    assert slope.isfinite().all()


@pytest.mark.parametrize("name", ["sobel", "best"])
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    image = torch.rand(1, 3, 9, 9, dtype=torch.float64, requires_grad=True)
    detector = EdgeDetector.plain(**{**DETECTORS[name], "surround_radius": 3})
    assert torch.autograd.gradcheck(lambda pixels: detector(pixels).strength, image)


@pytest.mark.parametrize("name", DETECTORS)
def test_the_image_does_not_change(name: str) -> None:
    image = torch.rand(1, 3, 40, 40)
    before = image.clone()
    detector = EdgeDetector.plain(**DETECTORS[name])
    detector(image), detector.thinned(image)
    assert torch.equal(image, before)


def test_the_buffers_are_the_kernels_and_nothing_is_trainable() -> None:
    expected = {
        "sobel": ["kernels.difference_Sn", "kernels.smoothing_Sn"],
        "quadrature": ["kernels.kernels_K1hw", "kernels.angle_O"],
        "best": [
            "kernels.difference_Sn", "kernels.smoothing_Sn", "texture.fine.difference_Sn", "texture.fine.smoothing_Sn",
            "texture.coarse.difference_Sn", "texture.coarse.smoothing_Sn",
        ],
    }  # fmt: skip
    for name, names in expected.items():
        detector = EdgeDetector.plain(**DETECTORS[name])
        assert [buffer for buffer, _ in detector.named_buffers()] == names
        assert list(detector.parameters()) == []
        assert list(detector.state_dict()) == names


@pytest.mark.parametrize("name", ["sobel", "quadrature", "best"])
def test_the_orientation_is_the_steps_normal(name: str) -> None:
    detector = EdgeDetector.plain(**DETECTORS[name])
    y, x = torch.meshgrid(*[torch.arange(48.0) - 23.5] * 2, indexing="ij")
    for turn in range(16):
        angle = math.pi * turn / 16
        step = (x * math.cos(angle) + y * math.sin(angle) + 0.5).clamp(0, 1)
        middle = detector(step.expand(1, 3, -1, -1)).orientation[0, 0, 24, 24].item()
        off = (middle - angle + math.pi / 2) % math.pi - math.pi / 2
        assert abs(math.degrees(off)) < 4, f"turn {turn}"


def test_full_scale_is_the_strength_of_a_step_from_black_to_white() -> None:
    assert EdgeDetector.plain("sobel").full_scale == pytest.approx(0.5)
    sigma = 4.0
    assert EdgeDetector.plain(f"gaussian(sigma={sigma}, order=1)").full_scale == pytest.approx(
        1 / sigma / math.sqrt(2 * math.pi), rel=0.01
    )
    image = torch.zeros(1, 3, 90, 200)
    image[..., 100:] = 1
    detector = EdgeDetector.plain(**BEST)
    assert detector(image).strength.max().item() == pytest.approx(detector.full_scale, rel=1e-4)


def test_responses_are_those_of_each_kernel() -> None:
    image = torch.rand(2, 3, 20, 22, dtype=torch.float64)
    answers = EdgeDetector.plain("sobel")(image), EdgeDetector.plain("sobel").responses(image)
    assert answers[1].shape == (2, 3, 2, 20, 22)
    torch.testing.assert_close(torch.linalg.vector_norm(answers[1], dim=2).amax(1, keepdim=True), answers[0].strength)
    pairs = EdgeDetector.plain("quadrature(wavelength=6, orientations=8)").responses(image)
    assert pairs.shape == (2, 3, 16, 20, 22)


def test_it_is_scikit_images_canny_on_the_smoothed_image() -> None:
    """Where no strengths are equal and away from the border, of which scikit-image leaves two pixels out.

    scikit-image's gradient is 8 times ours; its thinning allows two pixels in a row where a line is slanted, and ours
    is one of them.
    """
    image = ndimage.gaussian_filter(np.random.default_rng(0).random((80, 90)), 2)
    low, high = 0.004, 0.008
    theirs = canny(image, sigma=0, low_threshold=low * 8, high_threshold=high * 8, mode="mirror")
    ours = EdgeDetector.plain("sobel", low=low, high=high).thinned(torch.from_numpy(image)[None, None])[0, 0] > 0
    inner = (slice(4, -4), slice(4, -4))
    ours, theirs = ours.numpy()[inner], theirs[inner]
    assert (ours & ~theirs).sum() <= 0.02 * ours.sum()
    near = ndimage.binary_dilation(ours, np.ones((3, 3)))
    assert (theirs & near).sum() >= 0.97 * theirs.sum()


def test_the_energy_of_a_wave_is_its_amplitude_at_every_phase() -> None:
    """A quadrature pair answers to a grating of its own wavelength with the grating's amplitude, everywhere."""
    x = torch.arange(64, dtype=torch.float64).expand(1, 1, 64, 64)
    detector = EdgeDetector.plain("quadrature(wavelength=8, orientations=4)")
    strength, orientation = detector(0.3 * torch.cos(2 * math.pi * x / 8))
    inner = (..., slice(16, -16), slice(16, -16))
    torch.testing.assert_close(strength[inner], torch.full_like(strength[inner], 0.3), rtol=2e-2, atol=0)
    assert torch.sin(orientation[inner]).abs().max() < 0.02


def test_a_bank_without_orientations_is_refused() -> None:
    with pytest.raises(ValueError, match="prefers no orientation"):
        OrientedEnergy(bank("gaussian(sigma=2)"))


def test_many_edges_around_damp_an_edge_and_a_lone_one_is_spared() -> None:
    strength = torch.zeros(1, 1, 81, 81)
    strength[..., 40] = 0.1
    crowd = torch.full_like(strength, 0.1)
    assert suppression(strength, 0.5, 20)[..., 40, 40] > 2 * suppression(crowd, 0.5, 20)[..., 40, 40]
    mean = ndimage.uniform_filter(strength[0, 0].double().numpy(), 41, mode="mirror")
    np.testing.assert_allclose(suppression(strength, 0.5, 20)[0, 0], (0.01 + mean) ** -0.5, rtol=1e-5)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (torch.rand(3, 8, 8), "B, C, H, W"),
        (torch.rand(1, 3, 0, 8), "not empty"),
        (torch.ones(1, 1, 4, 4).int(), "uint8"),
    ],
)
def test_what_is_no_image_is_refused(image: Tensor, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        EdgeDetector.plain("sobel").thinned(image)


@pytest.mark.parametrize("name", DETECTORS)
def test_an_image_of_one_pixel_has_no_edge(name: str) -> None:
    assert not EdgeDetector.plain(**DETECTORS[name]).thinned(torch.rand(1, 3, 1, 1)).any()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"space": "oponent"}, "did you mean 'opponent'"),
        ({"colour": "max"}, "valid: largest, tensor"),
        ({"surround": -1.0}, "surround must be"),
        ({"texture": float("nan")}, "texture must be"),
        ({"low": "a", "high": 1}, "low must be a finite number"),
        ({"thresholds": "quantile", "low": 0.5, "high": 1.5}, "high must be a finite number, 0 to 1"),
        ({"low": 0.5, "high": 0.1}, "low must not be above high"),
        ({"bank": "sobel + laplacian"}, "laplacian form no pair of derivatives, as sobel_dy, sobel_dx do"),
        ({"bank": "sobel + gabor", "texture": 0}, "form no pair of derivatives"),
        ({"bank": "laplacian"}, "laplacian. prefers no orientation"),
        ({"bank": "quadrature", "texture": 1.0}, "take detector.texture=0"),
        ({"bank": "sobl"}, "sobel"),
    ],
)
def test_a_misspelt_argument_is_refused(given: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        EdgeDetector(**given)


@pytest.mark.parametrize("name", ["sobel", "best"])
def test_it_exports_for_images_of_any_size(name: str) -> None:
    detector = EdgeDetector.plain(**DETECTORS[name])
    least = 64 if name == "best" else 4
    sizes = {2: torch.export.Dim("H", min=least, max=4096), 3: torch.export.Dim("W", min=least, max=4096)}
    program = torch.export.export(detector, (torch.rand(2, 3, 70, 80),), dynamic_shapes=({0: None, 1: None, **sizes},))
    for shape in ((2, 3, 70, 80), (2, 3, 65, 111)):
        image = torch.rand(shape)
        for ours, theirs in zip(detector(image), program.module()(image), strict=True):
            torch.testing.assert_close(ours, theirs)


def test_it_compiles_as_one_graph() -> None:
    detector = EdgeDetector.plain(
        "sobel", space="opponent", root=True, colour="tensor", surround=0.5, surround_radius=5
    )
    image = torch.rand(1, 3, 20, 24)
    compiled = torch.compile(detector, fullgraph=True)
    for ours, theirs in zip(detector(image), compiled(image), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_compiled_steps_thin_to_the_same_edges() -> None:
    image = torch.rand(1, 1, 50, 60)
    plain, fast = EdgeDetector.plain("sobel").thinned(image), EdgeDetector.plain("sobel").compiled().thinned(image)
    assert ((plain > 0) != (fast > 0)).sum() <= 2
    torch.testing.assert_close(plain.sum(), fast.sum(), rtol=1e-3, atol=0)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 1, 2, 3), (2, 1, 40, 37), (1, 3, 40, 37)])
def test_a_uint8_image_has_the_edges_of_its_255th_to_the_last_bit(border: str, shape: tuple[int, ...]) -> None:
    image = torch.randint(0, 5, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    detector = EdgeDetector.plain("sobel(size=5)", border=border, low=0.001, high=0.003)
    assert torch.equal(detector.thinned(image), detector.thinned(image.float() / 255))


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"low": 0.01, "high": 0.2},
        {"low": 0.0, "high": 0.2},
        {"low": 0.0, "high": 9.0},
        {"thresholds": "quantile", "low": 0.4, "high": 0.9},
        {"thresholds": "automatic"},
    ],
)
def test_place_by_place_and_by_whole_fields_hysteresis_keeps_the_same(
    limits: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise without ties: which of two equals stays by a rounding is no matter of this test."""
    image = torch.rand(3, 1, 50, 60, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    detector = EdgeDetector.plain("gaussian(sigma=1, order=1)", **limits)
    walked = detector.thinned(image)
    monkeypatch.setattr(thinning, "COMPILED", False)
    assert torch.equal(walked, detector.thinned(image))


def test_threads_share_the_rows_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.randint(0, 4, (2, 1, 50, 60), generator=torch.Generator().manual_seed(2)) / 4
    alone = EdgeDetector.plain("sobel").thinned(image)
    monkeypatch.setattr(places, "_ROWS", 7)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    assert torch.equal(EdgeDetector.plain("sobel").thinned(image), alone)
