"""A stack answers, measures and moves as its networks do, whatever their options. R replica, B batch."""

import platform
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cnnlab.nn.contract import LabNetwork
from cnnlab.nn.small_cnn import SmallCNN
from cnnlab.training.replicas.memory import CPU_ENOUGH, release_memory, replica_bytes, replicas_that_fit
from cnnlab.training.replicas.stacked import StackedNetwork
from cnnlab.training.replicas.stacked_convolution import convolve

OPTIONS = {
    "mode": ("trainable", "frozen", "unfrozen", "fixed_basis", "anchored"),
    "start": ("bank", "random"),
    "gain": ("kaiming", "keep"),
    "rectify": ("full", "parts", "none"),
    "border": ("reflect", "replicate", "zeros", "circular"),
    "stem_stride": (None, 1, 2, 3),
    "stem_pool": (1, 2),
    "stem_norm": (True, False),
    "widths": ([3], [4, 6], [2, 3, 4]),
    "norm": ("batch", "group", "none"),
    "activation": ("relu", "gelu", "silu"),
    "pool": ("max", "avg"),
}
BANKS = ("sobel + laplacian", "central(order=2)", "gaussian(sigma=1)", "sobel(size=5)")
CHANNELS = ((1, "luminance"), (3, "luminance"), (3, "each"), (3, "opponent"), (2, "each"))


def network(
    seed: int, expression: str = "sobel + laplacian", colours: tuple = (1, "luminance"), **values: Any
) -> SmallCNN:
    torch.manual_seed(seed)
    given = {"in_channels": colours[0], "num_classes": 5, "channels": colours[1], "widths": [4, 6]}
    return SmallCNN(expression, **{**given, **values}).double()


def roughened(networks: list[Any]) -> list[Any]:
    """All parameters moved off their start, each differently, so that no bias is 0 and no anchor is reached."""
    with torch.no_grad():
        for net in networks:
            for value in (*net.parameters(), *(b for n, b in net.named_buffers() if n.endswith("running_mean"))):
                value += 0.1 * torch.randn_like(value)
    return networks


def loss(network: Any, image: Tensor, label: Tensor) -> Tensor:
    return F.cross_entropy(network(image), label) + network.penalty()


