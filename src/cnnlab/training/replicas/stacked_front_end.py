"""The filter-bank front ends of R networks computed as one; some may be frozen while others train.

R replica, B batch, C input channel, O response, K basis kernel, F feature, H, W image, h, w kernel, N = R * channels.
"""

from collections.abc import Sequence
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.nn.front_end import FrontEnd
from cnnlab.training.replicas.stacked_convolution import batch_first, batch_last, convolve
from cnnlab.training.replicas.stacked_layers import StackedLayer, stacked_tensor
from cnnlab.training.replicas.stacked_parts import can_part, parts

# One computation, whether the weight moves or not.
MIXED = ("frozen", "trainable", "unfrozen")
ALIKE = ("in_channels", "kernel_size", "stride", "border", "rectify", "vectors")


class StackedFrontEnd(StackedLayer[FrontEnd]):
    """Takes folded images (B, R * C, H, W), gives folded features (B, R * F, H', W').

    Raises UsageError, naming what differs, for front ends that are more than their kernels and modes apart.
    """

    weight: Tensor
    coefficients: Tensor  # of the mode with a fixed basis, in place of the weight
    basis: Tensor
    start: Tensor  # of mode anchored

    def __init__(self, ends: Sequence[FrontEnd]) -> None:
        nn.Module.__init__(self)
        self.replicas = len(ends)
        self._one = [ends[0]]
        for name in ALIKE:
            values = [getattr(end, name) for end in ends]
            if any(value != values[0] for value in values):
                raise UsageError(f"front ends differ in {name}: {' and '.join(dict.fromkeys(map(str, values)))}")
        self.modes = [end.mode for end in ends]
        kinds = list(dict.fromkeys(self.modes))
        if len(kinds) > 1 and not set(kinds) <= set(MIXED):
            raise UsageError(
                f"front ends of modes {', '.join(kinds)} cannot train together; only {', '.join(MIXED)} mix"
            )
        shapes = list(dict.fromkeys(tuple(end.kernel().shape) for end in ends))
        if len(shapes) > 1:
            raise UsageError(f"front ends differ in the shape of their kernels: {' and '.join(map(str, shapes))}")
        # A frozen weight is a buffer, a trainable one a parameter.
        states = [dict(chain(end.named_parameters(), end.named_buffers())) for end in ends]
        for name in states[0]:
            stack = stacked_tensor([state[name] for state in states])
            if name in ("weight", "coefficients"):
                self.trained = name
                self.register_parameter(name, nn.Parameter(stack))
            else:
                self.register_buffer(name, stack)
        self.unfreeze_epochs = [end.unfreeze_epoch for end in ends]
        self.anchors = [end.anchor for end in ends]
        self.at_epoch(0)

    @property
    def moves(self) -> tuple[str, list[bool]]:
        """The name of the parameter, and for each replica whether it trains in this epoch."""
        held = zip(self.modes, self.unfreeze_epochs, strict=True)
        return self.trained, [m != "frozen" and (m != "unfrozen" or self._epoch >= release) for m, release in held]

    def at_epoch(self, epoch: int) -> None:
        self._epoch = epoch
        name, moves = self.moves
        self.get_parameter(name).requires_grad_(any(moves))

    def kernel(self) -> Tensor:
        """(R, O, C, h, w), with its gradient."""
        if self.trained == "coefficients":
            return torch.einsum("rock,rkhw->rochw", self.coefficients, self.basis)
        return self.weight

    def first_layer_kernels(self) -> Tensor:
        """(R, O, C, h, w): a detached copy."""
        return self.kernel().detach().clone()

    def penalty(self) -> Tensor:
        """() the sum of the replicas' penalties, so that each has its own gradient."""
        if "start" not in self._buffers:
            return self.kernel().new_zeros(())
        distance_R = (self.weight - self.start).square().flatten(1).sum(1)
        return (distance_R.new_tensor(self.anchors) * distance_R).sum()

    def forward(self, image_BNHW: Tensor, named: bool = False) -> Tensor | dict[str, Tensor]:
        # The front end's own rectification takes responses on axis 1, whatever follows it.
        if image_BNHW.is_cuda:
            feature_RFHWB = self.one.rectified(self._respond_batch_last(image_BNHW))
            feature_BNHW = batch_first(feature_RFHWB.flatten(0, 1))
        else:
            feature_BNHW = self._features(image_BNHW)
        return {"feature": feature_BNHW} if named else feature_BNHW

    def _features(self, image_BNHW: Tensor) -> Tensor:
        """(B, R * F, H', W') channels last; one replica after the other, which stays in a CPU's cache."""
        image_RBCHW, kernel_ROChw = self._bordered(image_BNHW), self.kernel()
        if self.one.rectify == "parts" and can_part(image_RBCHW, kernel_ROChw):
            return parts(image_RBCHW, kernel_ROChw, self.one.stride)
        features = [
            self.one.rectified(response).contiguous(memory_format=torch.channels_last)
            for response in self._responses(image_RBCHW, kernel_ROChw)
        ]
        return torch.cat(features, 1).contiguous(memory_format=torch.channels_last)

    def _responses(self, image_RBCHW: Tensor, kernel_ROChw: Tensor) -> list[Tensor]:
        """(B, O, H', W') of each replica, to the last bit those of separate runs.

        It matters: beside a mirrored border and on flat ground the response of derivative filters is 0, and on which
        side of 0 the rounding falls decides through the rectification where the gradient goes.
        """
        pairs = zip(image_RBCHW.unbind(), kernel_ROChw.unbind(), strict=True)
        return [F.conv2d(image, kernel, stride=self.one.stride) for image, kernel in pairs]

    def _respond_batch_last(self, image_BNHW: Tensor) -> Tensor:
        """(R, O, H', W', B); where precision is lower anyway, without going through the replicas one by one."""
        if not torch.is_autocast_enabled("cuda"):
            responses = self._responses(self._bordered(image_BNHW), self.kernel())
            return torch.stack(responses).permute(0, 2, 3, 4, 1).contiguous()
        image_BNHW = self._bordered(image_BNHW).transpose(0, 1).flatten(1, 2)
        return batch_last(convolve(image_BNHW, self.kernel(), self.one.stride)).unflatten(0, (self.replicas, -1))

    def _bordered(self, image_BNHW: Tensor) -> Tensor:
        """(R, B, C, H, W)"""
        image_RBCHW = image_BNHW.unflatten(1, (self.replicas, -1)).transpose(0, 1)
        return self.one.with_border(image_RBCHW.flatten(0, 1)).unflatten(0, image_RBCHW.shape[:2])
