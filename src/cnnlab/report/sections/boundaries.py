"""What a network draws in photographs, for the report. C channel, H, W photograph, S side, M windows."""

from typing import Any

import torch
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.edges.benchmark.judging import examples
from cnnlab.report.sections.predictions import PICTURES, Chosen, as_uri

SIDE = 96  # pixels of the windows that receptive fields are drawn on


def drawings(network: nn.Module, data: Any) -> dict[str, Any]:
    """split, rows: {stem, photograph, people, network}, each picture a data URI, black a sure boundary.

    Raises ValueError where the run is scored on no photographs.
    """
    found = examples(network, data, torch.device("cpu"), PICTURES)
    if not found:
        raise UsageError("the run is scored on no photographs (data.scored=null)")
    rows = [
        {
            "stem": one.stem,
            "photograph": as_uri(torch.from_numpy(one.image_HWC).permute(2, 0, 1)),
            "people": as_uri(_ink(torch.from_numpy(one.share_HW))),
            "network": as_uri(_ink(torch.from_numpy(one.strength_HW))),
        }
        for one in found
    ]
    return {"split": data.scored, "rows": rows}


def chosen_windows(data: Any) -> Chosen:
    """Windows of training photographs, (M, C, SIDE, SIDE) in [0, 1]: those to draw receptive fields on."""
    side = min(SIDE, *data.image_size)
    image_MCSS = data.patches(side, PICTURES, seed=0)
    return Chosen(
        image_MCSS, [as_uri(one) for one in image_MCSS], [f"window {number + 1}" for number in range(PICTURES)]
    )


def _ink(share_HW: Tensor) -> Tensor:
    return 1 - share_HW[None].float()
