"""Arms: how they are written, and what every start and control keeps and destroys."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from cnnlab.studies.arms import NORM, Arm, read_arm, start_filters
from cnnlab.studies.starts import STARTS

GREY = torch.ones(1, 1, dtype=torch.float64)
OPPONENT = torch.tensor([[0.299, 0.587, 0.114], [2**-0.5, -(2**-0.5), 0], [6**-0.5, 6**-0.5, -2 * 6**-0.5]])
STRUCTURED = [name for name, start in STARTS.items() if start.structured]


def patches(channels: int = 1, size: int = 3, count: int = 4000) -> Tensor:
    """Smooth noise: neighbours are alike, so that its components have an order."""
    noise = torch.randn(count, channels, size + 2, size + 2, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.avg_pool2d(noise, 3, stride=1)


def filters(text: str, shape: tuple = (9, 1, 3, 3), seed: int = 0, match: str = "norm") -> Tensor:
    mix = GREY if shape[1] == 1 else OPPONENT
    return start_filters(read_arm(text), shape, seed, mix, patches(shape[1], shape[2]), match)


@pytest.mark.parametrize("shape", [(9, 1, 3, 3), (9, 1, 5, 5), (27, 3, 3, 3), (27, 3, 5, 5)], ids=str)
@pytest.mark.parametrize("start", STARTS)
def test_every_filter_of_every_start_has_norm_root_two(start: str, shape: tuple) -> None:
    start_OChw = filters(start, shape)
    assert start_OChw.shape == shape
    torch.testing.assert_close(start_OChw.flatten(1).norm(dim=1), torch.full((shape[0],), NORM, dtype=torch.float64))


@pytest.mark.parametrize("start", STARTS)
def test_matched_in_response_all_filters_respond_to_patches_alike(start: str) -> None:
    response = torch.einsum("ochw,nchw->no", filters(start, match="response"), patches().double())
    wanted = (2 * patches().double().flatten(1).T.cov().trace() / 9).sqrt()
    torch.testing.assert_close(response.std(0), wanted.expand(9), rtol=1e-9, atol=0)


@pytest.mark.parametrize("shape", [(9, 1, 3, 3), (27, 3, 3, 3)], ids=str)
@pytest.mark.parametrize("start", STRUCTURED)
def test_one_order_for_the_whole_bank_keeps_means_rank_and_inner_products(start: str, shape: tuple) -> None:
    bank, twin = filters(start, shape).flatten(1), filters(f"{start}/permuted", shape).flatten(1)
    assert not torch.allclose(bank, twin)
    torch.testing.assert_close(twin @ twin.T, bank @ bank.T)
    torch.testing.assert_close(twin.sum(1), bank.sum(1))
    torch.testing.assert_close(torch.linalg.svdvals(twin), torch.linalg.svdvals(bank))
    torch.testing.assert_close(twin.sort(1).values, bank.sort(1).values)


@pytest.mark.parametrize("start", STRUCTURED)
def test_an_order_for_each_kernel_keeps_its_values_and_nothing_between_kernels(start: str) -> None:
    bank, shuffled = filters(start).flatten(1), filters(f"{start}/shuffled").flatten(1)
    torch.testing.assert_close(shuffled.sort(1).values, bank.sort(1).values)
    assert not torch.allclose(shuffled @ shuffled.T, bank @ bank.T)


def test_the_order_is_drawn_by_the_seed_and_another_for_every_kernel_when_shuffled() -> None:
    assert torch.equal(filters("jet/permuted"), filters("jet/permuted"))
    assert not torch.equal(filters("jet/permuted"), filters("jet/permuted", seed=1))
    # The same kernel nine times: one order leaves them equal, an order each doesn't.
    ramp = "sobel[dx]"
    same = start_filters(read_arm(f"{ramp}/permuted"), (1, 1, 3, 3), 3, GREY, patches())
    assert same.flatten().sort().values.allclose(filters(ramp, (1, 1, 3, 3)).flatten().sort().values)
    apart = filters("derivatives/shuffled", (9, 1, 5, 5))
    together = filters("derivatives/permuted", (9, 1, 5, 5))
    used = [(kernels.abs() > 0).any(0).sum() for kernels in (apart, together)]
    assert used[1] == 9  # the 3x3 of a 5x5, moved, but the same for all
    assert used[0] > 9


def test_the_jet_is_complete_and_the_differences_measure_derivatives() -> None:
    torch.testing.assert_close(filters("jet").flatten(1) @ filters("jet").flatten(1).T, 2 * torch.eye(9).double())
    y, x = torch.meshgrid(torch.arange(-1.0, 2), torch.arange(-1.0, 2), indexing="ij")
    dx, dyy = filters("differences")[1, 0], filters("differences")[6, 0]
    assert (dx * x).sum() > 0
    for other in (torch.ones_like(x), y, x * y, y**2):
        assert abs(float((dx * other).sum())) < 1e-12
    assert (dyy * y**2).sum() > 0
    for other in (torch.ones_like(x), y, x, x**2):
        assert abs(float((dyy * other).sum())) < 1e-12


def test_derivatives_and_zero_mean_starts_are_blind_to_a_constant_and_random_ones_share_their_draws() -> None:
    for name in ("derivatives", "zero_mean", "orthonormal_zero_mean"):
        assert filters(name).sum((1, 2, 3)).abs().max() < 1e-12
    kaiming, zero = filters("kaiming"), filters("zero_mean")
    apart = kaiming - kaiming.mean((2, 3), keepdim=True)
    torch.testing.assert_close(
        zero, apart * (zero.flatten(1).norm(dim=1) / apart.flatten(1).norm(dim=1))[:, None, None, None]
    )
    flat = filters("orthonormal").flatten(1)
    torch.testing.assert_close(flat @ flat.T, 2 * torch.eye(9).double())


def test_pca_is_scikit_learns_and_whitening_whitens() -> None:
    theirs = PCA().fit(patches().flatten(1).double().numpy()).components_
    ours = filters("pca").flatten(1).numpy() / NORM
    np.testing.assert_allclose(np.abs(ours @ theirs.T), np.eye(9), atol=1e-6)
    white = filters("whitening").flatten(1)
    correlation = (white @ patches().flatten(1).double().T).corrcoef()
    assert (correlation - torch.eye(9)).abs().max() < 0.01


def test_a_small_bank_leaves_the_other_filters_as_the_reference_has_them() -> None:
    torch.testing.assert_close(filters("sobel")[2:], filters("kaiming")[2:])
    assert not torch.allclose(filters("sobel")[:2], filters("kaiming")[:2])
    colour, reference = filters("sobel", (27, 3, 3, 3)), filters("kaiming", (27, 3, 3, 3))
    same = [bool(torch.allclose(a, b)) for a, b in zip(colour, reference, strict=True)]
    assert same == [number % 9 >= 2 for number in range(27)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jet", Arm("jet", "jet")),
        ("jet/permuted@frozen", Arm("jet/permuted@frozen", "jet", "permuted", "frozen")),
        ("kaiming@unfrozen:3", Arm("kaiming@unfrozen:3", "kaiming", None, "unfrozen", 3)),
        ("sobel + laplacian/shuffled", Arm("sobel + laplacian/shuffled", "sobel + laplacian", "shuffled")),
    ],
)
def test_an_arm_is_read_as_it_is_written(text: str, expected: Arm) -> None:
    assert read_arm(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("jot", "did you mean 'jet'"),
        ("sobell", "did you mean 'sobel'"),
        ("jet/permute", "did you mean 'permuted'"),
        ("jet@frosen", "did you mean 'frozen'"),
        ("kaiming/permuted", "random already"),
        ("jet@unfrozen", "unfrozen:3"),
        ("jet@unfrozen:0", "from 1 on"),
        ("jet@frozen:2", "an epoch goes with unfrozen"),
        ("sobel(sise=5)", "did you mean 'size'"),
        ("", "start/control@mode"),
    ],
)
def test_a_mistake_is_told(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        read_arm(text)


@pytest.mark.parametrize(
    ("text", "shape", "words"),
    [
        ("sobel(size=5)", (9, 1, 3, 3), "5x5"),
        ("gabor(size=3, orientations=12)", (9, 1, 3, 3), "12 kernels"),
        ("gaussian", (9, 1, 4, 4), "odd side"),
        ("jet", (9, 1, 2, 2), "at least 3"),
        ("orthonormal", (10, 1, 3, 3), "at most 9"),
        ("orthonormal_mixed", (30, 3, 3, 3), "at most 9"),
        ("kaiming_mixed", (28, 3, 3, 3), "each of 3 rows"),
        ("pca", (10, 1, 3, 3), "as many filters"),
        ("jet", (10, 3, 3, 3), "equally many"),
    ],
)
def test_an_arm_that_does_not_fit_the_layer_is_named(text: str, shape: tuple, words: str) -> None:
    with pytest.raises(ValueError, match=words) as told:
        filters(text, shape)
    assert repr(text) in str(told.value)


def test_mixed_random_filters_see_one_row_of_the_channel_mix_each_as_those_of_a_bank_do() -> None:
    for name in ("kaiming_mixed", "orthonormal_mixed"):
        row_RKD = filters(name, (27, 3, 3, 3)).permute(0, 2, 3, 1).reshape(3, 9 * 9, 3)
        for row_DC, mix_C in zip(row_RKD, OPPONENT.double(), strict=True):
            along_C = mix_C / mix_C.norm()
            torch.testing.assert_close((row_DC @ along_C)[:, None] * along_C, row_DC)
        torch.testing.assert_close(filters(name), filters(name.removesuffix("_mixed")))  # grey images have one row


def test_orthonormal_mixed_filters_are_a_jet_rotated_at_random() -> None:
    """On each row as many orthonormal filters, which span what the jet spans: between them is a rotation."""
    jet, rotated = (
        filters(name, (27, 3, 3, 3)).flatten(1).unflatten(0, (3, 9)) for name in ("jet", "orthonormal_mixed")
    )
    torch.testing.assert_close(rotated @ rotated.mT, 2 * torch.eye(9).double().expand(3, 9, 9))
    between = jet @ rotated.mT / 2
    torch.testing.assert_close(between @ between.mT, torch.eye(9).double().expand(3, 9, 9))
    assert not torch.allclose(jet, rotated)
