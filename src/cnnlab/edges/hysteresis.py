"""Hysteresis: weak edges stay where they are connected to a strong edge. B batch, H W image.

Canny 1986, IEEE PAMI 8(6), section VII: all pixels of at least `low` that are connected, through such pixels and
from neighbour to neighbour of the eight, to one of at least `high`.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab._compiled import COMPILED, compiled

Threshold = float | Tensor
WEAK, STAYS = np.uint8(1), np.uint8(2)
_JUMPS = 4  # pointers double as often in a round


def hysteresis(strength_B1HW: Tensor, low: Threshold, high: Threshold) -> Tensor:
    """(B, 1, H, W) bool, on the device of the strength.

    low <= high: numbers, or tensors (B,) with one for each image. ValueError if low is above high or NaN.
    """
    low_B111, high_B111 = (_for_each(strength_B1HW, name, one) for name, one in (("low", low), ("high", high)))
    _check_order(low, high, low_B111, high_B111)
    weak_B1HW, strong_B1HW = strength_B1HW >= low_B111, strength_B1HW >= high_B111
    walked = COMPILED and strength_B1HW.device.type == "cpu"
    return (flooded if walked else joined)(weak_B1HW, strong_B1HW)


def flooded(weak_B1HW: Tensor, strong_B1HW: Tensor) -> Tensor:
    """Pixels of `weak` in a component of eight neighbours with one of `strong`, on a CPU: flooded from the strong."""
    result_B1HW = torch.empty_like(weak_B1HW)
    for weak_HW, strong_HW, result_HW in zip(weak_B1HW[:, 0], strong_B1HW[:, 0], result_B1HW[:, 0], strict=True):
        place_N = np.flatnonzero(weak_HW.numpy())
        value_N = strong_HW.numpy().reshape(-1)[place_N].astype(np.uint8) + np.uint8(1)
        reached_HW = np.zeros(weak_HW.shape, np.uint8)
        follow(place_N, value_N, np.uint8(1), np.uint8(2), reached_HW)
        result_HW.copy_(torch.from_numpy(reached_HW))
    return result_B1HW


@compiled
def follow(
    place_N: np.ndarray, value_N: np.ndarray, low: float | np.uint8, high: float | np.uint8, joined_HW: np.ndarray
) -> None:
    """Writes into `joined`, full of 0, the values that stay of those at the places y * W + x, in order; others are 0.

    `state` has a row of nothing above and below, and a column that ends each row and is before the next one, so that
    no neighbour must be asked whether it is inside; `spot` is a place there.
    """
    height, width = joined_HW.shape
    state_n, joined_N = np.zeros((height + 2) * (width + 1) + 1, np.uint8), joined_HW.reshape(-1)
    spot_N, waiting_N, count, y = np.empty_like(place_N), np.empty(len(place_N) + 1, np.int64), 0, 0
    for index, place in enumerate(place_N):
        while place >= (y + 1) * width:
            y += 1
        spot = place + y + width + 2
        weak, strong = value_N[index] >= low, (value_N[index] >= low) & (value_N[index] >= high)
        spot_N[index], waiting_N[count] = spot, spot
        state_n[spot] = weak * WEAK + strong * WEAK
        count += strong
    while count:
        count -= 1
        spot = waiting_N[count]
        for line in (spot - width - 1, spot, spot + width + 1):
            for near in (line - 1, line, line + 1):
                if state_n[near] == WEAK:
                    state_n[near] = STAYS
                    waiting_N[count] = near
                    count += 1
    for index, spot in enumerate(spot_N):
        if state_n[spot] == STAYS:
            joined_N[place_N[index]] = value_N[index]


def joined(weak_B1HW: Tensor, strong_B1HW: Tensor) -> Tensor:
    """The same on any device, by tensor operations on the K pixels of `weak`, which are few.

    Every one of them starts as its own root. A round hooks each root to the largest root that touches its tree, then
    lets all follow their tree upwards. Roots only ever grow within their component, so the rounds end when each
    touches none but its own: asked once a round, since the result makes the CPU wait for the device.
    """
    framed = F.pad(weak_B1HW, (1, 1, 1, 1))  # so that a step to the side stays in the image
    place_K = framed.flatten().nonzero().squeeze(1)
    count, width = len(place_K), framed.shape[-1]
    number_N = torch.full((framed.numel(),), count, dtype=torch.int32, device=framed.device)
    own_K = torch.arange(count, dtype=torch.int32, device=framed.device)
    number_N[place_K] = own_K
    steps = (-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1)
    near_8K = torch.stack([number_N[place_K + step] for step in steps])
    root_K = own_K
    while True:
        touching_K = torch.maximum(root_K, F.pad(root_K, (0, 1), value=-1)[near_8K].amax(0))
        if torch.equal(touching_K, root_K):
            break
        # What has nothing to tell its root tells it to itself: a GPU would have all of them wait in line.
        hooked_K = torch.where(touching_K > root_K, root_K, own_K)
        parent_K = own_K.scatter_reduce(0, hooked_K.long(), torch.where(touching_K > root_K, touching_K, own_K), "amax")
        for _ in range(_JUMPS):
            parent_K = parent_K[parent_K]
        root_K = parent_K[root_K]
    strong_K = F.pad(strong_B1HW, (1, 1, 1, 1)).flatten()[place_K]
    holds_strong_K = torch.zeros_like(own_K).scatter_reduce(0, root_K.long(), strong_K.to(torch.int32), "amax")
    stays = torch.zeros_like(framed)
    stays.view(-1)[place_K] = holds_strong_K[root_K] > 0
    return stays[..., 1:-1, 1:-1].contiguous()


def _for_each(strength_B1HW: Tensor, name: str, threshold: Threshold) -> Tensor:
    dtype, device = torch.promote_types(strength_B1HW.dtype, torch.float32), strength_B1HW.device
    if isinstance(threshold, Tensor):
        value = threshold.to(device, dtype)
    else:
        value = torch.full((), threshold, dtype=dtype, device=device)  # filled in there: nothing waits
    if strength_B1HW.ndim != 4 or strength_B1HW.shape[1] != 1:
        raise UsageError(f"strength must be (B, 1, H, W), got {tuple(strength_B1HW.shape)}")
    if value.ndim > 1 or value.numel() not in (1, len(strength_B1HW)):
        raise UsageError(f"{name}: a number, or one for each of {len(strength_B1HW)} images, got {tuple(value.shape)}")
    return value.view(-1, 1, 1, 1)


def _check_order(low: Threshold, high: Threshold, low_B111: Tensor, high_B111: Tensor) -> None:
    """Numbers are compared as they are, without a look at the device."""
    tensors = isinstance(low, Tensor) or isinstance(high, Tensor)
    if not (bool((low_B111 <= high_B111).all()) if tensors else low <= high):
        raise UsageError(f"low must not be above high, got low={low} and high={high}")
