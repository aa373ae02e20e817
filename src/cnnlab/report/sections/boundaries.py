"""The boundaries that a network predicts in photographs. H, W photograph."""

import torch
from torch import Tensor

from cnnlab.data.contract import boundary_data
from cnnlab.edges.benchmark.judging import examples
from cnnlab.report.pictures import MOST, as_uri
from cnnlab.report.section import ReportedRun, Shown, report_section


@report_section("Boundaries", 40)
def boundaries(run: ReportedRun, largest: int) -> Shown | str | None:
    """split, rows: {stem, photograph, people, network}, each picture a data URI, black a sure boundary."""
    if run.about is None or "class_names" in run.about:
        return None
    if run.network is None or run.data is None:
        return run.reason("data", "network")
    data = boundary_data(run.data)
    found = examples(run.network, data, torch.device("cpu"), MOST)
    if not found:
        return "The run is scored on no photographs (data.scored=null)."
    rows = [
        {
            "stem": example.stem,
            "photograph": as_uri(torch.from_numpy(example.image_HWC).permute(2, 0, 1)),
            "people": as_uri(_ink(torch.from_numpy(example.fraction_HW))),
            "network": as_uri(_ink(torch.from_numpy(example.strength_HW))),
        }
        for example in found
    ]
    return {"split": data.scored, "rows": rows}


def _ink(probability_HW: Tensor) -> Tensor:
    return 1 - probability_HW[None].float()
