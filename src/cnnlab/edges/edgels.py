"""Thinning and hysteresis by the places that stay, a few in a hundred pixels, for a processor. B batch, H W image."""

import torch
from torch import Tensor

from cnnlab.edges.hysteresis import follow
from cnnlab.edges.pixelwise import places_along
from cnnlab.edges.thresholds import levels


def thinned_by_places(
    fields_3B1HW: tuple[Tensor, Tensor, Tensor],
    tie_B1HW: Tensor,
    damped_B1HW: Tensor,
    least: float,
    limits: tuple[str, float | None, float | None] | None,
) -> Tensor:
    """The damped strength where the strength stays along the normal and by hysteresis, 0 elsewhere.

    Fields: strength, dy, dx. limits: kind of the thresholds, low and high, as in `thresholds.py`; None: no hysteresis.
    """
    thin_B1HW = torch.zeros_like(damped_B1HW, memory_format=torch.contiguous_format)
    found = places_along(*fields_3B1HW, tie_B1HW, least)
    for thin_1HW, damped_1HW, place_n in zip(thin_B1HW, damped_B1HW.contiguous(), found, strict=True):
        place_N = torch.from_numpy(place_n)
        if limits is None or limits[:2] == ("absolute", 0):  # from 0 on: all pixels of an image hang together
            value_N = damped_1HW.view(-1)[place_N]
            if limits is None or (levels(value_N, *limits)[1] <= value_N).any():
                thin_1HW.view(-1)[place_N] = value_N
            continue
        value_N = damped_1HW.view(-1)[place_N] if limits[0] != "absolute" else damped_1HW.new_empty(0)
        low, high = levels(value_N[value_N > 0], *limits).numpy()
        follow(damped_1HW[0].numpy(), place_n, low, high, thin_1HW[0].numpy())
    return thin_B1HW
