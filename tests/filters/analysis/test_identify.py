"""Planted kernels are identified with their parameters, and random ones only as often as chance has it."""

import math
import random

import pytest
import torch
from torch import Tensor

from cnnlab.filters import bank
from cnnlab.filters.analysis.dictionary import dictionary, placed
from cnnlab.filters.analysis.identify import Match, fit_gabor, identify, identify_and_fit, null
from cnnlab.filters.gabor import wave_packet

MANY = 8  # kernels planted at once


def noisy(kernels: list[Tensor], draw: random.Random, level: float = 0.01, signs: bool = True) -> Tensor:
    """(K, 1, h, w) float32: each kernel with noise of `level` times its norm, times 0.01 to 100 and perhaps -1."""
    generator = torch.Generator().manual_seed(draw.randrange(10**6))
    rows = []
    for kernel_hw in kernels:
        noise_hw = torch.randn(kernel_hw.shape, generator=generator, dtype=torch.float64)
        noise_hw = noise_hw * level / torch.linalg.vector_norm(noise_hw)
        amplitude = 10 ** draw.uniform(-2, 2) * (draw.choice((1, -1)) if signs else 1)
        rows.append(amplitude * (kernel_hw / torch.linalg.vector_norm(kernel_hw) + noise_hw))
    return torch.stack(rows).float().unsqueeze(1)


def apart(first: float, second: float, period: float) -> float:
    return abs((first - second + period / 2) % period - period / 2)


