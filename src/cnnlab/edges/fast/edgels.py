"""Thinning and hysteresis by the places that stay, a few in a hundred pixels, for a processor. B batch, H W image."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from cnnlab.edges.fast.places import places_along
from cnnlab.edges.hysteresis import follow
from cnnlab.edges.thresholds import levels

Limits = tuple[str, float | None, float | None]


def thinned_by_places(
    fields_3B1HW: tuple[Tensor, Tensor, Tensor],
    tie_B1HW: Tensor,
    damped_B1HW: Tensor,
    least: float,
    limits: Limits | None,
) -> Tensor:
    """The damped strength where the strength stays along the normal and by hysteresis, 0 elsewhere.

    Fields: strength, dy, dx. limits: kind of the thresholds, low and high, as in `thresholds.py`; None: no hysteresis.
    """
    places = places_along(*fields_3B1HW, tie_B1HW, least)
    damped_BN = damped_B1HW.contiguous().flatten(1).numpy()
    found = ((place_n, damped_N[place_n]) for place_n, damped_N in zip(places, damped_BN, strict=True))
    return spread(found, torch.zeros_like(damped_B1HW, memory_format=torch.contiguous_format), limits)


def spread(found: Iterable[tuple[np.ndarray, np.ndarray]], thin_B1HW: Tensor, limits: Limits | None) -> Tensor:
    """`thin`, full of 0, with the strengths at the places found in each image, as far as hysteresis keeps them."""
    for thin_1HW, (place_n, value_n) in zip(thin_B1HW, found, strict=True):
        value_N = torch.from_numpy(value_n)
        if limits is None or limits[:2] == ("absolute", 0):  # from 0 on: all pixels of an image hang together
            if limits is None or (levels(value_N, *limits)[1] <= value_N).any():
                thin_1HW.view(-1)[torch.from_numpy(place_n)] = value_N
            continue
        low, high = levels(value_N[value_N > 0] if limits[0] != "absolute" else value_N, *limits).numpy()
        follow(place_n, value_n, low, high, thin_1HW[0].numpy())
    return thin_B1HW
