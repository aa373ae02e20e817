"""Edges and lines by the energy of oriented banks. B batch, C channel, K kernel, O orientation, H W image."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnlab._choices import UsageError, check_choice
from cnnlab.edges.borders import BORDERS, pad
from cnnlab.edges.gradient import Gradient, derivative_pairs, length, root
from cnnlab.filters import FilterBank
from cnnlab.filters.analysis.properties import properties


class OrientedEnergy(nn.Module):
    """The strongest oriented response and its orientation. Nothing is trained.

    bank: its vectors are the quadrature pairs (`quadrature`, `steerable_pair`); a kernel outside of them stands alone
        (`gabor`, `gaussian(order=2, orientations=8)`, `kirsch`). The energy of a pair is the norm of its responses
        (Adelson & Bergen 1985, JOSA A 2(2)), that of one kernel the absolute value of its response. A kernel prefers
        the orientation at which its spectrum is largest; UsageError for a bank in which one prefers none.
    border: `reflect`, `replicate`, `zeros`, `circular`, as in `borders.pad`.

    Buffers: `kernels_K1hw` (float64) in the order of the groups, `angle_O` (float64), radians in [0, pi).
    """

    kernels_K1hw: Tensor
    angle_O: Tensor

    def __init__(self, bank: FilterBank, border: str = "reflect") -> None:
        super().__init__()
        check_choice("border", border, BORDERS)
        self.border = border
        in_vectors = {index for vector in bank.vectors for index in vector}
        groups = [*bank.vectors, *((index,) for index in range(len(bank)) if index not in in_vectors)]
        of_kernels = properties(bank.kernels)
        angles = []
        for group in groups:
            angle = of_kernels[group[-1]].orientation  # the odd one of a pair
            if angle is None:
                names = ", ".join(bank.names[index] for index in group)
                raise UsageError(f"({names}) prefers no orientation; an energy needs oriented kernels, such as gabor's")
            angles.append(math.radians(angle) % math.pi)
        self.sizes = [len(group) for group in groups]
        order = [index for group in groups for index in group]
        self.register_buffer("kernels_K1hw", bank.kernels[order])
        weight = bank.kernels.abs().sum((-2, -1))
        # Such kernels are given images about 0, so that rounding makes no edges of a constant.
        self.blind = bool((bank.kernels.sum((-2, -1)).abs() <= 1e-9 * weight).all())
        self.register_buffer("angle_O", torch.tensor(angles, dtype=torch.float64))

    @property
    def halo(self) -> tuple[int, int]:
        side = max(self.kernels_K1hw.shape[-2:])
        return side // 2, (side - 1) // 2

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """(B, C, K, H, W): the responses of the kernels, in the order of the buffer."""
        before, behind = self.halo
        return self.responses(pad(image_BCHW, before, behind, before, behind, self.border))

    def responses(self, padded_BCHW: Tensor) -> Tensor:
        height, width = self.kernels_K1hw.shape[-2:]
        side = max(height, width)
        image_N1HW = padded_BCHW.flatten(0, 1).unsqueeze(1)
        top, left = side // 2 - height // 2, side // 2 - width // 2
        image_N1HW = image_N1HW[..., top : image_N1HW.shape[-2] - (side - height - top), :]
        image_N1HW = image_N1HW[..., left : image_N1HW.shape[-1] - (side - width - left)]
        if self.blind:
            middle_N111 = (image_N1HW.amax((-2, -1), keepdim=True) + image_N1HW.amin((-2, -1), keepdim=True)) / 2
            image_N1HW = image_N1HW - middle_N111.detach()
        response_NKHW = F.conv2d(image_N1HW, self.kernels_K1hw.to(padded_BCHW.dtype))
        return response_NKHW.unflatten(0, padded_BCHW.shape[:2])

    def inside(self, padded_BCHW: Tensor, colour: str) -> tuple[Tensor, Tensor, Tensor]:
        """(strength, dy, dx), each (B, 1, H, W), of an image that has its border already.

        strength is the largest energy; (dy, dx) its direction, from all energies squared as vectors of twice their
        angle (so between two orientations where both respond). Channels: the largest, or (`tensor`) the norm.
        """
        parts = self.responses(padded_BCHW).split(self.sizes, dim=2)
        energy_BCOHW = torch.stack([norm(part) for part in parts], dim=2)
        energy_BOHW = energy_BCOHW.amax(1) if colour == "largest" else norm(energy_BCOHW.transpose(1, 2))
        strength_B1HW = energy_BOHW.amax(1, keepdim=True)
        fraction_BOHW = (energy_BOHW / strength_B1HW.clamp_min(torch.finfo(strength_B1HW.dtype).tiny)).square()
        angle_O11 = self.angle_O.to(padded_BCHW.dtype).view(-1, 1, 1)
        sine = (fraction_BOHW * (2 * angle_O11).sin()).sum(1, keepdim=True)
        cosine = (fraction_BOHW * (2 * angle_O11).cos()).sum(1, keepdim=True)
        radius = length(sine, cosine)
        wide = cosine >= 0
        dy = torch.where(wide, sine.abs(), radius - cosine)
        dx = torch.where(wide, radius + cosine, sine.abs())
        return strength_B1HW, torch.where(sine < 0, -dy, dy), dx


def measure_of(bank: FilterBank, border: str) -> Gradient | OrientedEnergy:
    """A gradient if the bank is pairs of derivatives, an energy if it holds none.

    Raises UsageError, naming the kernels, for a bank of both: a gradient would leave some of them out.
    """
    pairs = derivative_pairs(bank)
    if not pairs:
        return OrientedEnergy(bank, border)
    inside = {index for pair in pairs for index in pair}
    others = [name for index, name in enumerate(bank.names) if index not in inside]
    if others:
        names = ", ".join(bank.names[index] for index in sorted(inside))
        raise UsageError(f"bank: {', '.join(others)} form no pair of derivatives, as {names} do; take one kind alone")
    return Gradient(bank, border)


def norm(field_BCKHW: Tensor) -> Tensor:
    """Over K, (B, C, H, W), with a gradient of 0 where all are 0."""
    if field_BCKHW.shape[2] == 1:
        return field_BCKHW[:, :, 0].abs()
    square = field_BCKHW.square().sum(2)
    return root(square)
