"""Published rows, and fields of the networks that torchvision builds."""

import math

import pytest
import torch
import torchvision

from cnnlab.receptive import ReceptiveField, receptive_fields

# Araujo, Norris & Sim 2019, Distill, table of receptive fields; AlexNet: torchvision's, from its own layers.
PUBLISHED = [
    ("vgg16", (3, 224, 224), "features.30", 212, 32, 90),
    ("vgg16", (3, 64, 96), "features.30", 212, 32, 90),  # a field larger than the image
    ("inception_v3", (3, 299, 299), "Mixed_7c", 1311, 32, 618),
    ("alexnet", (3, 224, 224), "features.12", 195, 32, 66),
    ("alexnet", (3, 480, 640), "features.12", 195, 32, 66),
    (
        "resnet50",
        (3, 224, 224),
        "layer4",
        427,
        32,
        213,
    ),  # stride in the 3x3 convolution; published 483 has it in the 1x1
    ("resnet152", (3, 224, 224), "layer4", 1451, 32, 725),
]


def fields_of(name: str, shape: tuple[int, int, int]) -> dict[str, ReceptiveField]:
    """Fields of a torchvision network without weights."""
    options = {"init_weights": False} if name in ("inception_v3", "googlenet") else {}
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        network = torchvision.models.get_model(name, weights=None, **options)
    return receptive_fields(network.eval(), shape)


@pytest.mark.parametrize(("name", "shape", "layer", "size", "stride", "padding"), PUBLISHED)
def test_published_rows(name: str, shape: tuple, layer: str, size: int, stride: int, padding: int) -> None:
    field = fields_of(name, shape)[layer]
    assert field.unbounded is None
    assert field.size == (size, size)
    assert field.stride == (stride, stride)
    assert field.padding == (padding, padding)
    assert field.centre == ((size - 1) / 2 - padding,) * 2
    assert field.box(0, 0) == (-padding, -padding, size - 1 - padding, size - 1 - padding)


def test_resnet_with_the_stride_in_the_1x1_convolution_has_the_published_size_483() -> None:
    with torch.device("meta"):
        network = torchvision.models.resnet50(weights=None).eval()
    for layer in (network.layer2, network.layer3, network.layer4):
        layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
    field = receptive_fields(network, (3, 224, 224))["layer4"]
    assert (field.size, field.stride, field.padding) == ((483, 483), (32, 32), (241, 241))


# name -> the first reason, and the largest bounded size along h.
ENDS = {
    "convnext_tiny": ("global pooling in avgpool", 1688),
    "densenet121": ("global pooling in the network itself", 2071),
    "efficientnet_b0": ("squeeze-and-excite in features.1.0.block.1", 7),
    "efficientnet_v2_s": ("squeeze-and-excite in features.4.0.block.2", 111),
    "googlenet": ("global pooling in avgpool", 379),
    "maxvit_t": ("squeeze-and-excite in blocks.0.layers.0.layers.MBconv.layers.squeeze_excitation", 11),
    "mnasnet1_0": ("global pooling in the network itself", 843),
    "mobilenet_v2": ("global pooling in the network itself", 491),
    "mobilenet_v3_large": ("squeeze-and-excite in features.4.block.2", 35),
    "regnet_x_400mf": ("global pooling in avgpool", None),
    "regnet_y_400mf": ("squeeze-and-excite in trunk_output.block1.block1-0.f.se", None),
    "resnet18": ("global pooling in avgpool", 435),
    "resnext50_32x4d": ("global pooling in avgpool", 427),
    "shufflenet_v2_x1_0": ("global pooling in the network itself", 527),
    "squeezenet1_1": ("global pooling in classifier.3", 207),
    "swin_t": ("attention in features.7.0.attn", 952),
    "swin_v2_t": ("attention in features.7.0.attn", 960),
    "vgg11_bn": ("linear layer over all positions in classifier.0", 150),
    "vit_b_32": ("attention in encoder.layers.encoder_layer_0.self_attention", 32),
}


@pytest.mark.parametrize("name", ENDS)
def test_every_kind_of_torchvision_network_has_fields(name: str) -> None:
    reason, largest = ENDS[name]
    fields = fields_of(name, (3, 224, 224))
    assert fields[""].unbounded == reason
    bounded = [field for field in fields.values() if field.unbounded is None]
    if largest is not None:
        assert max(field.size[0] for field in bounded) == largest
    for field in bounded:
        assert all(math.isfinite(number) and number >= 1 for number in (*field.size, *field.stride))
    # Nothing is bounded after the first layer that isn't, but for parallel branches and what is before the pooling.
    assert fields[""].size == (None, None)


def test_no_family_of_torchvision_networks_is_left_out() -> None:
    names = torchvision.models.list_models(module=torchvision.models)
    tested = {*ENDS, *(row[0] for row in PUBLISHED)}
    prefixes = {name[:4] for name in tested}
    assert {name for name in names if name[:4] not in prefixes} <= {"wide_resnet50_2", "wide_resnet101_2"}


def test_fields_grow_along_a_chain() -> None:
    sizes = [field.size[0] for name, field in fields_of("vgg16", (3, 64, 64)).items() if name.startswith("features.")]
    assert sizes == sorted(sizes)