def random_kernels(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize("name", ["sobel", "scharr", "prewitt", "central"])
def test_a_first_derivative_is_found_with_its_direction(name: str, size: int) -> None:
    draw = random.Random(size)
    dy, dx = (placed(kernel, size, size) for kernel in bank(name).kernels[:, 0])
    planted = [draw.uniform(0, 360) for _ in range(MANY)]
    kernels = [math.cos(math.radians(one)) * dx + math.sin(math.radians(one)) * dy for one in planted]
    for match, degrees in zip(identify(noisy(kernels, draw, signs=False)), planted, strict=True):
        assert (match.family, match.significant) == ("derivative", True)
        assert match.name == (name if size == 3 else f"{name} 3x3")
        assert apart(match.orientation, degrees, 360) < 2


def test_a_gaussian_derivative_is_found_with_its_direction_and_scale() -> None:
    draw = random.Random(0)
    planted = [(draw.uniform(0, 360), draw.uniform(1.0, 1.7)) for _ in range(MANY)]
    kernels = []
    for degrees, sigma in planted:
        dy, dx = bank("gaussian", order=1, sigma=sigma, size=9).kernels[:, 0]
        kernels.append(math.cos(math.radians(degrees)) * dx + math.sin(math.radians(degrees)) * dy)
    for match, (degrees, sigma) in zip(identify(noisy(kernels, draw, signs=False)), planted, strict=True):
        assert (match.family, match.name, match.sign) == ("gaussian derivative", "gaussian_d1", 1)
        assert apart(match.orientation, degrees, 360) < 2
        assert match.sigma == pytest.approx(sigma, rel=0.03)


def test_a_second_gaussian_derivative_is_found_with_direction_scale_and_sign() -> None:
    draw = random.Random(1)
    planted = [(turn, draw.uniform(1.0, 1.6)) for turn in range(12)]
    kernels = [
        bank("gaussian", order=2, sigma=sigma, size=9, orientations=12).kernels[turn, 0] for turn, sigma in planted
    ]
    given = noisy(kernels, draw)
    for match, (turn, sigma), kernel, own in zip(identify(given), planted, kernels, given, strict=True):
        assert (match.family, match.name) == ("gaussian derivative", "gaussian_d2")
        assert match.sign == math.copysign(1, float((own[0] * kernel).sum()))
        assert apart(match.orientation, 15 * turn, 180) < 2
        assert match.sigma == pytest.approx(sigma, rel=0.03)


def test_the_mixed_second_derivative_is_a_saddle_at_45_degrees_and_its_negative_at_135() -> None:
    kernel = bank("gaussian", order=2, sigma=1.3, size=9).kernels[1:2]
    for kernels, degrees in ((kernel, 45), (-kernel, 135)):
        match = identify(kernels)[0]
        assert (match.name, match.cosine) == ("gaussian_saddle", pytest.approx(1, abs=1e-6))
        assert match.orientation == pytest.approx(degrees, abs=1e-3)
        assert match.sigma == pytest.approx(1.3, rel=1e-3)


def test_a_gabor_is_found_with_all_its_parameters() -> None:
    draw = random.Random(2)
    ranges = ((0, 180), (3.2, 5), (1.5, 2.1), (-180, 180))
    planted = [[draw.uniform(*one) for one in ranges] for _ in range(MANY)]
    kernels = [wave_packet(11, w, s, 1.0, math.radians(d), math.radians(p), False) for d, w, s, p in planted]
    for match, (degrees, wavelength, sigma, phase) in zip(
        identify(noisy(kernels, draw, signs=False)), planted, strict=True
    ):
        assert (match.family, match.centre, match.significant) == ("gabor", None, True)
        assert apart(match.orientation, degrees, 180) < 2
        assert match.wavelength == pytest.approx(wavelength, rel=0.05)
        assert match.sigma == pytest.approx(sigma, rel=0.08)
        flipped = apart(match.orientation, degrees, 360) > 90
        assert apart(-match.phase if flipped else match.phase, phase, 360) < 6


def test_a_gabor_off_the_middle_is_found_where_it_is() -> None:
    packet = wave_packet(15, 5.0, 1.8, 1.0, 0.4, 0.7, False)
    match = identify(torch.roll(packet, (2, -1), (0, 1))[2:13, 2:13][None, None])[0]
    assert match.family == "gabor"
    assert match.centre == (pytest.approx(2, abs=0.05), pytest.approx(-1, abs=0.05))
    assert (match.wavelength, match.orientation) == (pytest.approx(5, rel=0.01), pytest.approx(22.9, abs=0.5))


@pytest.mark.parametrize(("expression", "family"), [("log", "laplacian"), ("gaussian", "smoothing")])
def test_a_laplacian_of_gaussian_and_a_gaussian_are_found_with_scale_and_sign(expression: str, family: str) -> None:
    draw = random.Random(3)
    planted = [draw.uniform(0.8, 1.4) for _ in range(MANY)]
    kernels = [bank(expression, sigma=sigma, size=9).kernels[0, 0] for sigma in planted]
    given = noisy(kernels, draw)
    for match, sigma, kernel, own in zip(identify(given), planted, kernels, given, strict=True):
        assert (match.family, match.name) == (family, expression)
        assert match.sigma == pytest.approx(sigma, rel=0.03)
        assert match.sign == math.copysign(1, float((own[0] * kernel).sum()))


@pytest.mark.parametrize(
    ("expression", "size", "family", "name"),
    [
        ("laplacian", 3, "laplacian", "laplacian"),
        ("laplacian(neighbours=8)", 3, "laplacian", "laplacian 8"),
        ("laplacian", 5, "laplacian", "laplacian"),
        ("kirsch[sw]", 3, "derivative", "kirsch_sw"),
        ("central(order=2)[dxx]", 3, "derivative", "central_dxx"),
        ("box", 3, "smoothing", "box"),
        ("box(size=7)", 7, "smoothing", "box"),
        ("identity", 3, "shift", "identity"),
        ("shift(dy=-1, dx=2)", 5, "shift", "shift_up1_right2"),
        ("sharpen", 3, "sharpen", "sharpen"),
        ("dct[dct_1_2]", 3, "dct", "dct 1,2"),
        ("dct(size=4)[dct_2_3]", 4, "dct", "dct 2,3"),
        ("sobel(size=5)[dx]", 5, "derivative", "sobel"),
        ("farid[dy]", 5, "derivative", "farid"),
        ("frei_chen[ripple1]", 3, "derivative", "frei_chen_ripple1"),
        ("roberts[t45]", 2, "derivative", "roberts"),
    ],
)
def test_a_classical_kernel_is_found_by_name_and_sign(expression, size, family, name) -> None:
    kernel = placed(bank(expression).kernels[0, 0], size, size)
    for sign in (1, -1):
        match = identify(sign * noisy([kernel], random.Random(4), 0.005, signs=False))[0]
        assert (match.family, match.name) == (family, name)
        assert match.orientation is not None or match.sign == sign
        assert match.cosine > 0.999


def test_a_gabor_function_holds_six_sevenths_of_a_random_three_by_three_kernel() -> None:
    r2 = torch.tensor([fit.r2 for fit in fit_gabor(random_kernels(300, 1, 3, 3))])
    assert float(r2.mean()) == pytest.approx(0.86, abs=0.02)


@pytest.mark.parametrize("size", [(3, 3), (5, 5), (2, 2), (1, 7)])
def test_one_random_kernel_in_twenty_passes_and_the_null_says_the_same_each_time(size: tuple[int, int]) -> None:
    mean, high = null(*size)
    assert null(*size) == (mean, high)
    matches = identify(random_kernels(400, 1, *size, seed=7))
    fraction = sum(match.significant for match in matches) / len(matches)
    assert 0.015 < fraction < 0.1  # 0.05 expected; both sides are samples of some hundreds
    assert sum(match.cosine for match in matches) / len(matches) == pytest.approx(mean, abs=0.02)
    for match in matches:
        assert match.significant == (match.cosine > high)
        assert match.r2 == pytest.approx(match.cosine**2)


def test_the_smaller_the_kernel_the_more_it_resembles_something() -> None:
    levels = [null(*size)[1] for size in ((1, 1), (2, 2), (3, 3), (5, 5), (7, 7))]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] == 1


