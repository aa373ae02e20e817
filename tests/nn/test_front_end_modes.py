"""Laws of the modes, starts and gains of the front end. B batch, C channel, H, W image."""

import pytest
import torch
from torch import Tensor

from cnnlab.filters.bank import FilterBank, bank
from cnnlab.nn.front_end import MODES, FrontEnd

BANK = bank("sobel + laplacian + central(order=2)")


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def step(front_end: FrontEnd, weight_decay: float = 0.0) -> None:
    """One step of gradient descent on a loss that every response takes part in."""
    front_end.zero_grad()
    parameters = [p for p in front_end.parameters() if p.requires_grad]
    if not parameters:
        return
    front_end(images(4, front_end.in_channels, 9, 9)).square().mean().backward()
    torch.optim.SGD(front_end.parameters(), lr=0.1, weight_decay=weight_decay).step()


def test_a_frozen_front_end_is_one_buffer_and_trains_nothing() -> None:
    front_end = FrontEnd(BANK, 3, "frozen")
    assert [name for name, _ in front_end.named_buffers()] == ["weight"]
    assert list(front_end.parameters()) == []
    assert front_end.weight.shape == (6, 3, 3, 3)


@pytest.mark.parametrize(
    ("mode", "parameters", "buffers"),
    [
        ("trainable", {"weight": (6, 3, 3, 3)}, {}),
        ("unfrozen", {"weight": (6, 3, 3, 3)}, {}),
        ("fixed_basis", {"coefficients": (6, 3, 6)}, {"basis": (6, 3, 3)}),
        ("anchored", {"weight": (6, 3, 3, 3)}, {"start": (6, 3, 3, 3)}),
    ],
)
def test_each_mode_has_exactly_these_parameters_and_buffers(mode: str, parameters: dict, buffers: dict) -> None:
    front_end = FrontEnd(BANK, 3, mode)
    assert {n: tuple(p.shape) for n, p in front_end.named_parameters()} == parameters
    assert {n: tuple(b.shape) for n, b in front_end.named_buffers()} == buffers


@pytest.mark.parametrize("start", ["bank", "random"])
@pytest.mark.parametrize("mode", [m for m in MODES if m != "frozen"])
def test_every_entry_of_every_parameter_receives_a_gradient_and_moves(mode: str, start: str) -> None:
    torch.manual_seed(0)
    front_end = FrontEnd(BANK, 3, mode, start=start, channels="each", unfreeze_epoch=0)
    before = {name: p.detach().clone() for name, p in front_end.named_parameters()}
    step(front_end)
    assert before
    for name, parameter in front_end.named_parameters():
        assert (parameter.grad != 0).all(), name
        assert (parameter != before[name]).all(), name


def test_unfrozen_kernels_rest_until_their_epoch_and_then_move() -> None:
    front_end = FrontEnd(BANK, 1, "unfrozen", unfreeze_epoch=2)
    start = front_end.first_layer_kernels()
    for epoch in (0, 1):
        front_end.at_epoch(epoch)
        step(front_end, weight_decay=0.1)
        assert torch.equal(front_end.weight, start)
    front_end.at_epoch(2)
    step(front_end)
    assert not torch.equal(front_end.weight, start)


def test_a_resumed_release_trains_at_once_and_a_refrozen_one_loses_its_gradient() -> None:
    front_end = FrontEnd(BANK, 1, "unfrozen", unfreeze_epoch=2)
    resumed = FrontEnd(BANK, 1, "unfrozen", unfreeze_epoch=2)
    resumed.load_state_dict(front_end.state_dict())
    resumed.at_epoch(5)
    step(resumed)
    assert not torch.equal(resumed.weight, front_end.weight)
    after = resumed.first_layer_kernels()
    resumed.at_epoch(0)
    torch.optim.SGD(resumed.parameters(), lr=1.0).step()
    assert torch.equal(resumed.weight, after)


