"""Laws of torchvision's networks under a bank. B batch, C channel, K class."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision.models
from torch import nn

from cnnlab.filters.bank import bank
from cnnlab.nn.torchvision_net import EXTRA_ARGUMENTS, TorchvisionNet, find_stem, network_names

BANK = bank("sobel + laplacian")
STEMS = {
    "resnet18": "conv1",
    "mobilenet_v3_small": "features.0.0",
    "squeezenet1_0": "features.0",
    "shufflenet_v2_x0_5": "conv1.0",
    "efficientnet_b0": "features.0.0",
    "googlenet": "conv1.conv",
    "densenet121": "features.conv0",
}


@pytest.fixture
def network(values_of: Callable) -> Callable[..., TorchvisionNet]:
    """As configs/model/torchvision.yaml describes it."""

    def build(in_channels: int = 3, num_classes: int = 10, **changes: Any) -> TorchvisionNet:
        values = values_of("torchvision") | changes
        assert values.pop("_target_") == "cnnlab.nn.torchvision_net.TorchvisionNet"
        return TorchvisionNet(in_channels=in_channels, num_classes=num_classes, **values)

    return build


@pytest.mark.parametrize("name", STEMS)
def test_a_network_takes_the_channels_and_classes_of_the_data_and_the_bank_in_its_stem(
    name: str, network: Callable
) -> None:
    net = network(2, 7, name=name, bank=BANK, gain="keep")
    assert net.stem_name == STEMS[name]
    assert net.stem is next(m for m in net.modules() if isinstance(m, nn.Conv2d))
    logits_BK = net(torch.rand(2, 2, 64, 64))
    assert logits_BK.shape == (2, 7)
    logits_BK.square().sum().backward()
    assert net.stem.weight.grad.abs().max() > 0
    kernels = net.first_layer_kernels()
    start = kernels.shape[-1] // 2 - 1
    inner = kernels[:3, :, start : start + 3, start : start + 3].sum(dim=1)
    torch.testing.assert_close(inner, BANK.kernels[:, 0].float())
    assert [f.kernel for f in net.stem_report.filters[:4]] == [*BANK.names, None]


@pytest.mark.parametrize(
    "name", ["vit_b_16", "swin_t", "convnext_tiny", "mnasnet0_5", "vgg11", "alexnet", "inception_v3"]
)
def test_the_stem_is_the_first_convolution_called(name: str) -> None:
    with torch.device("meta"):
        net = torchvision.models.get_model(name, weights=None, **EXTRA_ARGUMENTS.get(name, {}))
        stem = net.get_submodule(find_stem(net))
    assert stem.in_channels == 3


def test_the_stem_is_found_by_the_call_and_not_by_the_order_of_definition() -> None:
    class Reversed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.second, self.first = nn.Conv2d(4, 2, 1), nn.Conv2d(3, 4, 1)

        def forward(self, image_BCHW: torch.Tensor) -> torch.Tensor:
            return self.second(self.first(image_BCHW))

    net = Reversed()
    assert find_stem(net) == "first"
    assert net(torch.rand(1, 3, 4, 4)).shape == (1, 2, 4, 4)
    with pytest.raises(ValueError, match=r"Linear calls no nn\.Conv2d"):
        find_stem(nn.Linear(224, 1))


def test_without_a_bank_the_stem_keeps_its_random_start(network: Callable) -> None:
    torch.manual_seed(0)
    plain = torchvision.models.resnet18(num_classes=10)
    torch.manual_seed(0)
    net = network()
    assert net.stem_report is None
    assert torch.equal(net.first_layer_kernels(), plain.conv1.weight)


def test_bank_and_control_differ_in_the_stem_only_and_share_its_norm(network: Callable) -> None:
    torch.manual_seed(0)
    control = network(1)
    torch.manual_seed(0)
    net = network(1, bank=BANK)
    differing = [k for k, v in net.state_dict().items() if not torch.equal(v, control.state_dict()[k])]
    assert differing == ["network.conv1.weight"]
    norm = net.first_layer_kernels().flatten(1).norm(dim=1)
    torch.testing.assert_close(
        norm.square().mean(), control.first_layer_kernels().flatten(1).norm(dim=1).square().mean()
    )


@pytest.mark.parametrize("in_channels", [1, 5])
def test_a_stem_for_other_channels_keeps_geometry_and_norm(in_channels: int, network: Callable) -> None:
    torch.manual_seed(0)
    old, new = network().stem, network(in_channels).stem
    assert new.in_channels == in_channels
    assert (new.kernel_size, new.stride, new.padding, new.bias) == (
        old.kernel_size,
        old.stride,
        old.padding,
        None,
    )
    ratio = new.weight.square().sum() / old.weight.square().sum()
    assert ratio.item() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_0", "mobilenet_v3_small"])
def test_stages_are_named_in_order_and_end_in_the_logits(name: str, network: Callable) -> None:
    net = network(name=name).eval()
    image_BCHW = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        stages, logits_BK = net.stages(image_BCHW), net(image_BCHW)
    assert list(stages)[-1] == "logits"
    assert torch.equal(stages["logits"], logits_BK)
    assert all(value.shape[0] == 2 for value in stages.values())
    assert not any(module._forward_hooks for module in net.modules())
    if name == "resnet18":
        assert list(stages) == [
            "conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "logits",
        ]  # fmt: skip
        assert (stages["bn1"] < 0).any(), "the ReLU in place must not reach the stage before it"
        torch.testing.assert_close(stages["relu"], stages["bn1"].relu())
    else:
        assert list(stages)[:2] == ["features.0", "features.1"]


def test_resize_lets_small_images_into_large_networks(network: Callable) -> None:
    digits = torch.rand(2, 1, 28, 28)
    with pytest.raises(ValueError, match=r"alexnet cannot take images of 28x28; set resize .*too small"):
        network(1, name="alexnet")(digits)
    net = network(1, name="alexnet", resize=64).eval()
    assert net(digits).shape == (2, 10)
    assert net.stages(digits)["features.0"].shape[-2:] == (15, 15)


def test_other_errors_of_torch_pass_unchanged(network: Callable) -> None:
    with pytest.raises(RuntimeError, match=r"dtype|type"):
        network()(torch.rand(2, 3, 32, 32, dtype=torch.float64))


def test_wrong_values_are_named(network: Callable) -> None:
    with pytest.raises(ValueError, match=r"unknown network 'resnet19' \(did you mean 'resnet18'"):
        network(name="resnet19")
    with pytest.raises(ValueError, match=r"images \(B, 1, H, W\), got \(2, 3, 32, 32\)"):
        network(1)(torch.rand(2, 3, 32, 32))
    with pytest.raises(ValueError, match="must be positive"):
        network(resize=0)
    with pytest.raises(ValueError, match="unknown weights of resnet18 'IMAGENET'"):
        network(weights="IMAGENET")
    with pytest.raises(ValueError, match="unknown fill 'flip'"):
        network(bank=BANK, fill="flip")


def test_only_classification_networks_are_offered() -> None:
    names = network_names()
    assert {"resnet18", "vit_b_16", "inception_v3"} <= set(names)
    assert not {
        "fasterrcnn_resnet50_fpn",
        "fcn_resnet50",
        "raft_small",
        "r3d_18",
        "quantized_resnet18",
    } & set(names)


def test_published_weights_fill_all_but_the_head_and_a_bank_is_written_over_them(
    network: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = torchvision.models.resnet18(num_classes=1000).state_dict()
    (tmp_path / "checkpoints").mkdir()
    weights = torchvision.models.ResNet18_Weights.DEFAULT
    torch.save(published, tmp_path / "checkpoints" / Path(weights.url).name)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    state = network(weights="DEFAULT").network.state_dict()
    own = [name for name, value in state.items() if value.shape != published[name].shape]
    assert own == ["fc.weight", "fc.bias"]
    assert all(torch.equal(state[name], published[name]) for name in state if name not in own)
    net = network(weights="IMAGENET1K_V1", bank=BANK)
    assert not torch.equal(net.first_layer_kernels(), published["conv1.weight"])
    assert torch.equal(net.network.layer1[0].conv1.weight, published["layer1.0.conv1.weight"])


def test_a_saved_network_loads_weights_only(network: Callable) -> None:
    net, file = network(1, name="squeezenet1_0", bank=BANK), io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    twin = network(1, name="squeezenet1_0")
    twin.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(twin.first_layer_kernels(), net.first_layer_kernels())


def test_unit_response_takes_patches(network: Callable) -> None:
    patches_NChw = torch.rand(8, 3, 16, 16)
    net = network(bank=BANK, gain="response", patches_NChw=patches_NChw)
    response = nn.functional.conv2d(patches_NChw, net.first_layer_kernels())
    torch.testing.assert_close(response.std(dim=(0, 2, 3)), torch.ones(64), rtol=1e-2, atol=0)
