"""What sees everything is said to, with the reason; what can't be judged is an error that names it."""

import copy
import re
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnlab.receptive import receptive_fields
from cnnlab.receptive._tracer.geometry import UNEVEN


class Call(nn.Module):
    """A function of the image as a layer."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, image: Tensor) -> Any:
        return self.function(image)


class Excite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(4, 4, 1)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        return torch.sigmoid(self.squeeze(image_BCHW.mean((2, 3), keepdim=True))) * image_BCHW


class Attention(nn.Module):
    """Self-attention over all places, written out."""

    def forward(self, image_BCHW: Tensor) -> Tensor:
        tokens_BCN = image_BCHW.flatten(2)
        scores_BNN = (tokens_BCN.transpose(1, 2) @ tokens_BCN).softmax(-1)
        return (tokens_BCN @ scores_BNN.transpose(1, 2)).view_as(image_BCHW)


def fused_attention(image_BCHW: Tensor) -> Tensor:
    tokens_B1NC = image_BCHW.flatten(2).transpose(1, 2).unsqueeze(1)
    return F.scaled_dot_product_attention(tokens_B1NC, tokens_B1NC, tokens_B1NC)


def einsum_attention(image_BCHW: Tensor) -> Tensor:
    tokens_BCN = image_BCHW.flatten(2)
    return torch.einsum("bcn,bcm,bdm->bdn", tokens_BCN, tokens_BCN, tokens_BCN).view_as(image_BCHW)


def _gaps(image_BCHW: Tensor) -> Tensor:
    """Two transposed convolutions; one leaves every second row out, and sees another column than the other."""
    one = F.conv_transpose2d(image_BCHW, torch.ones(4, 4, 1, 2), stride=2, padding=(0, 1))
    other = F.conv_transpose2d(image_BCHW, torch.ones(4, 4, 2, 2), stride=2)
    return one[..., :16, :20] + other[..., :16, :20]


def _uneven(image_BCHW: Tensor) -> Tensor:
    return F.interpolate(F.interpolate(image_BCHW, scale_factor=1.23457), scale_factor=1.76543)


class Rows(nn.Module):
    """A recurrent layer that walks along every row by itself."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, image_BCHW: Tensor) -> Tensor:
        rows_NWC = image_BCHW.permute(0, 2, 3, 1).flatten(0, 1)
        return self.layer(rows_NWC)[0].unflatten(0, (-1, image_BCHW.shape[2])).permute(0, 3, 1, 2)


class Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        tokens_BNC = image_BCHW.flatten(2).transpose(1, 2)
        return self.heads(tokens_BNC, tokens_BNC, tokens_BNC, need_weights=False)[0]


UNBOUNDED = {
    "global pooling in layer": nn.AdaptiveAvgPool2d(1),
    "global pooling in layer ": nn.AdaptiveMaxPool2d(1),
    "global pooling in layer  ": Call(lambda image: image - image.amax((2, 3), keepdim=True)),
    "squeeze-and-excite in layer": Excite(),
    "attention in layer": Attention(),
    "attention in layer ": Call(fused_attention),
    "attention in layer  ": Call(einsum_attention),
    "attention in layer.heads": Heads(),
    "group normalisation in layer": nn.GroupNorm(2, 4),
    "instance normalisation in layer": nn.InstanceNorm2d(4),
    "layer normalisation over positions in layer": nn.LayerNorm([4, 9, 12]),
    "batch statistics in layer": nn.BatchNorm2d(4, track_running_stats=False),
    "flattened in layer": nn.Flatten(),
    "linear layer over all positions in layer.1": nn.Sequential(nn.Flatten(), nn.Linear(4 * 9 * 12, 4)),
    "linear layer over all positions in layer": nn.Linear(12, 12),
    "positions concatenated in layer": Call(lambda image: torch.cat([image, image], 2)),
    "softmax over positions in layer": Call(lambda image: F.softmax(image, dim=-1)),
    "cumsum over positions in layer": Call(lambda image: image.cumsum(2)),
    "mirrored positions in layer": Call(lambda image: image.flip(3)),
    "differently arranged positions are combined in layer": Call(lambda x: x[..., :9] + x[..., :9].transpose(2, 3)),
    "positions chosen by an index in layer": Call(lambda image: image[:, :, torch.tensor([3, 1])]),
    "sampling at computed places in layer": Call(
        lambda image: F.grid_sample(image, image[:, :2].movedim(1, -1), align_corners=True)
    ),
    "distances between all positions in layer": Call(lambda image: torch.cdist(image, image)),
    "rotated positions in layer": Call(lambda image: image.rot90(1, (2, 3))),
    "cyclic shift by 4 of 9 positions in layer": Call(lambda image: torch.fft.fftshift(image)),
    "branches with gaps between their fields are combined in layer": Call(lambda image: _gaps(image)),
    f"{UNEVEN} in layer": Call(lambda image: _uneven(F.pad(image, (0, 20_000, 0, 20_000)))),
    "fft r2c over positions in layer": Call(lambda image: torch.fft.rfft2(image).real),
}  # fmt: skip


