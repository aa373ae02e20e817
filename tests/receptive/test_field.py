"""The map between units and pixels goes both ways, for every layer, also in corners of the API."""

from collections import UserDict
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cnnlab.receptive import ReceptiveField, check_layer, receptive_fields
from cnnlab.receptive._tracer.intervals import AxisMap, reduced


def small(stride: int = 2) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, (3, 5), (stride, 1), (1, 0)), nn.MaxPool2d(2, 2, dilation=2))


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(0, 3), st.integers(1, 3)),
    st.sampled_from([None, 2, 3]),
    st.integers(0, 40),
)
def test_a_unit_is_in_the_range_of_a_pixel_if_and_only_if_the_pixel_is_in_its_box(
    convolution: tuple[int, int, int, int], zoom: int | None, pixel: int
) -> None:
    layers = [nn.Conv2d(1, 1, *convolution)] + ([nn.Upsample(scale_factor=zoom)] if zoom else [])
    field = receptive_fields(nn.Sequential(*layers), (1, 41, 47))[""]
    rows, _ = field.units(pixel, pixel)
    seeing = [i for i in range(200) if field.box(i, 0).top <= pixel <= field.box(i, 0).bottom]
    assert list(rows) == (list(range(seeing[0], seeing[-1] + 1)) if seeing else [])


def test_rectangular_kernels_and_images_keep_their_axes_apart() -> None:
    field = receptive_fields(small(), (3, 21, 40))["1"]
    assert field.size == (7, 7)
    assert field.stride == (4, 2)
    assert field.padding == (1, 0)
    assert field.centre == (2, 3)
    assert field.grid == (5, 17)
    assert field.box(1, 2) == (3, 4, 9, 10)
    assert field.clipped(0, 16, 21, 37) == (0, 32, 5, 36)


def test_a_field_does_not_depend_on_the_size_or_the_batch_of_the_example() -> None:
    fields = [receptive_fields(small(), shape) for shape in ((3, 8, 9), (3, 90, 71), (1, 3, 20, 20), (4, 3, 20, 20))]
    assert all(field == fields[0] for field in fields)
    assert fields[0]["1"].grid != fields[1]["1"].grid


def test_upsampling_gives_a_fractional_stride_and_a_size_that_varies() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 3, 3, 1), nn.Upsample(scale_factor=2, mode="bilinear"))
    field = receptive_fields(network, (1, 30, 30))["1"]
    assert field.stride == (Fraction(3, 2), Fraction(3, 2))
    assert field.size == (6, 6)
    up = receptive_fields(nn.Upsample(scale_factor=3, mode="bilinear"), (1, 30, 30))[""]
    assert any("size along h varies with position: 1 to 2" in note for note in up.notes)
    assert type(receptive_fields(nn.Upsample(scale_factor=2), (1, 3, 3))[""].stride[0]) is Fraction


def test_upsampling_and_pooling_by_the_same_factor_is_the_identity() -> None:
    network = nn.Sequential(nn.Upsample(scale_factor=3), nn.AvgPool2d(3))
    assert receptive_fields(network, (1, 9, 12))["1"] == receptive_fields(nn.Identity(), (1, 9, 12))[""]


def test_a_gap_of_a_transposed_convolution_has_no_box() -> None:
    field = receptive_fields(nn.ConvTranspose2d(1, 1, 1, 2), (1, 4, 4))[""]
    assert field.box(2, 4) == (1, 2, 1, 2)
    with pytest.raises(ValueError, match="sees nothing"):
        field.box(1, 0)


def test_a_box_outside_of_the_image_is_an_error() -> None:
    field = receptive_fields(small(), (3, 21, 40))["1"]
    with pytest.raises(ValueError, match="sees nothing of an image of 21 by 40"):
        field.clipped(40, 0, 21, 40)


