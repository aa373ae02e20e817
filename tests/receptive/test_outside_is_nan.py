"""A unit doesn't notice that every pixel outside of its box is not a number: networks that once had no size.

B batch, C channel, H, W image; b side of a block.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from cnnlab.receptive import receptive_fields


class Net(nn.Module):
    """A function of the module and the image."""

    def __init__(self, function: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, image: Tensor) -> Any:
        return self.function(self, image)


def conv(channels: int, kernel: int = 3, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(channels, 4, kernel, padding=kernel // 2, **options)


def to_depth(image_BCHW: Tensor, b: int = 2, across: int | None = None) -> Tensor:
    """Blocks of b by `across` (b) into channels, by view and permute."""
    batch, channels, height, width = image_BCHW.shape
    c = across or b
    blocks = image_BCHW.view(batch, channels, height // b, b, width // c, c).permute(0, 3, 5, 1, 2, 4)
    return blocks.reshape(batch, channels * b * c, height // b, width // c)


def to_space(image_BCHW: Tensor) -> Tensor:
    """The inverse of `to_depth`."""
    batch, channels, height, width = image_BCHW.shape
    blocks = image_BCHW.view(batch, 2, 2, channels // 4, height, width).permute(0, 3, 4, 1, 5, 2)
    return blocks.reshape(batch, channels // 4, 2 * height, 2 * width)


def in_windows(function: Callable[[Net, Tensor], Tensor], side: int = 8, **parts: nn.Module) -> Net:
    """The function in every window of side by side pixels, as if each were an image."""

    def forward(net: Net, image_BCHW: Tensor) -> Tensor:
        batch, channels, height, width = image_BCHW.shape
        y, x = height // side, width // side
        cut = image_BCHW.view(batch, channels, y, side, x, side).permute(0, 2, 4, 1, 3, 5)
        after = function(net, cut.reshape(-1, channels, side, side))
        whole = after.view(batch, y, x, *after.shape[1:]).permute(0, 3, 1, 4, 2, 5)
        return whole.reshape(batch, after.shape[1], y * after.shape[2], x * after.shape[3])

    return Net(forward, **parts)


def segnet(
    kernel: int = 2, stride: int | None = None, padding: int = 0, between: Callable[[Tensor], Tensor] = Tensor.detach
) -> Net:
    """A pool and its inverse between two convolutions; `between` is what happens to the places of the maxima."""

    def forward(net: Net, image_BCHW: Tensor) -> Tensor:
        fine = net.a(image_BCHW)
        values, places = F.max_pool2d(fine, kernel, stride, padding, return_indices=True)
        return net.b(F.max_unpool2d(values, between(places), kernel, stride, padding, output_size=fine.shape[2:]))

    return Net(forward, a=conv(3), b=conv(4))


def inference(net: Net, image_BCHW: Tensor) -> Tensor:
    with torch.inference_mode():
        return net.c(image_BCHW)


def resampled(mode: str) -> Net:
    """A branch of half the size meets the branch that it came from."""

    def forward(net: Net, image_BCHW: Tensor) -> Tensor:
        fine = net.a(image_BCHW)
        return net.b(fine + F.interpolate(net.down(fine), size=fine.shape[2:], mode=mode))

    return Net(forward, a=conv(3), down=nn.Conv2d(4, 4, 3, 2, 1), b=conv(4))


def normalised_like(image_BCHW: Tensor) -> Tensor:
    """A norm whose weights were made from the whole image."""
    return F.batch_norm(image_BCHW, torch.zeros(3), torch.ones(3), weight=image_BCHW.mean((0, 2, 3)))


# name -> network, size, stride and padding along h and w.
SIZES = {
    "blocks into channels, convolution": (Net(lambda n, x: n.c(to_depth(x)), c=conv(12)), 6, 2, 2),
    "PixelUnshuffle, convolution": (nn.Sequential(nn.PixelUnshuffle(2), conv(12)), 6, 2, 2),
    "blocks into channels, max pool": (Net(lambda n, x: F.max_pool2d(to_depth(x), 2)), 4, 4, 0),
    "PixelUnshuffle, max pool": (nn.Sequential(nn.PixelUnshuffle(2), nn.MaxPool2d(2)), 4, 4, 0),
    "blocks, norm, pool": (Net(lambda n, x: F.max_pool2d(n.b(to_depth(x)).relu(), 2), b=nn.BatchNorm2d(12)), 4, 4, 0),
    "blocks, depthwise": (Net(lambda n, x: n.c(to_depth(x)), c=nn.Conv2d(12, 12, 3, padding=1, groups=12)), 6, 2, 2),
    "blocks, stride and dilation": (Net(lambda n, x: n.c(to_depth(x)), c=nn.Conv2d(12, 4, 3, 2, 2, 2)), 10, 4, 4),
    "blocks twice, pool": (Net(lambda n, x: F.max_pool2d(to_depth(to_depth(x)), 2)), 8, 8, 0),
    "blocks, nearest": (Net(lambda n, x: F.interpolate(to_depth(x), scale_factor=2)), 2, 1, 0),
    "blocks, border, pool": (Net(lambda n, x: F.max_pool2d(F.pad(to_depth(x), (1, 1, 1, 1)), 2)), 4, 4, 2),
    "blocks, sliced": (Net(lambda n, x: n.c(to_depth(x)[..., ::2, ::2]), c=conv(12)), 10, 4, 4),
    "blocks, windows by unfold": (Net(lambda n, x: to_depth(x).unfold(2, 2, 2).unfold(3, 2, 2).sum((-1, -2))), 4, 4, 0),
    "blocks and a skip": (Net(lambda n, x: to_depth(x) + n.c(to_depth(x)).repeat(1, 3, 1, 1), c=conv(12)), 6, 2, 2),
    "blocks there, pool, and back": (Net(lambda n, x: to_space(F.max_pool2d(to_depth(x), 2))), 3, 2, 0),
    "blocks there and back": (Net(lambda n, x: n.c(to_space(to_depth(x))), c=conv(3)), 3, 1, 1),
    "one convolution in windows": (in_windows(lambda n, x: n.c(x), c=conv(3)), 3, 1, 0),
    "two convolutions in windows": (in_windows(lambda n, x: n.d(n.c(x)), c=conv(3), d=conv(4)), 5, 1, 0),
    "a pool in windows": (in_windows(lambda n, x: F.max_pool2d(x, 2)), 2, 2, 0),
    "a strided convolution in windows": (in_windows(lambda n, x: n.c(x), c=nn.Conv2d(3, 4, 3, 2, 1)), 3, 2, 0),
    "windows that shrink": (in_windows(lambda n, x: n.c(x), c=nn.Conv2d(3, 4, 5)), 5, 2, 0),
    "a mirrored border in windows": (in_windows(lambda n, x: n.c(x), c=conv(3, padding_mode="reflect")), 8, 1, 0),
    "a norm in windows": (in_windows(lambda n, x: F.instance_norm(x)), 8, 1, 0),
    "windows less their means": (in_windows(lambda n, x: x - x.mean((2, 3), keepdim=True)), 8, 1, 0),
    "windows rolled": (in_windows(lambda n, x: n.c(x.roll(3, 2)), c=conv(3)), None, 1, None),
    "windows mirrored": (in_windows(lambda n, x: x.flip((2, 3))), 8, 1, 0),
    "unpooling": (segnet(), 6, 1, 3),
    "unpooling of 3": (segnet(3), 8, 1, 4),
    "unpooling of overlapping windows": (segnet(3, 2, 1), 9, 1, 4),
    "unpooling, places copied": (segnet(between=Tensor.clone), 6, 1, 3),
    "forward in inference mode": (Net(inference, c=nn.Sequential(conv(3), nn.BatchNorm2d(4), nn.ReLU())), 3, 1, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_the_size_is_given_and_no_unit_sees_more(betrayed: Any, name: str) -> None:
    network, size, stride, padding = SIZES[name]
    shape = (3, 36, 36) if name == "unpooling of 3" else (3, 32, 32)
    field = receptive_fields(network.eval(), shape)[""]
    assert field.unbounded is None
    assert field.stride == (stride, stride)
    assert None in (size, padding) or (field.size, field.padding) == ((size, size), (padding, padding))
    assert betrayed(network, field, shape) == []


def test_blocks_may_have_any_shape_and_a_single_channel(betrayed: Any) -> None:
    for b, across in ((2, 4), (3, 1), (1, 2)):
        network = Net(lambda net, image, b=b, across=across: F.max_pool2d(to_depth(image, b, across), 2))
        field = receptive_fields(network, (1, 24, 24))[""]
        assert (field.size, field.stride) == ((2 * b, 2 * across), (2 * b, 2 * across))
        assert betrayed(network, field, (1, 24, 24)) == []


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize("sides", [(33, 35), (31, 30), (17, 32)])
def test_a_branch_resampled_at_an_odd_size_has_a_field_for_every_unit(
    betrayed: Any, mode: str, sides: tuple[int, int]
) -> None:
    network = resampled(mode)
    even, field = (receptive_fields(network, (3, *shape))[""] for shape in ((32, 32), sides))
    assert even.size == (7, 7)
    assert all(7 <= size <= 11 for size in field.size)
    assert any("for this input size" in note for note in field.notes)
    assert betrayed(network, field, (3, *sides)) == []


def test_a_pyramid_at_an_odd_size_is_near_that_of_an_even_one(betrayed: Any) -> None:
    pyramid = resnet_fpn_backbone(backbone_name="resnet18", weights=None).eval()
    even, odd = (receptive_fields(pyramid, (3, n, n))["fpn.layer_blocks.0"] for n in (224, 225))
    assert (even.size, even.notes) == ((467, 467), even.notes)
    assert odd.unbounded is None
    assert all(467 <= size <= 500 for size in odd.size)
    assert odd.stride == (4, 4)
    network = Net(lambda net, image: net.pyramid(image)["0"], pyramid=pyramid)
    small = receptive_fields(network, (3, 33, 65))[""]
    assert betrayed(network, small, (3, 33, 65)) == []


def test_what_does_not_repeat_ends_with_the_map() -> None:
    """No unit sees what a unit beyond the border of a listed map would see."""
    network = Net(lambda net, image: F.max_pool2d(image[..., :8, :8] + image[..., 1::2, 1::2][..., :8, :8], 3, 1, 1))
    field = receptive_fields(network, (1, 17, 17))[""]
    assert [field.axes[0](unit) for unit in (-1, 0, 7, 8)] == [None, (0, 3), (6, 15), None]
    assert field.units(3, 15) == (range(0, 5), range(6, 8))


def test_a_convolution_that_gets_another_number_of_channels_says_so() -> None:
    for layer in (conv(3), nn.Conv2d(6, 4, 3, groups=2), nn.ConvTranspose2d(6, 4, 3)):
        with pytest.raises(ValueError, match=f"^the network wants {layer.in_channels} channels, got 1$"):
            receptive_fields(nn.Sequential(layer.eval()), (1, 32, 32))
    with pytest.raises(ValueError, match=r"^the convolution in 1 wants 5 channels, got 4$"):
        receptive_fields(nn.Sequential(conv(3), conv(5)), (3, 32, 32))


UNBOUNDED = {
    "unpooling at computed places in 1": segnet(between=lambda places: places.flip(3)),
    "unpooling at computed places in 1 ": segnet(between=lambda places: places.add_(0)),
    "unpooling at computed places in 1  ": Net(lambda n, x: F.max_unpool2d(x, torch.arange(192).view(1, 3, 8, 8), 2)),
    "global pooling in 1": Net(lambda net, image: normalised_like(image)),
    "the operation aten.index_add.default, for which there is no rule, in 1": Net(
        lambda net, image: torch.zeros_like(image).index_add(1, torch.tensor([0, 1, 2]), image)
    ),
}


@pytest.mark.parametrize("reason", UNBOUNDED)
def test_what_may_see_everything_is_not_refused(reason: str) -> None:
    fields = receptive_fields(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), UNBOUNDED[reason]).eval(), (3, 8, 8))
    assert fields["0"].size == (3, 3)
    assert (fields["1"].size, fields["1"].unbounded) == ((None, None), reason.rstrip())


def test_the_part_of_a_window_that_is_left_is_all_that_is_mixed(betrayed: Any) -> None:
    network = Net(lambda net, image: image.unflatten(2, (4, 8))[:, :, :, 2:7].mean(3))
    field = receptive_fields(network, (1, 32, 8))[""]
    assert (field.size, field.stride, field.padding) == ((5, 1), (8, 1), (-2, 0))
    assert betrayed(network, field, (1, 32, 8)) == []