@pytest.mark.parametrize("reason", UNBOUNDED)
def test_what_sees_everything_has_a_reason_that_names_the_layer(reason: str) -> None:
    network = nn.Sequential()
    network.add_module("stem", nn.Conv2d(3, 4, 3, padding=1))
    network.add_module("layer", UNBOUNDED[reason])
    fields = receptive_fields(network.eval(), (3, 9, 12))
    assert fields["stem"].size == (3, 3)
    assert fields["layer"].unbounded == reason.rstrip()
    assert None in fields["layer"].size
    with pytest.raises(ValueError, match="unbounded"):
        fields["layer"].box(0, 0)
    with pytest.raises(ValueError, match="unbounded"):
        fields["layer"].units(0, 0)


@pytest.mark.parametrize("side", [1, 9])
def test_global_pooling_of_a_map_of_one_unit_is_unbounded_all_the_same(side: int) -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    fields = receptive_fields(network, (3, side, side))
    assert fields["0"].unbounded == fields["2"].unbounded == "global pooling in 0"
    excited = receptive_fields(nn.Sequential(nn.Conv2d(3, 4, 1), Excite()), (3, side, side))
    assert excited["1"].unbounded == "squeeze-and-excite in 1"


def test_a_head_behind_a_map_of_one_unit_is_unbounded_as_behind_a_larger_one() -> None:
    for side, places in ((1, 1), (5, 25)):
        network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * places, 2))
        fields = receptive_fields(network, (3, side, side))
        assert fields["0"].size == (3, 3)
        assert fields["1"].unbounded == "flattened in 1"
        assert fields["2"].unbounded == "linear layer over all positions in 2"


def test_one_axis_can_be_unbounded_alone() -> None:
    field = receptive_fields(Call(lambda image: image - image.mean(3, keepdim=True)), (3, 9, 12))[""]
    assert field.size == (1, None)
    assert field.stride == (1, None)
    assert field.clipped(4, 5, 9, 12) == (4, 0, 4, 11)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("both", [False, True])
def test_a_recurrent_layer_sees_its_row_and_no_other(kind: type, both: bool) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), Rows(kind(4, 5, 2, batch_first=True, bidirectional=both)))
    field = receptive_fields(network, (3, 9, 12))[""]
    assert field.unbounded == "recurrence in 1.layer"
    assert (field.size, field.grid) == ((3, None), (7, 10))


def test_batch_norm_mixes_in_train_mode_and_is_elementwise_in_eval_mode() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    assert receptive_fields(network.train(), (3, 9, 12))["1"].unbounded == "batch statistics in 1"
    assert receptive_fields(network.eval(), (3, 9, 12))["1"].size == (3, 3)


ELEMENTWISE = [
    nn.Dropout(), nn.Dropout2d(), nn.GELU(), nn.PReLU(), nn.RReLU(), nn.SiLU(inplace=True), nn.Hardswish(),
    nn.Softmax2d(), nn.LocalResponseNorm(3), nn.ChannelShuffle(2), nn.LogSigmoid(), nn.GLU(dim=1), nn.Threshold(0.1, 0),
    nn.AlphaDropout(), nn.CosineSimilarity(), Call(lambda x: F.normalize(x, dim=1)), Call(lambda x: x.half().float()),
    Call(lambda x: torch.where(x > 0, x, torch.zeros_like(x))), Call(lambda x: x[:, [2, 0, 1]]),
    Call(lambda x: torch.stack(x.unbind(1), -1)), Call(lambda x: x.clamp(0, 1).masked_fill(x < 0.5, 0)),
    Call(lambda x: x.view(1, 2, 2, 9, 12).transpose(1, 2).reshape(1, 4, 9, 12)), Call(lambda x: x.topk(2, 1).values),
    Call(lambda x: x.index_put([x < 0.5], torch.zeros(()))), Call(lambda x: nn.Embedding(4, 2)(x.argmax(1))),
    Call(lambda x: torch.cdist(x.flatten(2).mT, torch.ones(1, 5, 4)).mT.unflatten(2, x.shape[2:])),
    Call(lambda x: x.kthvalue(2, 1).values), Call(lambda x: x.cummax(1).values), Call(lambda x: copy.deepcopy(x)),
    Call(lambda x: _with_constant_channel(x)),
    Call(lambda x: torch.cat([x, torch.ones(1, 2, 9, 12)], 1)), Call(lambda x: x.std(1, keepdim=True) * x),
]  # fmt: skip


