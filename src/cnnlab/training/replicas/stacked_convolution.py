"""The convolutions of R networks on a GPU as one batched product of matrices.

Libraries compute a grouped convolution group after group, a launch or more each. Here activations keep the shape
(B, R * C, H, W) but lie in memory as (R * C, H, W, B), batch last: the windows of all images are then copied in long
runs, and the product's result is the next layer's input as it stands.

R replica, B batch, C channel in, K channel out, h, w kernel, H, W image; N = R * channels,
D = C * h * w, P = H * W * B.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

ALIGNED = 8  # values: rows of matrices that start elsewhere miss the fast units
WORD = 8  # bytes copied at once; half-precision values one by one are bound by the arithmetic of their addresses


def convolve(image_BNHW: Tensor, weight_RKChw: Tensor, stride: int = 1, padding: tuple[int, int] = (0, 0)) -> Tensor:
    """`F.conv2d` of each replica's channels with its own weight, in the precision of autocast where that is on.

    With a stride there is no gradient to the image. Padding is by zeros, less than the kernel.
    """
    assert stride == 1 or not image_BNHW.requires_grad
    if torch.is_autocast_enabled(image_BNHW.device.type):
        dtype = torch.get_autocast_dtype(image_BNHW.device.type)
        image_BNHW, weight_RKChw = image_BNHW.to(dtype), weight_RKChw.to(dtype)
    return _Convolution.apply(image_BNHW, weight_RKChw, stride, padding)


def batch_last(value_BNHW: Tensor) -> Tensor:
    """(B, N, H, W) -> (N, H, W, B), contiguous: a copy only where the memory lies otherwise."""
    return value_BNHW.permute(1, 2, 3, 0).contiguous()


def batch_first(value_NHWB: Tensor) -> Tensor:
    """The view back."""
    return value_NHWB.permute(3, 0, 1, 2)


class _Context(FunctionCtx):
    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]
    geometry: tuple[int, tuple[int, int]]  # stride, padding


class _Convolution(torch.autograd.Function):
    """The windows are copied anew for the backward pass: kept, they would take nine times the memory."""

    @staticmethod
    def forward(
        ctx: _Context, image_BNHW: Tensor, weight_RKChw: Tensor, stride: int, padding: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(image_BNHW, weight_RKChw)
        ctx.geometry = stride, padding
        return _product(weight_RKChw, *_windows(image_BNHW, weight_RKChw, stride, padding))

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, gradient_BNHW: Tensor) -> tuple[Tensor | None, ...]:
        image_BNHW, weight_RKChw = ctx.saved_tensors
        stride, padding = ctx.geometry
        for_image, for_weight = None, None
        if ctx.needs_input_grad[1]:
            window_RDP, _ = _windows(image_BNHW, weight_RKChw, stride, padding)
            gradient_RKP = batch_last(gradient_BNHW).view(*weight_RKChw.shape[:2], -1)
            for_RKD = torch.bmm(gradient_RKP, window_RDP.mT)[..., : weight_RKChw[0, 0].numel()]
            for_weight = for_RKD.unflatten(2, weight_RKChw.shape[2:])
        if ctx.needs_input_grad[0]:
            # The same with the kernel rotated by 180 degrees and channels in and out exchanged.
            rotated_RCKhw = weight_RKChw.flip(3, 4).transpose(1, 2)
            rest = weight_RKChw.shape[3] - 1 - padding[0], weight_RKChw.shape[4] - 1 - padding[1]
            for_image = _product(rotated_RCKhw, *_windows(gradient_BNHW, rotated_RCKhw, 1, rest))
        return for_image, for_weight, None, None


def _windows(
    image_BNHW: Tensor, weight_RKChw: Tensor, stride: int, padding: tuple[int, int]
) -> tuple[Tensor, tuple[int, ...]]:
    """(R, D, P), D filled up with zeros to a multiple of ALIGNED, and (H', W', B) of the response."""
    replicas, _, channels, h, w = weight_RKChw.shape
    image_NHWB = batch_last(image_BNHW)
    batch, dtype = image_NHWB.shape[-1], image_NHWB.dtype
    whole_words = batch * dtype.itemsize % WORD == 0
    word_NHWB = image_NHWB.view(torch.int64) if whole_words else image_NHWB
    word_NHWB = F.pad(word_NHWB, (0, 0, padding[1], padding[1], padding[0], padding[0]))
    window_NHWBhw = word_NHWB.unfold(1, h, stride).unfold(2, w, stride)
    window_RChwHWB = window_NHWBhw.permute(0, 4, 5, 1, 2, 3).unflatten(0, (replicas, channels))
    size = channels * h * w
    filled = -(-size // ALIGNED) * ALIGNED
    copied_RDHWB = window_RChwHWB.new_empty(replicas, filled, *window_RChwHWB.shape[4:])
    copied_RDHWB[:, :size].unflatten(1, (channels, h, w)).copy_(window_RChwHWB)
    copied_RDHWB[:, size:] = 0
    height, width = copied_RDHWB.shape[2:4]
    return copied_RDHWB.view(dtype).flatten(2), (height, width, batch)


def _product(weight_RKChw: Tensor, window_RDP: Tensor, shape: tuple[int, ...]) -> Tensor:
    """(B, R * K, H', W')"""
    weight_RKD = weight_RKChw.flatten(2)
    weight_RKD = F.pad(weight_RKD, (0, window_RDP.shape[1] - weight_RKD.shape[2]))
    response_RKP = torch.bmm(weight_RKD, window_RDP)
    return batch_first(response_RKP.view(-1, *shape))
