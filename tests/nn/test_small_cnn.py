"""Laws of the small network and its model files. B batch, C channel, H, W image, K class."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

ARMS = ("edge_fixed", "edge_init", "random_init", "edge_fixed_basis", "edge_unfrozen", "edge_anchored")


def train(network: nn.Module, steps: int = 2) -> None:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        image_BCHW = torch.rand(8, network.front_end.in_channels, 12, 12, generator=generator)
        label_B = torch.randint(10, (8,), generator=generator)
        optimizer.zero_grad()
        (F.cross_entropy(network(image_BCHW), label_B) + network.penalty()).backward()
        optimizer.step()


@pytest.mark.parametrize("arm", ARMS)
def test_every_trainable_parameter_of_an_arm_receives_a_gradient_and_moves(arm: str, small_cnn: Callable) -> None:
    torch.manual_seed(0)
    network = small_cnn(arm)
    network.at_epoch(1)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    train(network)
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
        assert not torch.equal(parameter, before[name]), name
    moves = any(name.startswith("front_end.") for name in before)
    assert moves == (arm != "edge_fixed")


@pytest.mark.parametrize("arm", ["edge_fixed", "edge_unfrozen"])
def test_fixed_kernels_stay_while_the_head_trains(arm: str, small_cnn: Callable) -> None:
    network = small_cnn(arm)
    network.at_epoch(0)
    kernels, head = network.first_layer_kernels(), network.head[1].weight.detach().clone()
    train(network)
    assert torch.equal(network.first_layer_kernels(), kernels)
    assert not torch.equal(network.head[1].weight, head)


def test_for_one_seed_all_arms_share_every_value_behind_the_first_layer(small_cnn: Callable) -> None:
    def behind(arm: str) -> dict[str, torch.Tensor]:
        torch.manual_seed(11)
        state = small_cnn(arm, 3).state_dict()
        return {name: value for name, value in state.items() if not name.startswith("front_end.")}

    reference = behind("edge_init")
    assert len(reference) > 10
    for arm in ARMS:
        values = behind(arm)
        assert values.keys() == reference.keys()
        assert all(torch.equal(values[name], reference[name]) for name in reference), arm


def test_the_control_has_the_shapes_of_edge_init_and_other_kernels(small_cnn: Callable) -> None:
    init, control = small_cnn("edge_init", 3), small_cnn("random_init", 3)
    assert {n: p.shape for n, p in init.named_parameters()} == {n: p.shape for n, p in control.named_parameters()}
    assert not torch.allclose(init.first_layer_kernels(), control.first_layer_kernels())


def test_all_edge_arms_answer_alike_before_training(small_cnn: Callable) -> None:
    image_BCHW = torch.rand(4, 1, 16, 16)
    logits = []
    for arm in ARMS:
        if arm != "random_init":
            torch.manual_seed(1)
            logits.append(small_cnn(arm)(image_BCHW))
    for other in logits[1:]:
        torch.testing.assert_close(other, logits[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("size", [(8, 8), (28, 28), (32, 32), (33, 47), (224, 224), (2, 2)])
def test_images_of_any_size_and_channels_are_classified(
    size: tuple[int, int], channels: int, small_cnn: Callable
) -> None:
    network = small_cnn("edge_init", channels, 7)
    logits_BK = network(torch.rand(2, channels, *size))
    assert logits_BK.shape == (2, 7)
    logits_BK.sum().backward()


def test_a_single_pixel_is_classified_or_refused_by_the_border(small_cnn: Callable) -> None:
    with pytest.raises(ValueError, match=r"needs images of at least 2x2, got 1x1"):
        small_cnn()(torch.rand(2, 1, 1, 1))
    assert small_cnn(border="replicate")(torch.rand(2, 1, 1, 1)).shape == (2, 10)


def test_stages_are_named_in_order_and_end_in_the_logits(small_cnn: Callable) -> None:
    network = small_cnn(widths=[8, 12, 16], stem_stride=1, stem_pool=2).eval()
    image_BCHW = torch.rand(2, 1, 28, 28)
    stages = network.stages(image_BCHW)
    assert {name: tuple(value.shape[1:]) for name, value in stages.items()} == {
        "response": (8, 28, 28), "feature": (17, 28, 28), "stem": (17, 14, 14), "stage1": (8, 7, 7),
        "stage2": (12, 4, 4), "stage3": (16, 4, 4), "embedding": (16,), "logits": (10,),
    }  # fmt: skip
    assert list(stages)[-1] == "logits"
    torch.testing.assert_close(stages["logits"], network(image_BCHW))
    torch.testing.assert_close(stages["response"], network.front_end.respond(image_BCHW))


@pytest.mark.parametrize(("image_size", "stride"), [((8, 8), 1), ((15, 40), 1), ((16, 16), 2), (None, 2)])
def test_only_images_below_16_pixels_are_not_halved_at_once(image_size, stride: int, small_cnn: Callable) -> None:
    assert small_cnn(image_size=image_size).front_end.stride == stride
    assert small_cnn(image_size=image_size, stem_stride=3).front_end.stride == 3


@pytest.mark.parametrize("arm", ARMS)
def test_a_saved_network_loads_weights_only_and_answers_the_same(arm: str, small_cnn: Callable) -> None:
    network = small_cnn(arm)
    network.at_epoch(1)
    train(network)
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    twin = small_cnn(arm)
    twin.load_state_dict(torch.load(file, weights_only=True))
    image_BCHW = torch.rand(3, 1, 10, 10)
    assert torch.equal(twin.eval()(image_BCHW), network.eval()(image_BCHW))
    assert torch.equal(twin.first_layer_kernels(), network.first_layer_kernels())


def test_first_layer_kernels_are_a_copy(small_cnn: Callable) -> None:
    for arm in ("edge_init", "edge_fixed_basis"):
        network = small_cnn(arm, 3)
        kernels = network.first_layer_kernels()
        assert kernels.shape == (8, 3, 3, 3)
        assert not kernels.requires_grad
        kernels.zero_()
        assert network.first_layer_kernels().abs().max() > 0


@pytest.mark.parametrize(
    "change",
    [
        {"norm": "group"}, {"norm": "none"}, {"activation": "gelu"}, {"activation": "silu"}, {"pool": "avg"},
        {"dropout": 0.5}, {"stem_norm": False}, {"stem_stride": 1}, {"stem_pool": 2}, {"widths": [12]},
        {"rectify": "parts"}, {"channels": "each"}, {"bank": "farid(size=7)"}, {"gain": "keep"},
    ],
)  # fmt: skip
def test_every_knob_changes_the_answer(change: dict, small_cnn: Callable) -> None:
    image_BCHW = torch.rand(4, 2, 20, 20)
    torch.manual_seed(0)
    plain = small_cnn("edge_init", 2)(image_BCHW)
    torch.manual_seed(0)
    network = small_cnn("edge_init", 2, **change)
    assert network(image_BCHW).shape == (4, 10)
    norm_hides_gain = change == {"gain": "keep"}
    if not norm_hides_gain:
        assert not torch.allclose(network(image_BCHW), plain)
    network(image_BCHW).square().sum().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_group_norm_makes_each_image_independent_of_its_batch(small_cnn: Callable) -> None:
    network = small_cnn(norm="group", widths=[12, 20])
    image_BCHW = torch.rand(4, 1, 12, 12)
    torch.testing.assert_close(network(image_BCHW)[:1], network(image_BCHW[:1]), rtol=1e-4, atol=1e-5)


def test_dropout_acts_in_training_only(small_cnn: Callable) -> None:
    network = small_cnn(dropout=0.5, norm="none", stem_norm=False)
    image_BCHW = torch.rand(4, 1, 12, 12)
    assert not torch.equal(network(image_BCHW), network(image_BCHW))
    network.eval()
    assert torch.equal(network(image_BCHW), network(image_BCHW))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"norm": "bach"}, "unknown norm 'bach' \\(did you mean 'batch'"),
        ({"activation": "tanh"}, "valid: relu, gelu, silu"),
        ({"pool": "mean"}, "unknown pool 'mean'"),
        ({"mode": "frozzen"}, "did you mean 'frozen'"),
        ({"widths": []}, r"widths \(at least one\)"),
        ({"widths": [8, 0]}, "must be positive"),
        ({"num_classes": 0}, "must be positive"),
        ({"stem_pool": 0}, "must be positive"),
    ],
)
def test_a_wrong_value_is_named(change: dict, message: str, small_cnn: Callable) -> None:
    with pytest.raises(ValueError, match=message):
        small_cnn(**change)


def test_a_misspelt_knob_is_an_error(small_cnn: Callable) -> None:
    with pytest.raises(TypeError, match="stem_strid"):
        small_cnn(stem_strid=2)


def test_the_arms_differ_in_one_value_each(values_of: Callable) -> None:
    base = values_of("small_cnn")
    changed = {arm: {k: v for k, v in values_of(arm).items() if base[k] != v} for arm in ARMS}
    assert changed == {
        "edge_fixed": {"mode": "frozen"}, "edge_init": {}, "random_init": {"start": "random"},
        "edge_fixed_basis": {"mode": "fixed_basis"}, "edge_unfrozen": {"mode": "unfrozen"},
        "edge_anchored": {"mode": "anchored"},
    }  # fmt: skip


def test_one_file_is_the_home_of_each_class() -> None:
    folder = Path(__file__).parents[2] / "configs" / "model"
    homes = [path.name for path in sorted(folder.glob("*.yaml")) if "_target_" in path.read_text()]
    assert homes == ["edge_net.yaml", "small_cnn.yaml", "torchvision.yaml"]


@pytest.mark.parametrize("arm", ["edge_fixed", "edge_init"])
def test_the_orientation_of_bars_is_learned_in_seconds(arm: str, small_cnn: Callable) -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    label_B = torch.arange(64) % 2
    stripes = (torch.arange(12) // 2 % 2).float().expand(64, 1, 12, 12)
    image_BCHW = torch.where(label_B[:, None, None, None] == 1, stripes, stripes.mT)
    image_BCHW = image_BCHW + 0.3 * torch.randn(image_BCHW.shape, generator=generator)
    network = small_cnn(arm, num_classes=2, widths=[8, 8])
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(20):
        optimizer.zero_grad()
        F.cross_entropy(network(image_BCHW), label_B).backward()
        optimizer.step()
    assert (network(image_BCHW).argmax(dim=1) == label_B).float().mean() > 0.95
