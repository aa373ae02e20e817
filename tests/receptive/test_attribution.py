"""Attribution against what is known without captum: linear models, completeness, and a module left as it was."""

import copy
import sys

import pytest
import torch
from torch import nn

from cnnlab.receptive.attribution import METHODS, attribute, check_methods, map_layer

pytest.importorskip("captum", reason="captum is not installed: pip install 'cnnlab[attribution]'")


def linear(pixels: int = 2 * 4 * 4) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, 3))


def convolutional() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.Conv2d(6, 4, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


IMAGES = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(2))
CLASSES = torch.tensor([2, 0, 1])


def test_of_a_linear_model_saliency_is_the_weights_without_sign_and_the_integral_weight_times_pixel() -> None:
    model = linear()
    weight_BCHW = model[1].weight.detach()[CLASSES].view_as(IMAGES)
    found = attribute(model, IMAGES, CLASSES, ["saliency", "integrated_gradients"])
    torch.testing.assert_close(found["saliency"], weight_BCHW.abs())
    torch.testing.assert_close(found["integrated_gradients"], weight_BCHW * IMAGES)


def test_integrated_gradients_add_up_to_the_change_from_the_baseline() -> None:
    model = convolutional().eval()
    change_BK = (model(IMAGES) - model(torch.zeros_like(IMAGES))).detach()
    found = attribute(model, IMAGES, CLASSES, ["integrated_gradients"])["integrated_gradients"]
    torch.testing.assert_close(
        found.sum((1, 2, 3)).float(), change_BK.gather(1, CLASSES[:, None])[:, 0], rtol=1e-2, atol=1e-3
    )


def test_grad_cam_of_a_network_that_ends_in_a_mean_is_its_class_activation_map() -> None:
    model = convolutional().eval()
    maps_BKYX = model[:5](IMAGES).detach()
    weight_BK = model[7].weight.detach()[CLASSES]
    expected = (weight_BK[:, :, None, None] * maps_BKYX).sum(1, keepdim=True).clamp_min(0) / 16  # the mean's share
    found = attribute(model, IMAGES, CLASSES, ["grad_cam"])["grad_cam"]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert map_layer(model, IMAGES) == "4"


def test_grad_cam_of_a_named_layer_is_as_large_as_the_image() -> None:
    model = nn.Sequential(nn.AvgPool2d(2), *convolutional())
    assert attribute(model, IMAGES, CLASSES, ["grad_cam"], layer="1")["grad_cam"].shape == (3, 1, 4, 4)
    with pytest.raises(ValueError, match="unknown layer with a map '9'; valid: 0, 1, 2"):
        attribute(model, IMAGES, CLASSES, ["grad_cam"], layer="9")
    with pytest.raises(ValueError, match="this network has none"):
        attribute(linear(), IMAGES, CLASSES, ["grad_cam"])


def test_the_module_is_left_as_it_was() -> None:
    model = convolutional().train()
    model[0].weight.requires_grad_(False)
    before, state = copy.deepcopy(model.state_dict()), torch.random.get_rng_state()
    attribute(model, IMAGES, CLASSES, METHODS)
    assert all(part.training for part in model.modules())
    assert [parameter.requires_grad for parameter in model.parameters()] == [False] + [True] * 7
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(not part._forward_hooks and not part._forward_pre_hooks for part in model.modules())
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_wrong_name_and_a_missing_captum_are_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ValueError,
        match=r"attribution 'salience' \(did you mean 'saliency'\?\); valid: saliency, integrated_gradients, grad_cam",
    ):
        check_methods(["salience"])
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(ValueError, match=r"pip install 'cnnlab\[attribution\]'"):
        attribute(linear(), IMAGES, CLASSES, ["saliency"])
