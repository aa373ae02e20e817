"""Batch norm of folded activations on a CPU, followed by a ReLU or not.

Activations (B, N, H, W) lie channels last: as rows of N values, one for each of the M = B * H * W places.
"""

from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from cnnlab._choices import UsageError
from cnnlab._compiled import COMPILED
from cnnlab.training.replicas import stacked_loops as loops

KINDS = (torch.float32, torch.float64)
Array: TypeAlias = np.ndarray


def can_normalise(value_BNHW: Tensor, weight_N: Tensor | None) -> bool:
    """Whether the functions below take such activations."""
    plain = value_BNHW.device.type == "cpu" and value_BNHW.ndim == 4 and value_BNHW.dtype in KINDS
    return COMPILED and plain and weight_N is not None and weight_N.dtype == value_BNHW.dtype


def normalised(
    value_BNHW: Tensor, weight_N: Tensor, bias_N: Tensor, running_mean_N: Tensor | None,
    running_var_N: Tensor | None, momentum: float, eps: float, rectify: bool,
) -> Tensor:  # fmt: skip
    """`F.batch_norm` by the batch's own statistics, and its positive part where `rectify`.

    Sums are taken in float64: torch's channels last in float32 are wrong by 1e-4 of a standard deviation over 4,096
    values, a hundred times more than in the separate run. The running statistics are updated in place. Raises
    UsageError for less than two values a channel.
    """
    return _BatchNorm.apply(value_BNHW, weight_N, bias_N, running_mean_N, running_var_N, momentum, eps, rectify)


def scaled(
    value_BNHW: Tensor, weight_N: Tensor, bias_N: Tensor, mean_N: Tensor, variance_N: Tensor, eps: float, rectify: bool
) -> Tensor:
    """`F.batch_norm` by given statistics, as in evaluation; without gradients."""
    gain_N, offset_N = _line(weight_N, bias_N, mean_N.double().numpy(), variance_N.double().numpy() + eps)
    return _scaled(value_BNHW, _rows(value_BNHW), gain_N, offset_N, rectify)


class _Context(FunctionCtx):
    saved_tensors: tuple[Tensor, ...]
    statistics: tuple[Array, Array]  # mean and variance + eps, float64
    line: tuple[Array, Array]  # gain and offset
    rectify: bool


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: _Context, value_BNHW: Tensor, weight_N: Tensor, bias_N: Tensor, running_mean_N: Tensor | None,
        running_var_N: Tensor | None, momentum: float, eps: float, rectify: bool,
    ) -> Tensor:  # fmt: skip
        value_MN = _rows(value_BNHW)
        count, channels = value_MN.shape
        if count < 2:
            raise UsageError(f"batch norm needs more than 1 value per channel when training, got {count}")
        mean_N, variance_N = np.zeros(channels), np.zeros(channels)
        loops.measure(value_MN.numpy(), mean_N, variance_N)
        if running_mean_N is not None and running_var_N is not None:
            unbiased_N = variance_N * (count / (count - 1))
            running_mean_N.lerp_(torch.from_numpy(mean_N).to(running_mean_N), momentum)
            running_var_N.lerp_(torch.from_numpy(unbiased_N).to(running_var_N), momentum)
        line = _line(weight_N, bias_N, mean_N, variance_N + eps)
        ctx.save_for_backward(value_BNHW, weight_N)
        ctx.statistics, ctx.line, ctx.rectify = (mean_N, variance_N + eps), line, rectify
        return _scaled(value_BNHW, value_MN, *line, rectify)

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, gradient_BNHW: Tensor) -> tuple[Tensor | None, ...]:
        value_BNHW, weight_N = ctx.saved_tensors
        mean_N, variance_N = ctx.statistics
        value_MN, own_MN = _rows(value_BNHW), torch.empty_like(_rows(value_BNHW))
        gradient_MN = _rows(gradient_BNHW)
        both, (gain_N, offset_N) = (gradient_MN.numpy(), value_MN.numpy()), ctx.line
        count, channels = value_MN.shape
        sum_N, product_N = np.zeros(channels), np.zeros(channels)
        if ctx.rectify:
            loops.measure_gradient_rectified(*both, gain_N, offset_N, mean_N, sum_N, product_N)
        else:
            loops.measure_gradient(*both, mean_N, sum_N, product_N)
        # d/dx of (x - mean) / sqrt(variance): Ioffe and Szegedy 2015, ICML, section 3
        exact_N = weight_N.numpy() / np.sqrt(variance_N)
        slope_N = -exact_N * product_N / variance_N / count
        constant_N = -exact_N * sum_N / count - slope_N * mean_N
        slope_N, constant_N = slope_N.astype(gain_N.dtype), constant_N.astype(gain_N.dtype)
        if ctx.rectify:
            loops.combine_rectified(*both, gain_N, offset_N, slope_N, constant_N, own_MN.numpy())
        else:
            loops.combine(*both, gain_N, slope_N, constant_N, own_MN.numpy())
        for_weight_N = torch.from_numpy(product_N / np.sqrt(variance_N)).to(weight_N)
        return _planes(own_MN, value_BNHW), for_weight_N, torch.from_numpy(sum_N).to(weight_N), *[None] * 5


def _line(weight_N: Tensor, bias_N: Tensor, mean_N: Array, variance_N: Array) -> tuple[Array, Array]:
    """Gain and offset of each channel, from statistics in float64 to the weight's own kind."""
    gain_N = weight_N.detach().numpy() / np.sqrt(variance_N)
    offset_N = bias_N.detach().numpy() - mean_N * gain_N
    kind = weight_N.detach().numpy().dtype
    return gain_N.astype(kind), offset_N.astype(kind)


def _scaled(like_BNHW: Tensor, value_MN: Tensor, gain_N: Array, offset_N: Array, rectify: bool) -> Tensor:
    scaled_MN = torch.empty_like(value_MN)
    scale = loops.scale_rectified if rectify else loops.scale
    scale(value_MN.numpy(), gain_N, offset_N, scaled_MN.numpy())
    return _planes(scaled_MN, like_BNHW)


def _rows(value_BNHW: Tensor) -> Tensor:
    """(M, N) contiguous; a copy only where the memory lies otherwise."""
    return value_BNHW.detach().permute(0, 2, 3, 1).contiguous().flatten(0, 2)


def _planes(value_MN: Tensor, like_BNHW: Tensor) -> Tensor:
    """The view back."""
    return value_MN.view(like_BNHW.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
