"""Layers of R networks computed as one.

Activations are folded: (B, R * C, H, W), all channels of replica 0 first; on a GPU they lie batch last (see
stacked_convolution). Parameters and buffers keep the names they have in one layer and gain a first axis, the replica.
R replica, B batch, C channel in, K channel out, h, w kernel, H, W image, N = R * channels.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cnnlab._choices import UsageError
from cnnlab.training.replicas.stacked_convolution import batch_first, batch_last, convolve
from cnnlab.training.replicas.stacked_norm import can_normalise, normalised, scaled

Layer = TypeVar("Layer", bound=nn.Module)
# Bytes of kernels that stay there while a grouped convolution goes through the images, all groups for each of them.
KERNELS_IN_CACHE = 5 * 2**18


def stacked_tensor(tensors: Sequence[Tensor]) -> Tensor:
    """(R, ...) detached. Kernels (R, K, C, h, w) lie in memory as (R, K, h, w, C): channels last, once folded."""
    stack = torch.stack([tensor.detach() for tensor in tensors])
    return stack.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3) if stack.ndim == 5 else stack


class StackedLayer(nn.Module, Generic[Layer]):
    """The state of R layers of one kind, and `one`: the first of them, for its settings."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.replicas = len(layers)
        self._one = [layers[0]]  # in a list: no part of the module tree
        for name, parameter in layers[0]._parameters.items():
            if parameter is None:  # a layer without a bias, say
                self.register_parameter(name, None)
                continue
            # Whether each replica's own parameter trains is the network's to know.
            trains = any(getattr(layer, name).requires_grad for layer in layers)
            stack = stacked_tensor([getattr(layer, name) for layer in layers])
            self.register_parameter(name, nn.Parameter(stack, requires_grad=trains))
            assert parameter.shape == stack.shape[1:]
        for name, buffer in layers[0]._buffers.items():
            stacked = None if buffer is None else stacked_tensor([getattr(layer, name) for layer in layers])
            self.register_buffer(name, stacked)

    @property
    def one(self) -> Layer:
        return self._one[0]

    def folded(self, name: str) -> Tensor | None:
        """The parameter or buffer (R, K, ...) as (R * K, ...), sharing its memory; None where the layer has none."""
        value: Tensor | None = getattr(self, name, None)
        return None if value is None else value.flatten(0, 1)


