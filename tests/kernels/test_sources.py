"""Kernels come from a network or from a file, and what can't be is one message."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from cnnlab._choices import UsageError
from cnnlab.kernels.sources import convolutions, layer_of, layer_of_file
from cnnlab.kernels.subject import example, subject_of_network
from cnnlab.nn.small_cnn import SmallCNN

KERNELS = torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("wrapped", [{}, {"state_dict": None}, {"model": None}])
def test_the_entry_of_a_file_is_called_as_in_its_network(tmp_path: Path, wrapped: dict[str, None]) -> None:
    content = {"conv1.weight": KERNELS, "conv1.bias": KERNELS[0, 0], "model": {"c.weight": KERNELS.half()}}
    torch.save(dict.fromkeys(wrapped, content) or content, tmp_path / "a.pt")
    for name in ("conv1", "conv1.weight"):
        layer = layer_of_file(tmp_path / "a.pt", name)
        assert (layer.name, layer.subject) == ("conv1.weight", None)
        assert torch.equal(layer.kernels_KChw, KERNELS)
    half = layer_of_file(tmp_path / "a.pt", "model.c" if wrapped else "c")
    assert torch.equal(half.kernels_KChw, KERNELS.half().float())


def test_a_sparse_entry_is_made_dense(tmp_path: Path) -> None:
    torch.save({"c.weight": KERNELS.to_sparse()}, tmp_path / "sparse.pt")
    assert torch.equal(layer_of_file(tmp_path / "sparse.pt", "c").kernels_KChw, KERNELS)


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ({"c.weight": KERNELS}, None, "whose kernels.* has c.weight 8x3x3x3"),
        ({"c.weight": KERNELS}, "d.weight", r"no kernels called 'd.weight' \(did you mean 'c.weight'\?\)"),
        ({"c.weight": KERNELS[0]}, "c", "holds no kernels"),
        ({"c.weight": KERNELS.to("meta")}, "c", "holds no kernels"),
        (KERNELS, "c", "holds no kernels"),
    ],
)
def test_an_entry_that_is_not_there_is_a_mistake(tmp_path: Path, content: object, name: str | None, words: str) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(UsageError, match=words):
        layer_of_file(tmp_path / "a.pt", name)


def test_the_first_layer_is_the_one_that_is_recorded_or_else_the_first_convolution() -> None:
    shown = example(16, channels=1, classes=2, inputs=1)
    ours = SmallCNN("sobel", in_channels=1, num_classes=2)
    layer = layer_of(subject_of_network(ours, shown))
    assert layer.name == ours.first_layer
    assert list(layer.names) == list(ours.kernel_names)
    theirs = nn.Sequential(nn.Identity(), parametrizations.weight_norm(nn.Conv2d(1, 4, 3)), nn.Conv2d(4, 4, 3))
    layer = layer_of(subject_of_network(theirs, shown))
    assert (layer.name, layer.names) == ("1", ())
    assert torch.equal(layer.kernels_KChw, theirs[1].weight.detach()), "as it is used, whatever computes it"
    assert list(convolutions(theirs)) == ["1", "2"]
    with pytest.raises(UsageError, match="has no convolution"):
        layer_of(subject_of_network(nn.Flatten(), shown))
