"""The oracle: pixels with a gradient through a positive, linear copy of a network are what a unit sees.

The copy has positive constant weights, identities for ReLU and norms, and a sum for every maximum. B batch,
C channel, H, W image.
"""

from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cnnlab.receptive import receptive_fields

SIZE = (83, 101)  # H, W


class Join(nn.Module):
    """Two branches, cropped to the smaller, added or concatenated."""

    def __init__(self, one: nn.Module, other: nn.Module, how: str) -> None:
        super().__init__()
        self.one, self.other, self.how = one, other, how
        self.fuse = nn.Conv2d(4 if how == "cat" else 2, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        one, other = self.one(image), self.other(image)
        height, width = (min(sizes) for sizes in zip(one.shape[2:], other.shape[2:], strict=True))
        one, other = one[..., :height, :width], other[..., :height, :width]
        return self.fuse(torch.cat([one, other], 1) if self.how == "cat" else one + other)


class Call(nn.Module):
    """A function of the image as a layer."""

    def __init__(self, function: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.function, self.args, self.kwargs = function, args, kwargs

    def forward(self, image: Tensor) -> Tensor:
        return self.function(image, *self.args, **self.kwargs)


class SpaceToDepth(nn.Module):
    """Blocks of 2 by 2 into channels by reshapes alone, then mixed."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(8, 2, 1)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        image_BCHW = image_BCHW[..., : image_BCHW.shape[2] // 2 * 2, : image_BCHW.shape[3] // 2 * 2]
        batch, channels, height, width = image_BCHW.shape
        blocks = image_BCHW.reshape(batch, channels, height // 2, 2, width // 2, 2).permute(0, 1, 3, 5, 2, 4)
        return self.mix(blocks.reshape(batch, 4 * channels, height // 2, width // 2))


class BlocksAsChannels(nn.Module):
    """Blocks of 2 by 2 into channels by reshapes, then windows over each of them by itself, then mixed."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.mix = inner, nn.Conv2d(8, 2, 1)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        image_BCHW = image_BCHW[..., : image_BCHW.shape[2] // 2 * 2, : image_BCHW.shape[3] // 2 * 2]
        batch, channels, height, width = image_BCHW.shape
        blocks = image_BCHW.view(batch, channels, height // 2, 2, width // 2, 2).permute(0, 1, 3, 5, 2, 4)
        return self.mix(self.inner(blocks.reshape(batch, 4 * channels, height // 2, width // 2)))


class InWindows(nn.Module):
    """A layer in every window of 6 by 8 pixels, as if each were an image."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, image_BCHW: Tensor) -> Tensor:
        y, x = image_BCHW.shape[2] // 6, image_BCHW.shape[3] // 8
        batch, channels = image_BCHW.shape[:2]
        cut = image_BCHW[..., : 6 * y, : 8 * x].reshape(batch, channels, y, 6, x, 8).permute(0, 2, 4, 1, 3, 5)
        after = self.inner(cut.reshape(-1, channels, 6, 8))
        whole = after.view(batch, y, x, *after.shape[1:]).permute(0, 3, 1, 4, 2, 5)
        return whole.reshape(batch, after.shape[1], y * after.shape[2], x * after.shape[3])


class Focus(nn.Module):
    """Every second row and column, four slices joined into channels, then mixed (YOLOv5's stem)."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(8, 2, 1)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        image_BCHW = image_BCHW[..., : image_BCHW.shape[2] // 2 * 2, : image_BCHW.shape[3] // 2 * 2]
        slices = [image_BCHW[..., down::2, right::2] for down in (0, 1) for right in (0, 1)]
        return self.mix(torch.cat(slices, 1))


class Windows(nn.Module):
    """Places of a window of 3 by 4 are mixed among themselves, the windows moved by `move`: Swin without a softmax."""

    def __init__(self, move: int) -> None:
        super().__init__()
        self.move, self.mix = move, nn.Linear(12, 12)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        batch, channels, rows, columns = image_BCHW.shape
        y, x = rows // 3, columns // 4
        image_BCHW = image_BCHW[..., : 3 * y, : 4 * x].roll((-self.move, -self.move), (2, 3))
        cells = image_BCHW.reshape(batch, channels, y, 3, x, 4).permute(0, 1, 2, 4, 3, 5).flatten(-2)
        cells = self.mix(cells).unflatten(-1, (3, 4)).permute(0, 1, 2, 4, 3, 5)
        return cells.reshape(batch, channels, 3 * y, 4 * x).roll((self.move, self.move), (2, 3))


class Patches(nn.Module):
    """A convolution by `F.unfold` and a product."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(2 * 3 * 2, 2)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        rows, columns = image_BCHW.shape[2] - 4, (image_BCHW.shape[3] - 2) // 2 + 1
        patches_BKL = F.unfold(image_BCHW, (3, 2), dilation=(2, 1), stride=(1, 2))
        return self.mix(patches_BKL.transpose(1, 2)).transpose(1, 2).unflatten(2, (rows, columns))


class AlongRows(nn.Module):
    """A 1-d convolution over each row, rows as a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.row = nn.Conv1d(2, 2, 3, stride=2, dilation=2)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        batch, channels, rows, columns = image_BCHW.shape
        along = self.row(image_BCHW.permute(0, 2, 1, 3).reshape(batch * rows, channels, columns))
        return along.reshape(batch, rows, 2, -1).transpose(1, 2)


class ChannelsLast(nn.Module):
    """A norm and a linear layer over the channels, moved last, as in ConvNeXt."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(2), nn.Linear(2, 2)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        return self.linear(self.norm(image_BCHW.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


def repeated_places(image_BCHW: Tensor) -> Tensor:
    """Nearest-neighbour upsampling by 2 x 3 without an upsampling operation."""
    batch, channels, height, width = image_BCHW.shape
    finer = image_BCHW[:, :, :, None, :, None].expand(batch, channels, height, 2, width, 3)
    return finer.reshape(batch, channels, 2 * height, 3 * width)


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
strides = st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 2), (3, 1)])
kernels = st.tuples(st.integers(1, 5), st.integers(1, 5))
pads = st.tuples(st.integers(0, 2), st.integers(0, 2))


@st.composite
def convolutions(draw: Any) -> nn.Module:
    mode = draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"]))
    return nn.Conv2d(
        2, 2, draw(kernels), draw(strides), draw(pads), draw(pairs), groups=draw(st.sampled_from([1, 2])),
        padding_mode=mode,
    )  # fmt: skip


@st.composite
def pools(draw: Any) -> nn.Module:
    kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    padding, ceil = draw(st.integers(0, kernel // 2)), draw(st.booleans())
    if draw(st.booleans()):
        dilation = draw(st.integers(1, 2))
        return nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil and dilation == 1)
    return nn.AvgPool2d((kernel, kernel + 1), stride, padding, ceil)


@st.composite
def transposed(draw: Any) -> nn.Module:
    stride = draw(st.sampled_from([(1, 1), (2, 2), (1, 2), (3, 2)]))
    return nn.ConvTranspose2d(2, 2, draw(kernels), stride, draw(st.tuples(st.integers(0, 1), st.integers(0, 1))))


others = st.sampled_from(
    [
        lambda: nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(inplace=True)),
        lambda: nn.Upsample(scale_factor=2, mode="nearest"),
        lambda: nn.Upsample(scale_factor=(2, 3), mode="bilinear"),
        lambda: nn.Upsample(size=(41, 50), mode="bilinear"),
        lambda: nn.Upsample(scale_factor=1.5, mode="nearest"),
        lambda: nn.Upsample(size=(41, 50), mode="nearest-exact"),
        lambda: nn.Upsample(size=(30, 41), mode="bicubic"),
        lambda: nn.Upsample(scale_factor=(0.7, 1.3), mode="bilinear"),
        lambda: nn.Upsample(size=(33, 29), mode="bilinear", align_corners=True),
        lambda: Call(F.interpolate, size=(31, 24), mode="bilinear", antialias=True),
        lambda: nn.AdaptiveAvgPool2d((9, 14)),
        lambda: nn.AdaptiveMaxPool2d((23, 31)),
        lambda: nn.ConvTranspose2d(2, 2, (2, 3), (2, 3), (0, 1), output_padding=(1, 0), dilation=(2, 1)),
        lambda: nn.Conv2d(2, 2, (3, 5), padding="same", dilation=(1, 2)),
        lambda: Focus(),
        lambda: BlocksAsChannels(nn.MaxPool2d(3, 2, 1)),
        lambda: BlocksAsChannels(nn.Upsample(scale_factor=1.5, mode="bilinear")),
        lambda: InWindows(nn.Conv2d(2, 2, 3, padding=1)),
        lambda: InWindows(nn.Conv2d(2, 2, (3, 2), 2, dilation=(1, 2))),
        lambda: InWindows(nn.AvgPool2d(3, 1, 1)),
        lambda: InWindows(nn.Upsample(size=(5, 11), mode="bilinear")),
        lambda: Windows(0),
        lambda: Windows(1),
        lambda: Patches(),
        lambda: AlongRows(),
        lambda: Call(lambda image: image.unfold(2, 3, 2).sum(-1).unfold(3, 2, 1).mean(-1)),
        lambda: Call(lambda image: torch.einsum("bchw,dc->bdhw", image, torch.ones(3, 2).to(image))[:, :2]),
        lambda: Call(lambda image: image[:, :, 3:, 1::2]),
        lambda: Call(F.pad, (2, -1, 0, 3)),
        lambda: nn.Sequential(nn.Conv2d(2, 8, 1), nn.PixelShuffle(2)),
        lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(8, 2, 1)),
        lambda: SpaceToDepth(),
        lambda: ChannelsLast(),
        lambda: Call(repeated_places),
        lambda: Call(lambda image: image.roll((1, -2), (2, 3))),
    ]
).map(lambda make: make())
layers = st.one_of(convolutions(), convolutions(), pools(), transposed(), others)
chains = st.lists(layers, min_size=1, max_size=4).map(lambda parts: nn.Sequential(*parts))
joins = st.builds(Join, chains, chains, st.sampled_from(["add", "cat"]))
residuals = st.builds(Join, chains, st.just(nn.Identity()), st.just("add"))
networks = st.lists(st.one_of(layers, joins, residuals), min_size=1, max_size=4).map(
    lambda parts: nn.Sequential(*parts)
)


def linearised(module: nn.Module) -> nn.Module:
    """The positive linear copy."""
    if isinstance(module, (nn.ReLU, nn.BatchNorm2d, nn.LayerNorm)):
        return nn.Identity()
    if isinstance(module, nn.MaxPool2d):
        return Call(summed_windows, module)
    if isinstance(module, nn.AdaptiveMaxPool2d):
        return nn.AdaptiveAvgPool2d(module.output_size)
    for name, child in module.named_children():
        setattr(module, name, linearised(child))
    for parameter in module.parameters(recurse=False):
        nn.init.constant_(parameter, 0.5)
    return module


def summed_windows(image_BCHW: Tensor, pool: nn.MaxPool2d) -> Tensor:
    """A pool that sums, with the windows of max pooling."""
    if pool.dilation == 1:
        return F.avg_pool2d(image_BCHW, pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode)
    weight = torch.ones(image_BCHW.shape[1], 1, pool.kernel_size, pool.kernel_size, dtype=image_BCHW.dtype)
    groups = image_BCHW.shape[1]
    return F.conv2d(image_BCHW, weight, None, pool.stride, pool.padding, pool.dilation, groups)


def rounded(kernel: tuple[int, int]) -> nn.Module:
    """Cells of an uneven pooling, enlarged: places fall on a unit's own but for rounding, or on one row for all."""
    middle = nn.Conv2d(2, 2, kernel, dilation=(2, 1))
    return nn.Sequential(nn.AdaptiveAvgPool2d((9, 14)), middle, nn.Upsample(size=(41, 50), mode="bilinear"))


def torn() -> nn.Module:
    """What the first branch would see along a row doesn't count in the rows that it leaves out."""
    one, other = nn.ConvTranspose2d(2, 2, 1, 2, (0, 1)), nn.ConvTranspose2d(2, 2, (3, 2), 2, (1, 0))
    return nn.Sequential(nn.Upsample(size=(41, 50), mode="bilinear"), Join(one, other, "add"))


REASONS = (
    "branches with gaps between their fields",
    "one position is spread over all",  # a map of one row, enlarged
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(network=networks, down=st.integers(0, 5), right=st.integers(0, 5))
@example(network=rounded((2, 1)), down=0, right=0)
@example(network=rounded((5, 1)), down=0, right=0)
@example(network=torn(), down=1, right=0)
def test_the_box_of_a_middle_unit_is_the_support_of_the_gradient(
    support: Any, network: nn.Module, down: int, right: int
) -> None:
    network.eval()
    try:
        output = network(torch.zeros(1, 2, *SIZE))
    except RuntimeError:
        assume(False)
    assume(min(output.shape[2:]) > 3)
    field = receptive_fields(network, (2, *SIZE))[""]
    if field.unbounded is not None:
        assert any(reason in field.unbounded for reason in REASONS)
        return
    rows, columns = field.units(SIZE[0] // 2 + down, SIZE[1] // 2 + right)
    assume(len(rows) and len(columns))
    i, j = rows[len(rows) // 2], columns[len(columns) // 2]
    copy, image = linearised(network).double(), torch.zeros(1, 2, *SIZE, dtype=torch.float64)
    assert copy(image).shape[2:] == output.shape[2:]
    assume(i < output.shape[2] and j < output.shape[3])
    try:
        box = field.box(i, j)
    except ValueError:
        assert support(copy, image, i, j) is None
        return
    # Circular and mirrored borders must not come into play: the unit has to be a middle one.
    assume(box.top >= 8 and box.left >= 8 and box.bottom < SIZE[0] - 8 and box.right < SIZE[1] - 8)
    # Where torch's interpolation rounds a place beside a unit's own, the neighbour gets a share of 1e-16.
    assert support(copy, image, i, j, above=1e-12) == box


def test_a_bottleneck_network_with_the_stride_in_the_3x3_convolution_has_size_427(support: Any) -> None:
    """ResNet-50's depths with fewer channels: torchvision's layers against gradients."""
    from torchvision.models.resnet import Bottleneck, ResNet

    resnet = ResNet(Bottleneck, [3, 4, 6, 3], width_per_group=2).eval()
    field = receptive_fields(resnet, (3, 96, 96))["layer4"]
    copy = linearised(nn.Sequential(*list(resnet.children())[:-2])).double()
    box = field.box(10, 9)
    found = support(copy, torch.zeros(1, 3, 672, 640, dtype=torch.float64), 10, 9)
    assert found == box
    assert box.bottom - box.top + 1 == field.size[0] == 427