class Twice(nn.Module):
    """One convolution called twice, and a layer that returns two tensors in a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fork, self.unused = nn.Conv2d(3, 3, 3), Fork(), nn.Conv2d(3, 3, 3)

    def forward(self, image: Tensor) -> Tensor:
        return self.fork(self.conv(self.conv(image)))["coarse"]


class Fork(nn.Module):
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"fine": image, "coarse": image[..., ::2, ::2]}


def test_a_layer_called_twice_or_with_two_results_has_a_key_for_each() -> None:
    fields = receptive_fields(Twice(), (3, 20, 20))
    assert list(fields) == ["conv", "conv#2", "fork[fine]", "fork[coarse]", ""]
    assert [fields[name].size[0] for name in fields] == [3, 5, 5, 5, 5]
    assert fields["fork[coarse]"].stride == (2, 2)


@dataclass
class Output:
    logits: Tensor
    extra: object = None


class Pair(NamedTuple):
    fine: Tensor
    coarse: Tensor


class Packed(nn.Module):
    """Returns what `pack` makes of the result of a convolution."""

    def __init__(self, pack: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.conv, self.pack = nn.Conv2d(3, 3, 3), pack

    def forward(self, image: Tensor) -> object:
        return self.pack(self.conv(image))


PACKED = {
    "a dataclass": (Output, [""]),
    "a dataclass of several": (lambda x: Output(x, [Output(x)]), ["[logits]", "[extra.0.logits]"]),
    "a named tuple": (lambda x: Pair(x, x), ["[fine]", "[coarse]"]),
    "a mapping of one's own": (lambda x: UserDict(logits=x), [""]),
    "a namespace": (lambda x: SimpleNamespace(logits=x), [""]),
    "a distribution": (lambda x: torch.distributions.Normal(x, x, validate_args=False), ["[loc]", "[scale]"]),
    "nothing that sees the image": (lambda x: Output(torch.ones(3)), []),
}


@pytest.mark.parametrize("name", PACKED)
def test_tensors_are_found_in_whatever_a_network_returns(name: str) -> None:
    pack, keys = PACKED[name]
    fields = receptive_fields(Packed(pack), (3, 8, 8))
    assert list(fields) == ["conv", *keys]
    assert {field.size for field in fields.values()} == {(3, 3)}


def test_an_object_that_holds_itself_is_opened_once() -> None:
    def ring(image: Tensor) -> SimpleNamespace:
        result = SimpleNamespace(logits=image)
        result.me = result
        return result

    assert list(receptive_fields(Packed(ring), (3, 8, 8))) == ["conv", ""]


class Tokens(nn.Module):
    """(B, C, H, W) -> (B, C, HW) in the order of rows, or of columns."""

    def __init__(self, by_columns: bool) -> None:
        super().__init__()
        self.by_columns = by_columns

    def forward(self, image: Tensor) -> Tensor:
        return (image.transpose(2, 3) if self.by_columns else image).flatten(2)


def test_tokens_are_a_map_in_the_order_of_rows_only() -> None:
    rows, columns = (receptive_fields(Tokens(by_columns), (3, 4, 6))[""] for by_columns in (False, True))
    assert rows.size == columns.size == (1, 1)
    assert (rows.grid, rows.map_dims) == ((4, 6), (2, 2))
    assert (columns.grid, columns.map_dims) == (None, None)


class Shifted(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image[..., 3:, :] + image[..., :-3, :]


def test_misaligned_branches_are_a_union_and_said_to_be() -> None:
    field = receptive_fields(Shifted(), (3, 20, 20))[""]
    assert field.size == (4, 1)
    assert field.notes == ("union of misaligned branches in the network itself",)
    aligned = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1))
    assert receptive_fields(aligned, (3, 9, 9))[""].notes == ()


def test_what_holds_for_this_input_size_only_is_noted() -> None:
    notes = {
        "adaptive pooling of 20 to 5": nn.AdaptiveAvgPool2d(5),
        "align_corners": nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        "holds the whole map": nn.AvgPool2d(20),
        "circular border": nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular"),
    }
    for text, layer in notes.items():
        field = receptive_fields(layer, (3, 20, 20))[""]
        assert field.unbounded is None
        assert text in field.notes[0], text


def test_an_unknown_layer_is_an_error_with_the_nearest_name() -> None:
    fields = receptive_fields(Twice(), (3, 20, 20))
    with pytest.raises(
        ValueError, match=r"unknown layer 'conv#3' \(did you mean 'conv#2'\?\); valid: 'conv', 'conv#2', 'fork\[fine\]"
    ):
        check_layer(fields, "conv#3")


def test_periods_are_reduced_to_the_smallest() -> None:
    assert reduced(4, [(0, 1), (1, 2), (2, 3), (3, 4)]) == AxisMap(1, ((0, 1),))
    assert reduced(2, [(0, 0), (0, 0), (1, 1), (1, 1)]) == AxisMap(1, ((0, 0), (0, 0)))


def test_fields_are_values() -> None:
    one, other = (receptive_fields(small(), (3, 21, 40))["1"] for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert isinstance(one, ReceptiveField)
    assert torch.is_grad_enabled()


def test_a_module_called_three_times_counts_three_times() -> None:
    shared = nn.Conv2d(4, 4, 3, padding=1)
    fields = receptive_fields(nn.Sequential(shared, shared, shared), (4, 32, 32))
    assert (fields[""].size, fields[""].padding) == ((7, 7), (3, 3))


def test_kernels_of_two_dilated_along_one_axis_see_1024() -> None:
    layers = [nn.Conv2d(1, 1, (1, 2), dilation=(1, 2**i)) for i in range(10)]
    field = receptive_fields(nn.Sequential(*layers), (1, 1, 1100))[""]
    assert (field.size, field.stride, field.padding) == ((1, 1024), (1, 1), (0, 0))
