"""Layers of R networks computed as one.

Activations are folded: (B, R * C, H, W), all channels of replica 0 first; on a GPU they lie batch last (see
stacked_convolution). Parameters and buffers keep the names they have in one layer and gain a first axis, the replica.
R replica, B batch, C channel in, K channel out, h, w kernel, H, W image, N = R * channels.
"""

import operator
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.training.replicas.stacked_convolution import batch_first, batch_last, convolve
from cnnlab.training.replicas.stacked_norm import can_normalise, normalised, scaled

# Bytes of kernels that stay there while a grouped convolution goes through the images, all groups for each of them.
KERNELS_IN_CACHE = 5 * 2**18


def stacked_tensor(tensors: Sequence[Tensor]) -> Tensor:
    """(R, ...) detached. Kernels (R, K, C, h, w) lie in memory as (R, K, h, w, C): channels last, once folded."""
    stack = torch.stack([tensor.detach() for tensor in tensors])
    return stack.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3) if stack.ndim == 5 else stack


class StackedLayer(nn.Module):
    """The state of R layers of one kind, and `one`: the first of them, for its settings."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.replicas = len(layers)
        self._one = [layers[0]]  # in a list: no part of the module tree
        for name, parameter in layers[0].named_parameters(recurse=False):
            # Whether each replica's own parameter trains is the network's to know.
            trains = any(getattr(layer, name).requires_grad for layer in layers)
            stack = stacked_tensor([getattr(layer, name) for layer in layers])
            self.register_parameter(name, nn.Parameter(stack, requires_grad=trains))
            assert parameter.shape == stack.shape[1:]
        for name, _ in layers[0].named_buffers(recurse=False):
            self.register_buffer(name, stacked_tensor([getattr(layer, name) for layer in layers]))

    @property
    def one(self) -> nn.Module:
        return self._one[0]

    def folded(self, name: str) -> Tensor | None:
        """The parameter or buffer (R, K, ...) as (R * K, ...), sharing its memory; None where the layer has none."""
        value = getattr(self, name, None)
        return None if value is None else value.flatten(0, 1)


class StackedConv2d(StackedLayer):
    """A grouped convolution: as fast as R separate ones where they are limited by arithmetic.

    Large kernels are taken a few replicas at a time. On a GPU the common kinds are one batched product instead.
    """

    def forward(self, image_BNHW: Tensor) -> Tensor:
        one = self.one
        plain = one.groups == 1 and one.padding_mode == "zeros" and {*one.stride, *one.dilation} == {1}
        inside = not isinstance(one.padding, str) and all(map(operator.lt, one.padding, one.kernel_size))
        if image_BNHW.is_cuda and plain and inside:
            answer_BNHW = convolve(image_BNHW, self.weight, padding=one.padding)
        else:
            answer_BNHW = self._grouped(image_BNHW)
        return answer_BNHW if one.bias is None else answer_BNHW + self.folded("bias")[:, None, None]

    def _grouped(self, image_BNHW: Tensor) -> Tensor:
        one, padding = self.one, self.one.padding
        if one.padding_mode != "zeros":
            image_BNHW = F.pad(image_BNHW, one._reversed_padding_repeated_twice, mode=one.padding_mode)
            padding = 0
        few = self.replicas if image_BNHW.is_cuda else max(1, KERNELS_IN_CACHE // self.weight[0].nbytes)
        if few >= self.replicas:  # also because the gradient of a split is a copy
            return self._convolved(image_BNHW, self.weight, padding)
        parts = zip(image_BNHW.split(few * one.in_channels, 1), self.weight.split(few), strict=True)
        return torch.cat([self._convolved(image, weight, padding) for image, weight in parts], 1)

    def _convolved(self, image_BNHW: Tensor, weight_RKChw: Tensor, padding: int | str | tuple[int, ...]) -> Tensor:
        one, groups = self.one, self.one.groups * len(weight_RKChw)
        return F.conv2d(image_BNHW, weight_RKChw.flatten(0, 1), None, one.stride, padding, one.dilation, groups)


class StackedLinear(StackedLayer):
    """(B, R * C) -> (B, R * K)."""

    def forward(self, value_BN: Tensor) -> Tensor:
        value_RBC = value_BN.unflatten(1, (self.replicas, -1)).transpose(0, 1)
        answer_RBK = torch.bmm(value_RBC, self.weight.mT)
        if self.one.bias is not None:
            answer_RBK = answer_RBK + self.bias[:, None]
        return answer_RBK.transpose(0, 1).flatten(1)


class StackedBatchNorm(StackedLayer):
    """Statistics belong to a channel, so folding is all it takes; the running ones are updated in place.

    `rectifies`: a ReLU that comes next is done here as well, and left out there.
    """

    rectifies = False

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__(layers)
        if self.one.momentum is None:
            raise UsageError("batch norm with momentum=None (a cumulative mean) cannot be stacked; give a number")

    def forward(self, value_BN: Tensor) -> Tensor:
        one, mean, variance = self.one, self.folded("running_mean"), self.folded("running_var")
        weight, bias = self.folded("weight"), self.folded("bias")
        measures = self.training or one.running_mean is None
        if self.training and one.track_running_stats:
            self.num_batches_tracked += 1
        if can_normalise(value_BN, weight):
            if measures:
                return normalised(value_BN, weight, bias, mean, variance, one.momentum, one.eps, self.rectifies)
            if not torch.is_grad_enabled():
                return scaled(value_BN, weight, bias, mean, variance, one.eps, self.rectifies)
        answer_BN = self._by_torch(value_BN, (mean, variance, weight, bias, measures, one.momentum, one.eps))
        return answer_BN.relu() if self.rectifies else answer_BN

    @staticmethod
    def _by_torch(value_BN: Tensor, values: tuple) -> Tensor:
        if value_BN.is_cuda and value_BN.ndim == 4:
            # one row a channel: the fastest kernels, and no copy of what lies batch last
            value_NHWB = batch_last(value_BN)
            return batch_first(F.batch_norm(value_NHWB.flatten(1)[None], *values).view_as(value_NHWB))
        return F.batch_norm(value_BN, *values)


class StackedPool(StackedLayer):
    """Each plane alone, so that planes may as well be told apart by image as by channel."""

    def forward(self, value_BNHW: Tensor) -> Tensor:
        if not value_BNHW.is_cuda:
            return self.one(value_BNHW)
        return self.one(value_BNHW.transpose(0, 1)).transpose(0, 1)  # batch last is channels last of this


class StackedGroupNorm(StackedLayer):
    """R times as many groups."""

    def forward(self, value_BN: Tensor) -> Tensor:
        groups = self.one.num_groups * self.replicas
        return F.group_norm(value_BN, groups, self.folded("weight"), self.folded("bias"), self.one.eps)


class StackedDropout(StackedLayer):
    """Each replica draws from its own generator (see `draw_from`), in the order of a separate run.

    On a CPU the draws for (B, C) values equal those of `nn.Dropout` after `torch.manual_seed`.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__(layers)
        self._generators: Sequence[torch.Generator] | None = None

    def draw_from(self, generators: Sequence[torch.Generator]) -> None:
        assert len(generators) == self.replicas
        self._generators = generators

    def forward(self, value_BN: Tensor) -> Tensor:
        if not self.training or self.one.p == 0:
            return value_BN
        if self._generators is None:
            return F.dropout(value_BN, self.one.p)
        one_BC = value_BN.unflatten(1, (self.replicas, -1))[:, 0]
        keep = 1 - self.one.p
        draws = [torch.empty_like(one_BC).bernoulli_(keep, generator=g) for g in self._generators]
        return value_BN * (torch.stack(draws, dim=1).flatten(1, 2) / max(keep, 1e-30))


STACKED: dict[type[nn.Module], type[StackedLayer]] = {
    nn.Conv2d: StackedConv2d,
    nn.Linear: StackedLinear,
    nn.BatchNorm1d: StackedBatchNorm,
    nn.BatchNorm2d: StackedBatchNorm,
    nn.GroupNorm: StackedGroupNorm,
    nn.Dropout: StackedDropout,
    nn.MaxPool2d: StackedPool,
    nn.AvgPool2d: StackedPool,
}
# Layers that treat each channel alike and alone, and so take folded activations as they are.
UNCHANGED: tuple[type[nn.Module], ...] = (
    nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Mish, nn.ELU, nn.Tanh, nn.Sigmoid,
    nn.Hardswish, nn.Hardsigmoid, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d,
    nn.Upsample, nn.Flatten,
)  # fmt: skip
