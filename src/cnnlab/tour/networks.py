"""The tour's steps on networks: what is computed. The page and the notebook show these functions as they stand.

K kernel, C channel, h, w kernel sides.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.filters.analysis.identify import identify
from cnnlab.receptive import EffectiveField, ReceptiveField, effective_field, random_inputs, receptive_fields
from cnnlab.runs.run import Run


def cascade(depth: int, pooled: bool = False, width: int = 12) -> nn.Sequential:
    """3 x 3 convolutions with a ReLU behind each, drawn at random; `pooled`: halved by a pool behind every second."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for number in range(depth):
        layers += [nn.Conv2d(width if number else 3, width, 3, padding=1), nn.ReLU()]
        nn.init.kaiming_normal_(layers[-2].weight)
        if pooled and number % 2:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def field_growth(depth: int = 10, side: int = 128) -> dict[str, list[ReceptiveField]]:
    """What a unit sees behind each convolution, without and with pools between them."""
    found = {}
    for name, pooled in (("convolutions alone", False), ("a pool behind every second", True)):
        network = cascade(depth, pooled)
        fields = receptive_fields(network, (3, side, side))
        found[name] = [fields[layer] for layer, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    return found


def measured_fields(depths: tuple[int, ...] = (1, 3, 6, 10), side: int = 32, inputs: int = 24) -> list[EffectiveField]:
    """What the middle unit listens to behind so many convolutions, over images of noise."""
    network = cascade(max(depths))
    layers = [str(2 * (depth - 1)) for depth in depths]  # a ReLU stands behind each convolution
    return [effective_field(network, layer, random_inputs((3, side, side), inputs, batch=24)) for layer in layers]


class FirstLayer(NamedTuple):
    """First-layer kernels (K, C, h, w) of a training, at its start and at its end.

    alike: cosine of each kernel with its start. named: how many are more like an analytic filter at the end than 95 %
    of random kernels are. accuracy: on the test split, where that was read.
    """

    name: str
    start: Tensor
    end: Tensor
    alike: list[float]
    named: int
    accuracy: float | None


def first_layers(runs: list[Path]) -> list[FirstLayer]:
    """From the folders of trainings. UsageError for one that keeps no kernels."""
    found = []
    for folder in runs:
        run = Run.open(folder)
        snapshots = run.kernels()
        if not snapshots:
            raise UsageError(f"runs: {folder} keeps no kernels of its first layer")
        start, end = snapshots[min(snapshots)], snapshots[max(snapshots)]
        alike = torch.cosine_similarity(start.flatten(1), end.flatten(1)).tolist()
        named = sum(match.significant for match in identify(end))
        found.append(FirstLayer(name_of(run), start, end, alike, named, run.scores.get("test/accuracy")))
    return found


def name_of(run: Run) -> str:
    """What kind of first layer it is, and on which data."""
    about = run.checkpoint("last")["network"]
    arguments = about["arguments"]
    mode, start = arguments.get("mode"), arguments.get("start", "bank")
    arms = {
        ("frozen", "bank"): "edge_fixed",
        ("trainable", "bank"): "edge_init",
        ("trainable", "random"): "random_init",
    }
    name = str(arguments.get("name", about["target"].rpartition(".")[2]))
    kind = arms.get((mode, start)) or (f"{mode}, {start}" if mode else name)
    data = run.summary.get("data")
    images = data.get("name", "images") if isinstance(data, dict) else "images"
    return f"{kind}, {images}, seed {run.summary.get('seed')}"
