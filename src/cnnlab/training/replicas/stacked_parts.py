"""Responses to the filters of R replicas and their positive and negative parts, on a CPU.

R replica, B batch, C channel, O response, H, W image, h, w kernel, P place, F feature (twice O).
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from cnnlab._compiled import COMPILED
from cnnlab.training.replicas import stacked_loops as loops

KINDS = (torch.float32, torch.float64)


def can_part(image_RBCHW: Tensor, kernel_ROChw: Tensor) -> bool:
    """Whether `parts` takes these: no gradient goes to the images."""
    same = image_RBCHW.dtype == kernel_ROChw.dtype and image_RBCHW.dtype in KINDS
    plain = image_RBCHW.device.type == "cpu" and not image_RBCHW.requires_grad
    return COMPILED and same and plain and not torch.is_autocast_enabled("cpu")


def parts(image_RBCHW: Tensor, kernel_ROChw: Tensor, stride: int) -> Tensor:
    """(B, R * F, H', W') channels last: for each replica max(r, 0) of all its responses, then max(-r, 0).

    Each replica's convolution is a call of its own, so that its responses are those of a separate run to the last bit.
    """
    return _Parts.apply(image_RBCHW, kernel_ROChw, stride)


class _Context(FunctionCtx):
    saved_tensors: tuple[Tensor, ...]
    stride: int


class _Parts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, image_RBCHW: Tensor, kernel_ROChw: Tensor, stride: int) -> Tensor:
        kernel_ROChw = kernel_ROChw.detach()
        first_BOHW = F.conv2d(image_RBCHW[0], kernel_ROChw[0], stride=stride)
        response_RBOHW = first_BOHW.new_empty(len(kernel_ROChw), *first_BOHW.shape)
        response_RBOHW[0] = first_BOHW
        for r in range(1, len(kernel_ROChw)):
            response_RBOHW[r] = F.conv2d(image_RBCHW[r], kernel_ROChw[r], stride=stride)
        replicas, batch, responses, height, width = response_RBOHW.shape
        part_BPR2O = first_BOHW.new_empty(batch, height * width, replicas, 2, responses)
        loops.part_signs(response_RBOHW.flatten(3).numpy(), part_BPR2O.numpy())
        ctx.save_for_backward(image_RBCHW, kernel_ROChw, response_RBOHW)
        ctx.stride = stride
        return part_BPR2O.view(batch, height, width, -1).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, gradient_BNHW: Tensor) -> tuple[Tensor | None, ...]:
        image_RBCHW, kernel_ROChw, response_RBOHW = ctx.saved_tensors
        replicas, batch, responses = response_RBOHW.shape[:3]
        gradient_BHWN = gradient_BNHW.permute(0, 2, 3, 1).contiguous()
        gradient_BPR2O = gradient_BHWN.view(batch, -1, replicas, 2, responses)
        own_RBOHW = torch.empty_like(response_RBOHW)
        loops.join_signs(gradient_BPR2O.numpy(), response_RBOHW.flatten(3).numpy(), own_RBOHW.flatten(3).numpy())
        for_kernels = [
            torch.ops.aten.convolution_backward(
                own_BOHW, image_BCHW, kernel_OChw, None, [ctx.stride] * 2, [0, 0], [1, 1], False, [0, 0], 1,
                [False, True, False],
            )[1]
            for own_BOHW, image_BCHW, kernel_OChw in zip(own_RBOHW, image_RBCHW, kernel_ROChw, strict=True)
        ]  # fmt: skip
        return None, torch.stack(for_kernels), None