class StackedConv2d(StackedLayer[nn.Conv2d]):
    """A grouped convolution: as fast as R separate ones where they are limited by arithmetic.

    Large kernels are taken a few replicas at a time. On a GPU the common kinds are one batched product instead.
    """

    weight: Tensor

    def forward(self, image_BNHW: Tensor) -> Tensor:
        one, padding, bias_N = self.one, self.one.padding, self.folded("bias")
        plain = one.groups == 1 and one.padding_mode == "zeros" and {*one.stride, *one.dilation} == {1}
        if (
            image_BNHW.is_cuda
            and plain
            and not isinstance(padding, str)
            and all(map(operator.lt, padding, one.kernel_size))
        ):
            response_BNHW = convolve(image_BNHW, self.weight, padding=(padding[0], padding[1]))
        else:
            response_BNHW = self._grouped(image_BNHW)
        return response_BNHW if bias_N is None else response_BNHW + bias_N[:, None, None]

    def _grouped(self, image_BNHW: Tensor) -> Tensor:
        one = self.one
        padding: str | tuple[int, ...] = one.padding
        if one.padding_mode != "zeros":
            image_BNHW = F.pad(image_BNHW, one._reversed_padding_repeated_twice, mode=one.padding_mode)
            padding = (0, 0)
        few = self.replicas if image_BNHW.is_cuda else max(1, KERNELS_IN_CACHE // self.weight[0].nbytes)
        if few >= self.replicas:  # also because the gradient of a split is a copy
            return self._convolved(image_BNHW, self.weight, padding)
        parts = zip(image_BNHW.split(few * one.in_channels, 1), self.weight.split(few), strict=True)
        return torch.cat([self._convolved(image, weight, padding) for image, weight in parts], 1)

    def _convolved(self, image_BNHW: Tensor, weight_RKChw: Tensor, padding: str | tuple[int, ...]) -> Tensor:
        one, groups = self.one, self.one.groups * len(weight_RKChw)
        return F.conv2d(image_BNHW, weight_RKChw.flatten(0, 1), None, one.stride, padding, one.dilation, groups)


class StackedLinear(StackedLayer[nn.Linear]):
    """(B, R * C) -> (B, R * K)."""

    weight: Tensor
    bias: Tensor | None

    def forward(self, value_BN: Tensor) -> Tensor:
        value_RBC = value_BN.unflatten(1, (self.replicas, -1)).transpose(0, 1)
        response_RBK = torch.bmm(value_RBC, self.weight.mT)
        if self.bias is not None:
            response_RBK = response_RBK + self.bias[:, None]
        return response_RBK.transpose(0, 1).flatten(1)


class StackedBatchNorm(StackedLayer[_BatchNorm]):
    """Statistics belong to a channel, so folding is all it takes; the running ones are updated in place.

    `rectifies`: a ReLU that comes next is done here as well, and left out there.
    """

    rectifies = False
    num_batches_tracked: Tensor | None

    def __init__(self, layers: Sequence[_BatchNorm]) -> None:
        super().__init__(layers)
        if self.one.momentum is None:
            raise UsageError("batch norm with momentum=None (a cumulative mean) cannot be stacked; give a number")
        self.momentum: float = self.one.momentum

    def forward(self, value_BN: Tensor) -> Tensor:
        one, mean, variance = self.one, self.folded("running_mean"), self.folded("running_var")
        weight, bias = self.folded("weight"), self.folded("bias")
        measures = self.training or mean is None
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked += 1
        if weight is not None and bias is not None and can_normalise(value_BN, weight):
            if measures:
                return normalised(value_BN, weight, bias, mean, variance, self.momentum, one.eps, self.rectifies)
            if mean is not None and variance is not None and not torch.is_grad_enabled():
                return scaled(value_BN, weight, bias, mean, variance, one.eps, self.rectifies)
        scaled_BN = self._by_torch(value_BN, (mean, variance, weight, bias, measures, self.momentum, one.eps))
        return scaled_BN.relu() if self.rectifies else scaled_BN

    @staticmethod
    def _by_torch(
        value_BN: Tensor,
        values: tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None, bool, float, float],
    ) -> Tensor:
        if value_BN.is_cuda and value_BN.ndim == 4:
            # one row a channel: the fastest kernels, and no copy of what lies batch last
            value_NHWB = batch_last(value_BN)
            return batch_first(F.batch_norm(value_NHWB.flatten(1)[None], *values).view_as(value_NHWB))
        return F.batch_norm(value_BN, *values)


class StackedPool(StackedLayer[nn.MaxPool2d | nn.AvgPool2d]):
    """Each plane alone, so that planes may as well be told apart by image as by channel."""

    def forward(self, value_BNHW: Tensor) -> Tensor:
        if not value_BNHW.is_cuda:
            return self.one.forward(value_BNHW)
        return self.one.forward(value_BNHW.transpose(0, 1)).transpose(0, 1)  # batch last is channels last of this


class StackedGroupNorm(StackedLayer[nn.GroupNorm]):
    """R times as many groups."""

    def forward(self, value_BN: Tensor) -> Tensor:
        groups = self.one.num_groups * self.replicas
        return F.group_norm(value_BN, groups, self.folded("weight"), self.folded("bias"), self.one.eps)


class StackedDropout(StackedLayer[nn.Dropout]):
    """Each replica draws from its own generator (see `draw_from`), in the order of a separate run.

    On a CPU the draws for (B, C) values equal those of `nn.Dropout` after `torch.manual_seed`.
    """

    def __init__(self, layers: Sequence[nn.Dropout]) -> None:
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


STACKED: dict[type[nn.Module], Callable[..., nn.Module]] = {
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