@given(
    values=st.fixed_dictionaries({name: st.sampled_from(choices) for name, choices in OPTIONS.items()}),
    expression=st.sampled_from(BANKS),
    colours=st.sampled_from(CHANNELS),
    size=st.tuples(st.integers(5, 11), st.integers(5, 11)),
    seed=st.integers(0, 2**20),
)
@settings(max_examples=60, deadline=None)
def test_answers_statistics_and_gradients_are_those_of_the_networks(
    values: dict, expression: str, colours: tuple, size: tuple, seed: int
) -> None:
    networks = roughened([network(seed + r, expression, colours, image_size=size, **values) for r in range(3)])
    stack = StackedNetwork(networks)
    image_RBCHW = torch.rand(3, 4, colours[0], *size, dtype=torch.float64)
    label_RB = torch.randint(0, 5, (3, 4))
    for epoch in (0, 1):
        stack.at_epoch(epoch)
        logits_RBK = stack(image_RBCHW)
        total = sum(F.cross_entropy(z, label) for z, label in zip(logits_RBK, label_RB, strict=True)) + stack.penalty()
        stack.zero_grad()
        total.backward()
        moves = stack.moves()
        for r, net in enumerate(networks):
            net.at_epoch(epoch)
            net.zero_grad()
            torch.testing.assert_close(logits_RBK[r], net(image_RBCHW[r]), rtol=1e-9, atol=1e-9)
            loss(net.eval(), image_RBCHW[r], label_RB[r])  # no second update of the statistics
            net.train()
            statistics = {k: v.clone() for k, v in net.state_dict().items()}
            loss(net, image_RBCHW[r], label_RB[r]).backward()
            net.load_state_dict(statistics)
            assert [name for name, p in net.named_parameters() if p.requires_grad] == [
                name for name in moves if moves[name][r]
            ]
            for name, p in net.named_parameters():
                if p.grad is not None:
                    got = dict(stack.body.named_parameters())[name].grad[r]
                    torch.testing.assert_close(got, p.grad, rtol=1e-7, atol=1e-8)
    for state, net in zip(stack.unstack(), networks, strict=True):
        torch.testing.assert_close(state, dict(net.state_dict()), rtol=1e-9, atol=1e-9)
    stack.eval()
    for r, net in enumerate(networks):
        torch.testing.assert_close(stack(image_RBCHW)[r], net.eval()(image_RBCHW[r]), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(stack.first_layer_kernels()[r], net.first_layer_kernels())


def test_what_is_unstacked_loads_into_a_network_and_the_given_ones_are_left_alone() -> None:
    networks = roughened([network(seed) for seed in range(2)])
    before = [{k: v.clone() for k, v in net.state_dict().items()} for net in networks]
    stack = StackedNetwork(networks)
    image_RBCHW = torch.rand(2, 4, 1, 8, 8, dtype=torch.float64)
    stack(image_RBCHW)
    with torch.no_grad():
        for p in stack.parameters():
            p += 1
    for net, state in zip(networks, before, strict=True):
        torch.testing.assert_close(dict(net.state_dict()), state, rtol=0, atol=0)
    fresh = network(7)
    fresh.load_state_dict(stack.unstack()[1])
    torch.testing.assert_close(fresh.eval()(image_RBCHW[1]), stack.eval()(image_RBCHW)[1])


@given(
    sizes=st.tuples(*[st.integers(1, 4)] * 4),  # R, B, C, K
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    image=st.tuples(st.integers(4, 7), st.integers(4, 7)),
    stride=st.integers(1, 3),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_the_batched_convolution_is_the_grouped_one(
    sizes: tuple, kernel: tuple, image: tuple, stride: int, data: st.DataObject
) -> None:
    """Its answers and both gradients; with a stride the image has none."""
    replicas, batch, channels, out = sizes
    padding = tuple(data.draw(st.integers(0, side - 1)) for side in kernel)
    image_BNHW = torch.randn(batch, replicas * channels, *image, dtype=torch.float64).requires_grad_(stride == 1)
    weight_RKChw = torch.randn(replicas, out, channels, *kernel, dtype=torch.float64, requires_grad=True)
    leaves = [leaf for leaf in (image_BNHW, weight_RKChw) if leaf.requires_grad]
    answers = [
        convolve(image_BNHW, weight_RKChw, stride, padding),
        F.conv2d(image_BNHW, weight_RKChw.flatten(0, 1), None, stride, padding, groups=replicas),
    ]
    gradient_BNHW = torch.randn_like(answers[1])
    one, other = ((answer, *torch.autograd.grad(answer, leaves, gradient_BNHW)) for answer in answers)
    for ours, theirs in zip(one, other, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


class Plain(nn.Module):
    """Layers that SmallCNN has not: a grouped convolution, other borders, a norm over rows, a flattened head."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(2, 4, (3, 2), padding=1, padding_mode="circular", groups=2, dilation=(1, 2))
        self.b = nn.Conv2d(4, 4, 3, stride=2, padding="valid", bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(4, affine=False), nn.BatchNorm2d(4, track_running_stats=False)])
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(36, 6), nn.BatchNorm1d(6), nn.Linear(6, 3, bias=False))

    def forward(self, image_BCHW: Tensor) -> Tensor:
        return self.head(self.norms[1](self.b(self.norms[0](self.a(image_BCHW)).tanh())))


@pytest.mark.parametrize("in_cache", [1, 1500, 2**20], ids=["one by one", "a few at a time", "all at once"])
def test_any_network_of_known_layers_can_be_stacked(monkeypatch: pytest.MonkeyPatch, in_cache: int) -> None:
    monkeypatch.setattr("cnnlab.training.replicas.stacked_layers.KERNELS_IN_CACHE", in_cache)
    networks = [Plain().double() for _ in range(3)]
    stack, image_RBCHW = StackedNetwork(networks), torch.rand(3, 5, 2, 8, 8, dtype=torch.float64)
    for mode in (True, False):
        stack.train(mode)
        together_RBK = stack(image_RBCHW)
        for r, net in enumerate(networks):
            torch.testing.assert_close(together_RBK[r], net.train(mode)(image_RBCHW[r]))


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"widths": [4, 7]}, r"trunk\.1\.0 is Conv2d\(4, 6.* and Conv2d\(4, 7"),
        ({"norm": "group"}, r"network\.stem\.1 is BatchNorm2d and GroupNorm"),
        ({"pool": "avg"}, r"MaxPool2d and AvgPool2d"),
        ({"expression": "sobel(size=5)"}, r"differ in kernel_size: \(3, 3\) and \(5, 5\)"),
        ({"expression": "sobel"}, r"shape of their kernels: \(3, 1, 3, 3\) and \(2, 1, 3, 3\)"),
        ({"border": "zeros"}, r"differ in border: reflect and zeros"),
        ({"mode": "fixed_basis"}, r"modes trainable, fixed_basis cannot.*frozen, trainable, unfrozen mix"),
        ({"dropout": 0.5}, r"Dropout\(p=0\.0.*Dropout\(p=0\.5"),
        ({"widths": [4]}, r"trunk has the parts"),
    ],
)
def test_networks_that_differ_are_refused_with_what_differs(others: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        StackedNetwork([network(0), network(1, **others)])


def test_unknown_layers_and_no_networks_are_refused() -> None:
    with pytest.raises(ValueError, match=r"network\.0: ConvTranspose2d cannot be stacked; can be: Conv2d"):
        StackedNetwork([nn.Sequential(nn.ConvTranspose2d(1, 2, 3))])
    with pytest.raises(ValueError, match="at least 1"):
        StackedNetwork([])
    with pytest.raises(ValueError, match=r"expected images \(2, B, C, H, W\), got \(3, 4, 1, 8, 8\)"):
        StackedNetwork([network(0), network(1)])(torch.rand(3, 4, 1, 8, 8))


class Mixing(nn.Sequential):
    """Its forward lets channels compete outside of any layer: folded, the replicas would too."""

    def forward(self, image_BCHW: Tensor) -> Tensor:
        return super().forward(image_BCHW).softmax(dim=1)


class Pulling(LabNetwork):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        return self.body(image_BCHW)

    def penalty(self) -> Tensor:
        return self.body[0].weight.norm()  # of R weights it is not the sum of R norms


class Strict(nn.Sequential):
    def forward(self, image_BCHW: Tensor) -> Tensor:
        if image_BCHW.shape[1] != 1:
            raise ValueError("one channel, please")
        return super().forward(image_BCHW)


def test_a_forward_that_refuses_folded_images_is_told_by_name() -> None:
    networks = [Strict(nn.Conv2d(1, 3, 8), nn.Flatten()) for _ in range(2)]
    with pytest.raises(ValueError, match="Strict cannot be stacked: one channel, please"):
        StackedNetwork(networks).check(networks, torch.rand(2, 2, 1, 8, 8))


def test_one_value_a_channel_has_no_variance_here_as_there() -> None:
    stack = StackedNetwork([nn.Sequential(nn.BatchNorm2d(2)) for _ in range(2)])
    with pytest.raises(ValueError, match="more than 1 value per channel when training"):
        stack(torch.rand(2, 1, 2, 1, 1))


@pytest.mark.parametrize("kind", [Mixing, Pulling])
def test_a_forward_or_penalty_that_mixes_replicas_is_found(kind: type) -> None:
    networks = [kind(nn.Conv2d(1, 3, 8), nn.Flatten()) for _ in range(2)]
    with pytest.raises(ValueError, match=f"{kind.__name__} cannot be stacked: its predictions change"):
        StackedNetwork(networks).check(networks, torch.rand(2, 2, 1, 8, 8))
    good = [network(seed).float() for seed in range(2)]
    StackedNetwork(good).check(good, torch.rand(2, 2, 1, 8, 8))


def test_batch_statistics_are_a_hundred_times_finer_than_float32_sums() -> None:
    """Values far from 0, as features of one sign are: adding 16,384 of them one by one would lose four digits."""
    norm = nn.BatchNorm2d(2)
    stack = StackedNetwork([nn.Sequential(norm, nn.Identity()) for _ in range(2)])
    image_RBCHW = torch.rand(2, 64, 2, 16, 16) + 10
    exact_BCHW = F.batch_norm(image_RBCHW[0].double(), None, None, training=True)
    answer_BCHW = stack.body(image_RBCHW.transpose(0, 1).flatten(1, 2))[:, :2]
    assert (answer_BCHW - exact_BCHW).abs().max() < 2e-5
    mean_C = image_RBCHW[0].double().mean((0, 2, 3)).float()
    torch.testing.assert_close(stack.body[0].running_mean[0], 0.1 * mean_C, rtol=1e-6, atol=0)


def test_memory_grows_with_the_batch_and_covers_what_a_stack_keeps() -> None:
    net = network(0).float()
    small, large = (replica_bytes(net, (batch, 1, 16, 16)) for batch in (8, 64))
    fixed = replica_bytes(net, (1, 1, 16, 16)) - (large - small) / 56
    assert small == pytest.approx(fixed + 8 * (large - small) / 56, rel=0.05)
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    stack = StackedNetwork([network(seed).float() for seed in range(4)])
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        answer = stack(torch.rand(4, 64, 1, 16, 16))
    assert answer.requires_grad
    assert sum(kept.values()) / 4 < large < 6 * sum(kept.values()) / 4


def test_as_many_replicas_as_half_the_free_memory_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    net, shape = network(0).float(), (64, 1, 16, 16)
    one = replica_bytes(net, shape)
    for free, expected in ((0, 1), (2 * one - 2, 1), (20 * one + 2, 10), (2**40, CPU_ENOUGH // one)):
        monkeypatch.setattr("cnnlab.training.replicas.memory.free_bytes", lambda device, free=free: free)
        assert replicas_that_fit(net, shape) == expected


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's heap")
def test_what_was_freed_in_pieces_goes_back_to_the_system() -> None:
    def resident() -> int:
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
        return int(line.split()[1]) // 1024

    blocks = [bytes(40_000) for _ in range(5000)]  # 200 MB, each too small for pages of its own
    full = resident()
    kept = blocks[::50]
    del blocks
    release_memory()
    assert resident() < full - 100
    assert len(kept) == 100