def _with_constant_channel(image_BCHW: Tensor) -> Tensor:
    result = image_BCHW.clone()
    result[:, 0] = 0.5
    return result


@pytest.mark.parametrize("layer", ELEMENTWISE, ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize("training", [False, True])
def test_what_works_over_channels_or_single_values_leaves_the_field_alone(layer: nn.Module, training: bool) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, (3, 5), (1, 2), (1, 2)), layer).train(training)
    if isinstance(layer, nn.CosineSimilarity):
        network = Call(lambda image: layer(image, image)).train(training)
    field = receptive_fields(network, (1, 3, 9, 23))[""]
    assert field.unbounded is None
    assert field.size == ((1, 1) if isinstance(layer, nn.CosineSimilarity) else (3, 5))


ERRORS = {
    "aten.nonzero": lambda image: image.nonzero(),
    "aten._local_scalar_dense": lambda image: image * image.max().item(),
    "aten.is_nonzero|aten._local_scalar_dense": lambda image: image if image.sum() > 0 else -image,
    "aten.masked_select": lambda image: image.masked_select(image > 0),
    "aten.index_put": lambda image: image.index_put([torch.tensor([0])], torch.zeros(())),
    "aten.copy_.default in": lambda image: _written_rows(image) * 2,
    r"aten\.copy_": lambda image: _written_rows(image),
}


def _written_rows(image_BCHW: Tensor) -> Tensor:
    result = torch.zeros_like(image_BCHW)
    result[:, :, 1:] = image_BCHW[:, :, :-1]
    return result


@pytest.mark.parametrize("operation", ERRORS)
def test_an_operation_that_cannot_be_judged_is_an_error_that_names_it_and_the_layer(operation: str) -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), Call(ERRORS[operation]))
    with pytest.raises(ValueError, match=operation) as caught:
        receptive_fields(network, (3, 8, 8))
    assert " in 1 " in str(caught.value)
    assert "judged" in str(caught.value)


def test_an_operation_of_another_library_may_see_everything() -> None:
    with torch.library._scoped_library("cnnlab_test", "DEF") as library:
        library.define("blur(Tensor x) -> Tensor")
        library.impl("blur", lambda x: x.clone(), "CompositeExplicitAutograd")
        field = receptive_fields(Call(lambda image: torch.ops.cnnlab_test.blur(image)), (3, 8, 8))[""]
        assert "cnnlab_test.blur.default, for which there is no rule" in field.unbounded


@pytest.mark.parametrize("shape", [(3, 8), (3, 0, 8), (1, 1, 3, 8, 8), (3, 8.0, 8), 32, None, "3x8x8"])
def test_a_wrong_shape_says_what_is_valid(shape: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(f"input_shape is (channels, height, width), got {shape}")):
        receptive_fields(nn.Identity(), shape)


def test_an_image_in_place_of_its_shape_is_answered_with_its_shape() -> None:
    with pytest.raises(ValueError, match=r"got an image: pass \(1, 3, 8, 8\)"):
        receptive_fields(nn.Identity(), torch.zeros(1, 3, 8, 8))
    for shape in (torch.Size((3, 8, 8)), np.array([3, 8, 8]), [3, 8, 8]):
        assert receptive_fields(nn.Identity(), shape)[""].grid == (8, 8)


def test_a_network_of_several_inputs_is_told_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"fails in 0 .*wrapped in a module that takes the image alone"):
        receptive_fields(nn.Sequential(nn.Bilinear(3, 3, 2)), (3, 8, 8))


def test_a_mistake_of_the_network_itself_names_the_layer() -> None:
    with pytest.raises(ValueError, match=r"fails in 1 for an image \(3, 8, 8\): ValueError: expected 2D or 3D input"):
        receptive_fields(nn.Sequential(nn.Identity(), nn.BatchNorm1d(3)), (3, 8, 8))


def test_an_image_too_small_for_the_network_names_the_layer_and_the_shape() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 7))
    with pytest.raises(ValueError, match=r"fails in 1 for an image \(3, 6, 20\)"):
        receptive_fields(network, (3, 6, 20))