@pytest.mark.parametrize("channels", ["luminance", "each", "opponent"])
@pytest.mark.parametrize("gain", ["kaiming", "keep"])
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_starts_with_the_same_kernels(mode: str, gain: str, channels: str) -> None:
    expected = FrontEnd(BANK, 3, "frozen", gain=gain, channels=channels).weight
    kernels = FrontEnd(BANK, 3, mode, gain=gain, channels=channels).first_layer_kernels()
    torch.testing.assert_close(kernels, expected)
    if gain == "keep" and channels == "luminance":
        torch.testing.assert_close(kernels.sum(dim=1, keepdim=True), BANK.kernels.float())


def test_fixed_basis_kernels_stay_in_the_span_of_the_bank() -> None:
    small = bank("sobel + laplacian")  # 3 of 9 dimensions
    front_end = FrontEnd(small, 3, "fixed_basis")
    for _ in range(5):
        step(front_end)
    basis = small.kernels.flatten(1).T.float()
    kernels = front_end.first_layer_kernels().flatten(2).flatten(0, 1).T
    rest = kernels - basis @ torch.linalg.lstsq(basis, kernels).solution
    assert rest.abs().max() < 1e-5
    assert torch.linalg.matrix_rank(front_end.first_layer_kernels().flatten(2)[0], rtol=1e-4) > 1


def test_the_anchor_weighs_the_squared_distance_and_pulls_back_to_the_start() -> None:
    front_end = FrontEnd(BANK, 1, "anchored", anchor=0.5)
    assert front_end.penalty() == 0
    shift = images(*front_end.weight.shape)
    front_end.weight.data += shift
    torch.testing.assert_close(front_end.penalty(), 0.5 * shift.square().sum())
    front_end.penalty().backward()
    torch.testing.assert_close(front_end.weight.grad, shift, rtol=1e-4, atol=1e-5)
    torch.optim.SGD([front_end.weight], lr=1.0).step()
    torch.testing.assert_close(front_end.weight.detach(), front_end.start, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", [m for m in MODES if m != "anchored"])
def test_other_modes_have_no_penalty(mode: str) -> None:
    front_end = FrontEnd(BANK, 1, mode)
    step(front_end)
    assert front_end.penalty().shape == ()
    assert front_end.penalty() == 0


@pytest.mark.parametrize("channels", ["luminance", "each", "opponent"])
def test_kaiming_gain_gives_every_filter_norm_root_two(channels: str) -> None:
    weight = FrontEnd(BANK, 3, channels=channels).first_layer_kernels()
    torch.testing.assert_close(weight.flatten(1).norm(dim=1), torch.full((len(weight),), 2**0.5))


def test_filters_of_one_magnitude_share_their_gain() -> None:
    kernels = torch.stack([torch.full((1, 3, 3), v, dtype=torch.float64) for v in (1.0, 2.0, 5.0)])
    uneven = FilterBank(kernels, ("a", "b", "c"), "test", ((0, 1),))
    weight = FrontEnd(uneven, 1).first_layer_kernels()
    torch.testing.assert_close(weight[1], 2 * weight[0])
    torch.testing.assert_close(weight.flatten(1).square().sum(dim=1), torch.tensor([0.8, 3.2, 2.0]))


@pytest.mark.parametrize("mode", MODES)
def test_a_random_start_has_the_shape_of_the_bank_and_the_kaiming_variance(mode: str) -> None:
    torch.manual_seed(0)
    big = bank("farid(size=7, orientations=40)")
    front_end = FrontEnd(big, 3, mode, start="random", channels="each")
    kernels = front_end.first_layer_kernels()
    assert kernels.shape == FrontEnd(big, 3, mode, channels="each").first_layer_kernels().shape
    assert kernels.flatten(1).square().sum(dim=1).mean() == pytest.approx(2, rel=0.3 if mode == "fixed_basis" else 0.05)
    assert kernels.mean().abs() < 0.02


def test_random_starts_follow_the_seed_and_differ_within_it() -> None:
    torch.manual_seed(3)
    first, second = (FrontEnd(BANK, 1, start="random").first_layer_kernels() for _ in range(2))
    torch.manual_seed(3)
    again = FrontEnd(BANK, 1, start="random").first_layer_kernels()
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
