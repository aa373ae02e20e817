"""The edge network: any size, derivative filters first, paired controls, an exact reach, weights that fit."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from cnnlab._arguments import plain
from cnnlab.filters import bank
from cnnlab.nn import edge_net
from cnnlab.nn.edge_net import EdgeNet, pretrained
from cnnlab.nn.front_end import FrontEnd
from cnnlab.nn.rebuilding import describe, export, load, rebuild

SMALL: dict[str, Any] = {
    "mode": "trainable", "channels": "opponent", "start": "bank", "gain": "kaiming", "rectify": "full",
    "border": "replicate", "unfreeze_epoch": 1, "anchor": 0.01, "stem_stride": 2, "widths": [4, 6, 8],
    "dilations": [[1], [1], [1, 2]], "up_width": 4,
}  # fmt: skip
SCHARR = bank("scharr")


def made(seed: int = 0, **values: Any) -> EdgeNet:
    torch.manual_seed(seed)
    return EdgeNet(SCHARR, in_channels=3, **{**SMALL, **values}).eval()


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 2), (5, 3), (16, 16), (17, 31), (33, 8)])
@pytest.mark.parametrize("stride", [1, 2])
def test_images_of_any_size_have_a_finite_logit_at_every_pixel(size: tuple[int, int], stride: int) -> None:
    network = made(stem_stride=stride)
    image = noise(2, 3, *size)
    logits = network(image)
    assert logits.shape == (2, 1, *size)
    assert logits.isfinite().all()
    sides = network.side_logits(image)
    assert sides.shape == (2, 4, *(-(-side // stride) for side in size))
    torch.testing.assert_close(network.stages(image)["logits"], logits)


def test_the_first_layer_starts_as_the_kernels_of_the_bank_on_three_colours() -> None:
    network = made(gain="keep")
    expected = FrontEnd(SCHARR, 3, "frozen", channels="opponent", gain="keep", border="replicate").kernel()
    torch.testing.assert_close(network.first_layer_kernels(), expected)
    grey_Khw = network.first_layer_kernels().sum(1)[:2]  # the luminance row; its weights sum to 1
    torch.testing.assert_close(grey_Khw, SCHARR.kernels[:, 0].float())


def test_the_controls_share_every_later_weight_with_the_network_they_are_compared_to() -> None:
    network, random, frozen = made(), made(start="random"), made(mode="frozen")
    for control in (random, frozen):
        state = control.state_dict()
        assert state.keys() == network.state_dict().keys()
        for name, value in network.state_dict().items():
            assert torch.equal(value, state[name]) == (name != "front_end.weight" or control is frozen), name
    assert network.first_layer_kernels().shape == random.first_layer_kernels().shape
    trained = {name for name, _ in network.named_parameters()}
    assert trained - {name for name, _ in frozen.named_parameters()} == {"front_end.weight"}


@pytest.mark.parametrize(
    "values", [{}, {"stem_stride": 1}, {"widths": [4], "dilations": [[3]]}, {"dilations": [[], [2], []]}]
)
def test_nothing_beyond_its_reach_matters_to_a_pixel(values: dict[str, Any]) -> None:
    network = made(**values)
    side = 2 * network.reach + 32
    image = noise(1, 3, side, side).requires_grad_()
    middle = side // 2
    for offset in range(2 * network.grid):
        at = middle + offset - network.grid
        (slope,) = torch.autograd.grad(network(image)[0, 0, at, at], image)
        seen = slope[0].abs().sum(0).nonzero()
        assert (seen - at).abs().max() <= network.reach


def test_a_shift_by_the_grid_shifts_the_map() -> None:
    """Fully convolutional: what tiles rely on."""
    network = made()
    side = 2 * network.reach + 64
    image = noise(1, 3, side, side)
    step, margin = network.grid, network.reach
    whole, part = network(image), network(image[..., step:, step:])
    inside = slice(margin, side - step - margin)
    torch.testing.assert_close(
        whole[..., step:, step:][..., inside, inside], part[..., inside, inside], atol=1e-5, rtol=0
    )


def test_a_pixel_keeps_its_place_in_images_of_any_size() -> None:
    """Cut off at the right, an odd number of pixels away, the map is the same elsewhere."""
    network = made()
    side = 2 * network.reach + 32
    image = noise(1, 3, 16, side)
    whole = network(image)
    for cut in (1, 2, 3, 7):
        part = network(image[..., :-cut])
        inside = slice(0, side - cut - network.reach)
        torch.testing.assert_close(part[..., inside], whole[..., inside], atol=1e-5, rtol=0)


def test_every_side_output_reaches_the_fused_map_and_every_weight_learns() -> None:
    network = made().train()
    network.side_logits(noise(2, 3, 32, 32))[:, -1].sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.side.parameters())
    network.zero_grad()
    network.side_logits(noise(2, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_a_network_is_built_again_from_its_checkpoint(tmp_path: Path) -> None:
    network = made(seed=3)
    about = describe(network)
    torch.save(
        {"network": about, "state_dict": network.state_dict(), "optimizer": torch.zeros(10**6)}, tmp_path / "a.ckpt"
    )
    assert export(tmp_path / "a.ckpt", tmp_path / "new" / "b.pt") < 200_000
    again = load(tmp_path / "new" / "b.pt")
    image = noise(1, 3, 20, 20)
    assert torch.equal(again(image), network(image))
    assert isinstance(rebuild(about), EdgeNet)


@pytest.mark.skipif(not edge_net.WEIGHTS.is_file(), reason="no weights were exported yet")
def test_the_weights_that_ship_are_small_and_draw() -> None:
    assert edge_net.WEIGHTS.stat().st_size < 500_000
    network = pretrained()
    assert sum(p.numel() for p in network.parameters()) <= 100_000
    assert not network.training
    image = torch.zeros(1, 3, 64, 64)
    image[..., 32:] = 1
    share = network(image).sigmoid()[0, 0]
    assert share[16:48, 30:34].mean() > 3 * share[16:48, 8:24].mean()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"widths": []}, "widths"), ({"widths": [4, 0, 4]}, "widths"), ({"up_width": 0}, "up_width"),
        ({"dilations": [[1]]}, "for each of the 3 widths"), ({"dilations": [[1], [0], [1]]}, "dilations"),
        ({"border": "reflect"}, "replicate or zeros"), ({"mode": "frozn"}, "did you mean 'frozen'"),
    ],
)  # fmt: skip
def test_values_that_cannot_be_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        made(**values)


def test_the_file_says_the_defaults_of_the_signature() -> None:
    said = OmegaConf.to_container(OmegaConf.load(Path(__file__).parents[2] / "configs" / "model" / "edge_net.yaml"))
    assert said.pop("_target_") == f"{EdgeNet.__module__}.EdgeNet"
    defaults = {name: one.default for name, one in inspect.signature(EdgeNet).parameters.items()}
    assert defaults.pop("in_channels") == 3
    assert {name: plain(value) for name, value in defaults.items()} == said