def test_a_kernel_of_one_pixel_is_never_significant_and_zeros_are_called_zero() -> None:
    assert not any(match.significant for match in identify(random_kernels(5, 1, 1, 1)))
    zero, alive = identify(torch.cat([torch.zeros(1, 1, 3, 3), bank("laplacian").kernels]))
    assert (zero.family, zero.cosine, zero.significant) == ("none", 0, False)
    assert alive.name == "laplacian"
    assert fit_gabor(torch.zeros(2, 1, 3, 3)) == [None, None]


def test_small_kernels_are_not_called_gabors() -> None:
    packets = bank("gabor", size=3, orientations=8).kernels
    assert all(match.family != "gabor" for match in identify(packets))


def test_a_kernel_of_several_channels_is_known_by_its_shape() -> None:
    shape = bank("sobel[dx]").kernels[0]
    match = identify(torch.cat([shape, -2 * shape, 0.5 * shape])[None])[0]
    assert (match.name, match.cosine, match.orientation) == ("sobel", pytest.approx(1), pytest.approx(180))


@pytest.mark.parametrize(
    ("degrees", "phase", "amplitude", "y"),
    [(0, 0, 1, 0), (12.3, 90, 0.01, 0.7), (90, -90, 100, -1), (179, 180, 3, 0.2), (61, -45, 5, 0.5)],
)
def test_a_gabor_fit_returns_the_gabor(degrees, phase, amplitude, y) -> None:
    size, along = 13, torch.arange(13, dtype=torch.float64) - 6
    angle, wavelength, sigma, aspect = math.radians(degrees), 4.5, 1.9, 0.8
    u = along * math.cos(angle) + (along - y)[:, None] * math.sin(angle)
    v = (along - y)[:, None] * math.cos(angle) - along * math.sin(angle)
    wave = torch.cos(2 * math.pi * u / wavelength + math.radians(phase))
    kernel = amplitude * torch.exp(-(u**2 + (aspect * v) ** 2) / (2 * sigma**2)) * wave
    fit = fit_gabor(kernel.view(1, 1, size, size))[0]
    assert fit.r2 == pytest.approx(1, abs=1e-6)
    assert (fit.wavelength, fit.frequency) == (pytest.approx(wavelength, rel=1e-2), pytest.approx(1 / 4.5, rel=1e-2))
    assert apart(fit.orientation, degrees, 180) < 0.5
    assert (fit.sigma, fit.aspect) == (pytest.approx(sigma, rel=0.02), pytest.approx(aspect, rel=0.02))
    assert fit.amplitude == pytest.approx(amplitude, rel=0.03)


@pytest.mark.parametrize("size", [(3, 3), (5, 7)])
def test_matches_and_gabor_fits_are_the_same_made_together(size: tuple[int, int]) -> None:
    kernels = random_kernels(12, 2, *size)
    kernels[3] = 0
    assert identify_and_fit(kernels) == (identify(kernels), fit_gabor(kernels))
    assert identify_and_fit(kernels[3:4]) == (identify(kernels[3:4]), [None])


def test_no_entry_of_a_dictionary_holds_another_and_all_have_unit_rows() -> None:
    for size in ((3, 3), (4, 4), (5, 3), (1, 5)):
        entries = dictionary(*size)
        assert len({entry.name for entry in entries}) == len(entries)
        for entry in entries:
            gram = entry.span_LN @ entry.span_LN.T
            torch.testing.assert_close(gram, torch.eye(len(gram), dtype=torch.float64))
        singles = torch.cat([entry.span_LN for entry in entries if len(entry.span_LN) == 1])
        cosines = (singles @ singles.T).abs() - torch.eye(len(singles))
        assert float(cosines.max()) < 1 - 1e-6


def test_a_match_is_plain_numbers() -> None:
    match = identify(bank("gabor(size=7)").kernels)[0]
    assert isinstance(match, Match)
    for value in vars(match).values():
        assert value is None or isinstance(value, (str, int, float, bool, tuple))
