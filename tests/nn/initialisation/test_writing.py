"""Laws of writing a bank into a convolution. O output, C channel, N patch."""

import copy
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cnnlab.filters.bank import FilterBank, bank
from cnnlab.nn.initialisation.writing import initialise

BANK = bank("sobel + laplacian")
ROOT_TWO = 2**0.5


def norms(conv: nn.Conv2d) -> Tensor:
    return conv.weight.detach().flatten(1).norm(dim=1)


def patches(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_the_bank_is_written_as_it_is_and_the_bias_is_zeroed() -> None:
    conv = nn.Conv2d(1, 3, 3)
    report = initialise(conv, BANK, gain="keep")
    torch.testing.assert_close(conv.weight.detach(), BANK.kernels.float())
    assert (conv.bias == 0).all()
    assert report.bias_zeroed
    assert conv.weight.requires_grad
    assert [f.kernel for f in report.filters] == ["sobel_dy", "sobel_dx", "laplacian"]
    assert report.fit == "as given"
    assert report.source == BANK.source


@settings(max_examples=60, deadline=None)
@given(
    outputs=st.integers(1, 12),
    inputs=st.sampled_from([1, 2, 3, 5]),
    groups=st.sampled_from([1, 2, 3]),
    side=st.sampled_from([(3, 3), (4, 4), (7, 5), (11, 11)]),
    channels=st.sampled_from(["luminance", "each"]),
    fill=st.sampled_from(["random", "flips", "orientations", "scales"]),
    fit=st.sampled_from(["embed", "resample"]),
    gain=st.sampled_from(["kaiming", "layer", "response", "keep"]),
)
def test_the_report_tells_how_to_rebuild_every_filter(
    outputs: int,
    inputs: int,
    groups: int,
    side: tuple[int, int],
    channels: str,
    fill: str,
    fit: str,
    gain: str,
) -> None:
    conv = nn.Conv2d(inputs * groups, outputs * groups, side, groups=groups)
    report = initialise(
        conv, BANK, channels=channels, fill=fill, fit=fit, gain=gain, surplus="first",
        patches_NChw=patches(4, inputs * groups, 16, 16),
    )  # fmt: skip
    assert [f.output for f in report.filters] == list(range(outputs * groups))
    assert [f.group for f in report.filters] == [g for g in range(groups) for _ in range(outputs)]
    plain = nn.Conv2d(inputs, 3 * (inputs if channels == "each" else 1), side)
    kept = initialise(plain, BANK, channels=channels, fit=fit, gain="keep")
    by_name = {(f.kernel, f.channels): plain.weight[f.output].detach() for f in kept.filters}
    for f in report.filters:
        if f.change in ("none", "negated"):
            sign = -1 if f.change == "negated" else 1
            expected = sign * f.gain * by_name[f.kernel, f.channels]
            torch.testing.assert_close(conv.weight[f.output].detach(), expected, rtol=1e-4, atol=1e-5)
        assert (f.kernel is None) == (f.channels is None) == (f.change == "random")
    shown = {f"{f.kernel} on {f.channels}" for f in report.filters}
    everything = {f"{kernel} on {row}" for kernel, row in by_name}
    assert set(report.left_out) == everything - shown
    assert json.loads(json.dumps(report.as_dict())) == report.as_dict()
    assert conv.weight.isfinite().all()


def test_more_kernels_than_outputs_are_refused_or_reported() -> None:
    conv = nn.Conv2d(3, 2, 3)
    with pytest.raises(ValueError, match=r"3 filters \(3 kernels on luminance\) for 2 outputs"):
        initialise(conv, BANK)
    report = initialise(conv, BANK, surplus="first", gain="keep")
    assert report.left_out == ("laplacian on luminance",)
    torch.testing.assert_close(conv.weight.detach().sum(dim=1), BANK.kernels[:2, 0].float())


def test_a_refused_bank_leaves_the_convolution_as_it_was() -> None:
    conv = nn.Conv2d(3, 2, 3)
    before = copy.deepcopy(conv.state_dict())
    for wrong in ({}, {"gain": "response", "surplus": "first"}, {"channels": "luma"}):
        with pytest.raises(ValueError, match=r"."):
            initialise(conv, BANK, **wrong)
    assert all(torch.equal(before[k], v) for k, v in conv.state_dict().items())


def test_flips_are_the_bank_negated_and_the_rest_is_random() -> None:
    conv = nn.Conv2d(1, 8, 3)
    report = initialise(conv, BANK, fill="flips", gain="keep")
    torch.testing.assert_close(conv.weight[3:6], -conv.weight[:3])
    assert [f.change for f in report.filters] == ["none"] * 3 + ["negated"] * 3 + ["random"] * 2


def test_orientations_turn_the_bank_by_equal_steps_of_a_half_turn() -> None:
    conv = nn.Conv2d(1, 4, 7)
    report = initialise(conv, bank("sobel")["dx"], fill="orientations", gain="keep")
    assert [f.change for f in report.filters] == [
        "none", "rotated by 45 degrees", "rotated by 90 degrees", "rotated by 135 degrees",
    ]  # fmt: skip
    dy, _ = bank("sobel").kernels[:, 0].float()
    torch.testing.assert_close(conv.weight[2, 0, 2:5, 2:5].detach(), dy)  # turned from x to y


@pytest.mark.parametrize("fill", ["orientations", "flips"])
def test_filling_repeats_no_filter(fill: str) -> None:
    conv = nn.Conv2d(1, 12, 7)
    crossing = bank("sobel + laplacian")  # d/dx turned by 90 degrees is d/dy
    negatives = FilterBank(torch.cat([crossing.kernels, -crossing.kernels]), tuple("abcdef"), "test")
    for start in (crossing, negatives):
        report = initialise(conv, start, fill=fill)
        assert {f.change for f in report.filters} != {"none", "random"} or start is negatives
        cosine = nn.functional.cosine_similarity(conv.weight.flatten(1)[:, None], conv.weight.flatten(1), dim=2)
        assert (cosine - torch.eye(12)).max() < 0.9999


def test_a_kernel_that_no_turn_changes_is_filled_up_at_random() -> None:
    one = FilterBank(torch.ones(1, 1, 1, 1, dtype=torch.float64), ("identity",), "test")
    report = initialise(nn.Conv2d(1, 4, 1), one, fill="orientations")
    assert [f.change for f in report.filters] == ["none", "random", "random", "random"]


def test_scales_grow_by_two_taps_while_they_fit_and_the_rest_is_random() -> None:
    conv = nn.Conv2d(1, 8, 7)
    report = initialise(conv, bank("sobel"), fill="scales", gain="keep")
    assert [f.change for f in report.filters[::2]] == ["none", "scaled to 5x5", "scaled to 7x7", "random"]
    support = [int((w != 0).any(dim=0).sum()) for w in conv.weight[1::2, 0]]
    assert support[:3] == [2, 4, 6]  # the middle column of d/dx is 0


def test_random_filters_have_the_kaiming_variance_and_follow_the_generator() -> None:
    conv = nn.Conv2d(3, 512, 5)
    initialise(conv, BANK, gain="keep", generator=torch.Generator().manual_seed(1))
    first = conv.weight.detach().clone()
    assert first[3:].std().item() == pytest.approx((2 / 75) ** 0.5, rel=0.02)
    state = torch.get_rng_state()
    initialise(conv, BANK, gain="keep", generator=torch.Generator().manual_seed(1))
    assert torch.equal(conv.weight, first)
    assert torch.equal(torch.get_rng_state(), state)


def test_fill_error_refuses_to_invent_filters() -> None:
    with pytest.raises(ValueError, match=r"only 3 filters for 4 outputs .* random, flips, orientations, scales"):
        initialise(nn.Conv2d(1, 4, 3), BANK, fill="error")


@pytest.mark.parametrize("inputs", [1, 3])
def test_kaiming_gain_gives_every_filter_norm_root_two_whatever_the_fan_in(inputs: int) -> None:
    conv = nn.Conv2d(inputs, 16, 7)
    initialise(conv, BANK, gain="kaiming")
    torch.testing.assert_close(norms(conv), torch.full((16,), ROOT_TWO))


def test_layer_gain_gives_every_filter_the_root_mean_square_norm_of_before() -> None:
    conv = nn.Conv2d(3, 16, 7)
    before = norms(conv).square().mean().sqrt()
    initialise(conv, BANK, gain="layer")
    torch.testing.assert_close(norms(conv), before.expand(16))


@pytest.mark.parametrize(("groups", "dilation"), [(1, 1), (3, 1), (1, 2)])
def test_response_gain_gives_unit_deviation_on_the_patches(groups: int, dilation: int) -> None:
    conv = nn.Conv2d(3, 12, 3, groups=groups, dilation=dilation, stride=2, padding=1)
    images = patches(16, 3, 12, 12) ** 2
    initialise(conv, BANK, gain="response", patches_NChw=images, fill="random")
    plain = nn.Conv2d(3, 12, 3, groups=groups, dilation=dilation, bias=False)
    plain.load_state_dict({"weight": conv.weight})
    deviation = plain(images).detach().std(dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(deviation, torch.ones(12), rtol=1e-4, atol=0)


def test_patches_without_contrast_or_of_a_wrong_shape_are_refused() -> None:
    conv = nn.Conv2d(3, 3, 3)
    with pytest.raises(ValueError, match=r"without any answer, outputs \[0, 1, 2\]"):
        initialise(conv, BANK, gain="response", patches_NChw=torch.ones(2, 3, 8, 8))
    with pytest.raises(ValueError, match=r"must be \(N, 3, >= 3, >= 3\), got \(2, 1, 8, 8\)"):
        initialise(conv, BANK, gain="response", patches_NChw=torch.ones(2, 1, 8, 8))
    with pytest.raises(ValueError, match="needs patches_NChw"):
        initialise(conv, BANK, gain="response")


def test_each_channel_alone_sees_its_kernels() -> None:
    conv = nn.Conv2d(3, 9, 3)
    report = initialise(conv, BANK, channels="each", gain="keep")
    for f in report.filters:
        other = [c for c in range(3) if f"channel_{c}" != f.channels]
        assert (conv.weight[f.output, other] == 0).all()
        assert (conv.weight[f.output] != 0).any()


def test_opponent_filters_are_blind_to_grey_but_the_luminance_is_not() -> None:
    conv = nn.Conv2d(3, 9, 3)
    report = initialise(conv, BANK, channels="opponent")
    grey = conv.weight.detach().sum(dim=1).flatten(1).norm(dim=1)
    assert [f.channels for f in report.filters[::3]] == ["luminance", "red_green", "yellow_blue"]
    assert (grey[:3] > 0.5).all()
    assert (grey[3:] < 1e-6).all()


def test_luminance_answers_to_grey_rgb_as_to_grey() -> None:
    one, three = nn.Conv2d(1, 3, 3), nn.Conv2d(3, 3, 3)
    for conv in (one, three):
        initialise(conv, BANK, gain="keep")
    grey = patches(2, 1, 8, 8)
    torch.testing.assert_close(three(grey.expand(-1, 3, -1, -1)), one(grey), rtol=1e-4, atol=1e-5)


def test_a_depthwise_convolution_receives_the_bank_in_every_channel() -> None:
    conv = nn.Conv2d(4, 12, 3, groups=4)
    initialise(conv, BANK, gain="keep")
    torch.testing.assert_close(conv.weight.detach(), BANK.kernels.float().repeat(4, 1, 1, 1))


def test_kernels_of_another_size_are_embedded_resampled_or_refused() -> None:
    large, small = nn.Conv2d(1, 3, 7), nn.Conv2d(1, 3, 3)
    assert initialise(large, BANK, gain="keep").fit == "3x3 embedded in 7x7"
    torch.testing.assert_close(large.weight[..., 2:5, 2:5].detach(), BANK.kernels.float())
    assert initialise(large, BANK, fit="resample").fit == "3x3 resampled to 7x7"
    assert (large.weight[1] != 0).sum() == 42
    wide = bank("sobel(size=5)")
    with pytest.raises(ValueError, match="5x5 does not fit into a convolution of 3x3; use fit='resample'"):
        initialise(small, wide)
    initialise(small, wide, fit="resample")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fill": "flip"}, "unknown fill 'flip' .did you mean 'flips'"),
        ({"fit": "crop"}, "unknown fit 'crop'; valid: embed, resample"),
        ({"gain": "kaimin"}, "did you mean 'kaiming'"),
        ({"surplus": "drop"}, "unknown surplus 'drop'"),
        ({"channels": "opponent"}, "needs 3 channels .* got 1"),
    ],
)
def test_a_wrong_choice_is_named(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        initialise(nn.Conv2d(1, 4, 3), BANK, **wrong)


def test_only_a_convolution_is_written() -> None:
    with pytest.raises(ValueError, match=r"nn\.Conv2d, got Linear"):
        initialise(nn.Linear(3, 3), BANK)


def test_a_zero_kernel_has_no_norm_to_match() -> None:
    nothing = FilterBank(torch.zeros(1, 1, 3, 3, dtype=torch.float64), ("nothing",), "test")
    with pytest.raises(ValueError, match=r"outputs \[0\]"):
        initialise(nn.Conv2d(1, 1, 3), nothing)
