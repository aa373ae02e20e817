"""What is shown of the units of a layer: which layers, which part of an image, and no pixels twice."""

import pytest
import torch

from cnnlab.kernels.stimuli import distinct, early_layers, window_of
from cnnlab.kernels.subject import Subject, example, subject_of_network
from cnnlab.nn.small_cnn import SmallCNN
from cnnlab.receptive import receptive_fields
from cnnlab.receptive.capture import captured
from cnnlab.receptive.stimuli import Patch


@pytest.fixture(scope="module")
def looked() -> Subject:
    torch.manual_seed(0)
    network = SmallCNN("sobel", in_channels=1, num_classes=2, widths=[8])
    return subject_of_network(network, example(32, channels=1, classes=2, inputs=2))


def test_early_layers_see_more_and_more(looked: Subject) -> None:
    fields = receptive_fields(looked.network, (1, 32, 32))
    first = next(name for name in fields if name.startswith("front_end["))
    names = early_layers(looked, fields, first)
    assert names[:2] == [first, "trunk.0.0"]
    sizes = [fields[name].size[0] for name in names]
    assert sizes == sorted(set(sizes))


def test_the_image_made_for_a_unit_is_cut_to_what_the_unit_sees_and_nothing_else_matters(looked: Subject) -> None:
    layer, shape = "trunk.0.0", (1, 32, 32)
    field = receptive_fields(looked.network, shape)[layer]
    window = window_of(looked, layer, field, shape)
    top, left, bottom, right = window.part
    assert (bottom - top, right - left) == field.size
    assert window.shape[1] < 32
    image = torch.rand(1, *window.shape, requires_grad=True)
    response = captured(looked.network, layer, image)
    response[:, :, response.shape[2] // 2, response.shape[3] // 2].sum().backward()
    seen = image.grad[0, 0].abs()
    assert float(seen[top:bottom, left:right].sum()) == pytest.approx(float(seen.sum()))
    whole = window_of(looked, "", receptive_fields(looked.network, shape)[""], shape)
    assert whole.part == (0, 0, 32, 32)


def test_the_same_pixels_are_shown_once() -> None:
    pixels = torch.rand(1, 3, 3)
    patches = [Patch(4.0 - n, n, 0, (0, 0), (0, 0, 3, 3), crop) for n, crop in enumerate([pixels, pixels, -pixels])]
    assert [patch.image for patch in distinct(patches)] == [0, 2]
