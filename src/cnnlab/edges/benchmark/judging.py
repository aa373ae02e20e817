"""What a run on boundaries is judged by: the Berkeley benchmark, and photographs beside their drawings.

H, W photograph, A annotator.
"""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cnnlab._parallel import shown
from cnnlab._tables import write_csv
from cnnlab.draw.saving import save_figure
from cnnlab.edges.benchmark.drawings import drawings
from cnnlab.edges.benchmark.evaluation import Counts, evaluate_map, summarise
from cnnlab.edges.network import NetworkDetector

EXAMPLES = 4  # photographs in the picture


@dataclass(frozen=True, eq=False)
class Example:
    """A photograph (H, W, 3) in [0, 1], the share of its annotators and the network's probability, (H, W) each."""

    stem: str
    image_HWC: np.ndarray
    share_HW: np.ndarray
    strength_HW: np.ndarray


@torch.no_grad()
def benchmark(network: nn.Module, data: Any, device: torch.device, folder: Path | None) -> dict[str, float]:
    """`benchmark/ods`, `/ois`, `/ap`, `/r50` on the split that the data are scored on, and the threshold of ODS.

    Leaves photographs.csv and figures/boundaries.png in `folder`, if any.
    """
    detector = NetworkDetector(network).to(device)
    stems: list[str] = []
    counts: list[Counts] = []
    for stem, image_CHW, boundaries_AHW in shown(data.benchmark(), data.benchmark_count, "benchmark"):
        thinned_HW = detector.thinned(image_CHW[None].to(device))[0, 0].float().cpu().numpy()
        stems.append(stem)
        counts.append(evaluate_map(thinned_HW, boundaries_AHW))
    if folder is not None:
        write_csv([_row(stem, one) for stem, one in zip(stems, counts, strict=True)], folder / "photographs.csv")
        save_figure(drawings(_pictures(examples(network, data, device))), folder / "figures" / "boundaries.png")
    scores = summarise(counts)
    metrics = {"ods": scores.ods.f, "ois": scores.ois.f, "ap": scores.ap, "r50": scores.r50}
    return {
        f"benchmark/{name}": float(value) for name, value in (metrics | {"threshold": scores.ods.threshold}).items()
    }


@torch.no_grad()
def examples(network: nn.Module, data: Any, device: torch.device, most: int = EXAMPLES) -> list[Example]:
    """The first photographs of the split scored, before thinning."""
    detector = NetworkDetector(network).to(device)
    found = []
    for stem, image_CHW, boundaries_AHW in islice(data.benchmark(), most):
        strength_HW = detector.probability(image_CHW[None].to(device))[0, 0].float().cpu().numpy()
        found.append(Example(stem, image_CHW.permute(1, 2, 0).numpy(), boundaries_AHW.mean(0), strength_HW))
    return found


def _row(stem: str, counts: Counts) -> dict[str, Any]:
    best = summarise([counts]).ois
    return {"photograph": stem, "best F": best.f, "precision": best.precision, "recall": best.recall}


def _pictures(found: list[Example]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    return [(one.image_HWC, one.share_HW, one.strength_HW) for one in found]
