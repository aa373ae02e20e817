"""What units respond to: oracles by brute force, and a module that is left as it was."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnlab.receptive.maximise import maximise_activations
from cnnlab.receptive.stimuli import top_activating


def small_network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 6, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(6 * 64, 4),
    )


def batches(count: int = 3, size: int = 4) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [(torch.rand(size, 1, 16, 16, generator=generator), torch.arange(size) + 10 * n) for n in range(count)]


def around(place: tuple[int, int]) -> tuple[int, int, int, int]:
    return place[0] - 1, place[1] - 1, place[0] + 2, place[1] + 2


@pytest.mark.parametrize("per_image", [1, 3])
def test_the_top_patches_are_those_of_a_search_through_all_responses(per_image: int) -> None:
    network, data = small_network(), batches()
    found = top_activating(network, "0", iter(data), around, count=5, per_image=per_image)
    images, labels = (torch.cat(part) for part in zip(*data, strict=True))
    maps = network[0](images).detach()
    for unit, patches in enumerate(found):
        each = maps[:, unit].flatten(1).topk(per_image, dim=1).values.flatten().sort(descending=True).values
        assert [patch.activation for patch in patches] == pytest.approx(each[:5].tolist(), abs=1e-6)
        for patch in patches:
            assert patch.label == labels[patch.image]
            assert float(maps[patch.image, unit][patch.place]) == pytest.approx(patch.activation, abs=1e-6)


def test_some_units_have_the_patches_that_they_have_among_all() -> None:
    network, data = small_network(), batches()
    every = top_activating(network, "4", data, around, count=3)
    some = top_activating(network, "4", data, around, count=3, units=[4, 1])
    assert [[patch.activation for patch in patches] for patches in some] == [
        [patch.activation for patch in every[unit]] for unit in (4, 1)
    ]


def test_a_patch_is_the_box_of_its_unit_and_drives_the_kernel_as_it_did_the_unit() -> None:
    network = small_network()
    weight, bias = network[0].weight.detach(), network[0].bias.detach()
    for unit, patches in enumerate(top_activating(network, "0", batches(), around, count=6, per_image=2)):
        for patch in patches:
            assert patch.patch_Chw.shape == (1, 3, 3)  # zeros beyond the image, as the convolution pads it
            response = float((patch.patch_Chw * weight[unit]).sum() + bias[unit])
            assert response == pytest.approx(patch.activation, abs=1e-5)


def test_a_linear_layer_has_units_of_one_place() -> None:
    whole = top_activating(small_network(), "8", batches(), lambda place: (0, 0, 16, 16), count=2)
    assert [len(patches) for patches in whole] == [2, 2, 2, 2]
    assert whole[0][0].place == (0, 0)
    assert whole[0][0].patch_Chw.shape == (1, 16, 16)


@pytest.mark.parametrize(("channels", "size"), [(1, 5), (3, 7)])
def test_activation_maximisation_of_one_convolution_finds_the_kernel_itself(channels: int, size: int) -> None:
    torch.manual_seed(2)
    network = nn.Sequential(nn.Conv2d(channels, 4, size, padding=size // 2))
    for unit in range(4):
        (found,) = maximise_activations(network, "0", [unit], (channels, 21, 21))
        patch = found.image_CHW[:, 10 - size // 2 : 11 + size // 2, 10 - size // 2 : 11 + size // 2]
        cosine = F.cosine_similarity(patch.flatten(), network[0].weight[unit].detach().flatten(), dim=0)
        assert cosine > 0.95


@pytest.mark.parametrize("layer", ["4", "5", "8"])
def test_activation_maximisation_beats_a_thousand_random_images_of_its_norm(layer: str) -> None:
    network = small_network(3).eval()
    (found,) = maximise_activations(network, layer, [2], (1, 16, 16), steps=64)
    norm = torch.linalg.vector_norm(found.image_CHW)
    images = torch.randn(1000, 1, 16, 16, generator=torch.Generator().manual_seed(5))
    images = images * norm / torch.linalg.vector_norm(images, dim=(1, 2, 3), keepdim=True)
    with torch.no_grad():
        responses = images
        for module in network[: int(layer) + 1]:
            responses = module(responses)
    random_best = responses[:, 2, 4, 4].max() if responses.ndim == 4 else responses[:, 2].max()
    assert found.activation > float(random_best)
    assert found.activation == max(found.course)


def test_the_image_has_the_norm_asked_for_and_the_same_seed_gives_the_same_one() -> None:
    network = small_network()
    first, again, other = (
        maximise_activations(network, "4", [0], (1, 16, 16), norm=3.0, steps=8, jitter=2, seed=s)[0] for s in (0, 0, 1)
    )
    assert float(torch.linalg.vector_norm(first.image_CHW)) == pytest.approx(3.0, rel=1e-5)
    torch.testing.assert_close(first.image_CHW, again.image_CHW, rtol=0, atol=0)
    assert not torch.equal(first.image_CHW, other.image_CHW)


def test_smoothness_makes_images_smoother_at_the_cost_of_the_response() -> None:
    rough, smooth = (
        maximise_activations(small_network(), "4", [1], (1, 16, 16), steps=64, smoothness=weight)[0]
        for weight in (0.0, 20.0)
    )

    def variation(image: Tensor) -> float:
        return float(image.diff(dim=1).abs().mean() + image.diff(dim=2).abs().mean())

    assert variation(smooth.image_CHW) < variation(rough.image_CHW)
    assert smooth.activation < rough.activation
    assert smooth.activation in smooth.course


@pytest.mark.parametrize("training", [True, False])
def test_the_module_is_left_as_it_was(training: bool) -> None:
    network = small_network().train(training)
    network[4].eval()
    network[0].weight.requires_grad_(False)
    network[8].weight.grad = torch.ones_like(network[8].weight)
    before = copy.deepcopy(network.state_dict())
    modes = [module.training for module in network.modules()]
    wanted = [parameter.requires_grad for parameter in network.parameters()]
    state = torch.random.get_rng_state()
    maximise_activations(network, "4", [0], (1, 16, 16), steps=3, jitter=1)
    top_activating(network, "4", batches(1), around, count=2)
    with pytest.raises(ValueError, match="no unit"):
        maximise_activations(network, "4", [6], (1, 16, 16))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [module.training for module in network.modules()] == modes
    assert [parameter.requires_grad for parameter in network.parameters()] == wanted
    assert all(not module._forward_hooks for module in network.modules())
    assert torch.equal(network[8].weight.grad, torch.ones_like(network[8].weight))
    assert network[0].weight.grad is None
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_mistakes_are_named_with_what_is_valid() -> None:
    network = small_network()
    with pytest.raises(ValueError, match=r"unknown layer '44' \(did you mean '4'\?\)"):
        maximise_activations(network, "44", [0], (1, 16, 16))
    with pytest.raises(ValueError, match="valid: 0 to 5"):
        maximise_activations(network, "4", [-1], (1, 16, 16))
    with pytest.raises(ValueError, match="at least one batch"):
        top_activating(network, "4", [], around)
    network.add_module("unused", nn.ReLU())
    lonely = nn.Module()
    lonely.inner, lonely.other = nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 3)
    lonely.forward = lambda image: lonely.inner(image)
    with pytest.raises(ValueError, match="is not called"):
        maximise_activations(lonely, "other", [0], (1, 8, 8))


@pytest.mark.parametrize("options", [{}, {"jitter": 2, "smoothness": 3.0}])
def test_several_units_at_once_go_their_way_as_each_alone(options: dict) -> None:
    network = small_network()
    with torch.no_grad():  # unit 1 never responds, so that its noise is drawn anew while the others climb
        network[4].bias[1] -= 100
    units, shape = [3, 1, 0], (1, 16, 16)
    together = maximise_activations(network, "5", units, shape, steps=20, **options)
    for unit, found in zip(units, together, strict=True):
        (alone,) = maximise_activations(network, "5", [unit], shape, steps=20, **options)
        assert found.course == pytest.approx(alone.course, rel=1e-4, abs=1e-5)
        torch.testing.assert_close(found.image_CHW, alone.image_CHW, rtol=1e-3, atol=1e-4)
    assert together[1].activation == 0
    assert together[0].activation > together[0].course[0]


def test_progress_is_told_step_by_step() -> None:
    seen = []
    maximise_activations(
        small_network(), "0", [0, 1], (1, 8, 8), steps=5, watch=lambda steps: (seen.append(n) or n for n in steps)
    )
    assert seen == [0, 1, 2, 3, 4, 5]


def test_the_activation_is_the_response_to_the_returned_image_also_with_jitter() -> None:
    network = small_network().eval()
    for found in maximise_activations(network, "4", [0, 5], (1, 16, 16), steps=12, jitter=3):
        with torch.no_grad():
            response = network[:5](found.image_CHW[None])[0, :, 4, 4]
        assert min(abs(float(one) - found.activation) for one in response) < 1e-4
