"""What a run on boundaries is judged by: the Berkeley benchmark, and photographs beside their drawings.

H, W photograph, A annotator.
"""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cnnlab._parallel import shown
from cnnlab._tables import write_csv
from cnnlab.data.contract import BoundaryPhotographs
from cnnlab.draw.boundaries import boundary_figure
from cnnlab.draw.saving import save_figure
from cnnlab.edges.benchmark.counts import Counts
from cnnlab.edges.benchmark.evaluation import evaluate_map
from cnnlab.edges.benchmark.scores import summarise
from cnnlab.edges.network import NetworkDetector

EXAMPLES = 4  # photographs in the picture


@dataclass(frozen=True, eq=False)
class Example:
    """A photograph (H, W, 3) in [0, 1], the fraction of its annotators and the network's probability, (H, W) each."""

    stem: str
    image_HWC: np.ndarray
    fraction_HW: np.ndarray
    strength_HW: np.ndarray


@torch.no_grad()
def benchmark(
    network: nn.Module, data: BoundaryPhotographs, device: torch.device, folder: Path | None
) -> dict[str, float]:
    """`benchmark/ods`, `/ois`, `/ap`, `/r50` on the split that the data are scored on, and the threshold of ODS.

    Leaves photographs.csv and figures/boundaries.png in `folder`, if any.
    """
    detector = NetworkDetector(network).to(device)
    counts: dict[str, Counts] = {}
    for stem, image_CHW, boundaries_AHW in shown(data.benchmark(), data.benchmark_count, "benchmark"):
        thinned_HW = detector.thinned(image_CHW[None].to(device))[0, 0].float().cpu().numpy()
        counts[stem] = evaluate_map(thinned_HW, boundaries_AHW)
    if folder is not None:
        pictures = [(one.image_HWC, one.fraction_HW, one.strength_HW) for one in examples(network, data, device)]
        write_csv([_row(stem, count) for stem, count in counts.items()], folder / "photographs.csv")
        save_figure(boundary_figure(pictures), folder / "figures" / "boundaries.png")
    scores = summarise(list(counts.values()))
    assert scores.ods.threshold is not None
    metrics = {"ods": scores.ods.f, "ois": scores.ois.f, "ap": scores.ap, "r50": scores.r50}
    metrics["threshold"] = scores.ods.threshold
    return {f"benchmark/{name}": float(value) for name, value in metrics.items()}


@torch.no_grad()
def examples(
    network: nn.Module, data: BoundaryPhotographs, device: torch.device, most: int = EXAMPLES
) -> list[Example]:
    """The first photographs of the split scored, before thinning."""
    detector = NetworkDetector(network).to(device)
    chosen = []
    for stem, image_CHW, boundaries_AHW in islice(data.benchmark(), most):
        strength_HW = detector.probability(image_CHW[None].to(device))[0, 0].float().cpu().numpy()
        chosen.append(Example(stem, image_CHW.permute(1, 2, 0).numpy(), boundaries_AHW.mean(0), strength_HW))
    return chosen


def _row(stem: str, counts: Counts) -> dict[str, object]:
    best = summarise([counts]).ois
    return {"photograph": stem, "best F": best.f, "precision": best.precision, "recall": best.recall}
