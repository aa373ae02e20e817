from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import cnnlab.nn
from cnnlab.filters import bank
from cnnlab.nn.rebuilding import describe
from cnnlab.nn.torchvision_net import TorchvisionNet


@pytest.mark.parametrize("expression", ["sobel + laplacian", "quadrature(size=5)", "pca[0:4]"])
def test_a_network_is_rebuilt_without_its_data(expression: str, values_of: Callable, tmp_path: Path) -> None:
    """Also from a bank that was learned from images: its kernels travel with the checkpoint."""
    patches = torch.rand(50, 1, 5, 5) if "pca" in expression else None
    kernels = bank(expression, patches=patches)
    arguments = {**values_of("edge_fixed"), "in_channels": 2, "num_classes": 4}
    del arguments["_target_"], arguments["bank"]
    network = cnnlab.nn.SmallCNN(kernels, **arguments).eval()
    about = describe(network)
    torch.save({"network": about, "state_dict": network.state_dict()}, tmp_path / "a.ckpt")
    checkpoint = torch.load(tmp_path / "a.ckpt", weights_only=True)
    twin = cnnlab.nn.rebuild(checkpoint["network"]).eval()
    twin.load_state_dict(checkpoint["state_dict"])
    image_BCHW = torch.rand(2, 2, 20, 20)
    assert torch.equal(twin(image_BCHW), network(image_BCHW))


def test_a_torchvision_network_without_a_bank_is_rebuilt() -> None:
    network = cnnlab.nn.rebuild(describe(TorchvisionNet("squeezenet1_1", in_channels=1, num_classes=3)))
    assert isinstance(network, TorchvisionNet)
    assert network(torch.rand(1, 1, 64, 64)).shape == (1, 3)


@pytest.mark.parametrize(
    "target",
    ["os.system", "torch.nn.Linear", "cnnlab.nn.small_cnn.nn.Linear", "cnnlab.nn.x.Y"],
)
def test_only_networks_of_cnnlab_are_rebuilt(target: str) -> None:
    with pytest.raises(ValueError, match="is no network of cnnlab"):
        cnnlab.nn.rebuild({"target": target, "arguments": {}, "bank": None})
