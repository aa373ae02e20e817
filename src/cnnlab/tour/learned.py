"""From fixed kernels to learned ones: first layers before and after training. K kernel, C channel, h, w sides."""

from collections.abc import Sequence
from contextlib import redirect_stdout
from math import ceil
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab._parallel import torch_threads
from cnnlab.data.images.module import ImageData
from cnnlab.filters.analysis.identify import identify
from cnnlab.nn.small_cnn import SmallCNN
from cnnlab.runs.record import read_summary
from cnnlab.runs.run import Run
from cnnlab.tour.sheet import RULE, SOFT, Sheet, show_kernel
from cnnlab.tour.step import Part, Step
from cnnlab.training.recipe import Recipe
from cnnlab.training.train import train

# What each arm's SmallCNN differs in from the defaults, as configs/model/<arm>.yaml has it: mode, start.
ARMS = {
    "edge_fixed": ("frozen", "bank"),
    "edge_init": ("trainable", "bank"),
    "random_init": ("trainable", "random"),
}
OUTPUT = "output.txt"  # what a training prints, in its folder
SHOWN = 16  # kernels of a first layer
PER_ROW = 8


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
    layers = []
    for folder in runs:
        run = Run.open(folder)
        snapshots = run.kernels()
        if not snapshots:
            raise UsageError(f"runs: {folder} keeps no kernels of its first layer")
        start, end = snapshots[min(snapshots)], snapshots[max(snapshots)]
        alike = torch.cosine_similarity(start.flatten(1), end.flatten(1)).tolist()
        named = sum(match.significant for match in identify(end))
        layers.append(FirstLayer(name_of(run), start, end, alike, named, run.scores.get("test/accuracy")))
    return layers


def name_of(run: Run) -> str:
    """What kind of first layer it is, and on which data."""
    about = run.checkpoint("last")["network"]
    arguments = about["arguments"]
    mode, start = arguments.get("mode"), arguments.get("start", "bank")
    arms = {kind: arm for arm, kind in ARMS.items()}
    name = str(arguments.get("name", about["target"].rpartition(".")[2]))
    kind = arms.get((str(mode), str(start))) or (f"{mode}, {start}" if mode else name)
    data = run.summary.get("data")
    images = data.get("name", "images") if isinstance(data, dict) else "images"
    return f"{kind}, {images}, seed {run.summary.get('seed')}"


def learned_figure(layers: Sequence[FirstLayer]) -> Sheet:
    """Pairs for each training: a kernel at the start above the same kernel at the end."""
    sheet = Sheet()
    words = []
    for layer in layers:
        shown = min(SHOWN, len(layer.start))
        limit = max(float(kernels.mean(1).abs().max()) for kernels in (layer.start, layer.end)) or 1.0
        score = f", {100 * layer.accuracy:.1f} % right on the test images" if layer.accuracy is not None else ""
        heading = f"{layer.name}{score}\nabove: at the start, below: after the training"
        lines = ceil(shown / PER_ROW)
        axis = sheet.panel(PER_ROW * 0.54, lines * 1.22, heading, row=len(layers) == 1)
        axis.set_axis_off()
        for index in range(shown):
            line, column = divmod(index, PER_ROW)
            for place, kernels in enumerate((layer.start, layer.end)):
                bottom = 1 - (line + 0.46 + 0.5 * place) / lines
                tile = axis.inset_axes((column / PER_ROW, bottom, 0.92 / PER_ROW, 0.44 / lines))
                tile.set(xticks=[], yticks=[])
                show_kernel(tile, kernels[index].mean(0), limit=limit)
                tile.spines[:].set(color=SOFT if place else RULE)
        mean = sum(layer.alike) / len(layer.alike)
        words.append(
            f"{layer.name}: mean cosine of a kernel with its start {mean:.2f}, and {layer.named} of {len(layer.end)} "
            f"kernels are more like an analytic filter than 95 % of random kernels are"
        )
    more = max(len(layer.start) for layer in layers) - SHOWN
    first = f" Of each layer the first {SHOWN} kernels are shown." if more > 0 else ""
    sheet.caption = f"{'; '.join(words)}.{first}"
    return sheet


def train_arms(folder: Path, epochs: int = 10, seed: int = 0) -> list[Path]:
    """Train each of ARMS on scikit-learn's digits, into folders of their own below `folder`. Returns the folders.

    One that is completed there already is taken as it is. UsageError for one that is there and isn't.
    """
    return [train_arm(folder / arm, arm, epochs, seed) for arm in ARMS]


def train_arm(folder: Path, arm: str, epochs: int, seed: int) -> Path:
    """One training on digits, as `scripts/train.py model=ARM trainer.max_epochs=EPOCHS seed=SEED`."""
    if read_summary(folder).get("status") == "completed":
        return folder
    if folder.exists():
        raise UsageError(f"{folder} is there already and is not a completed run; name another folder")
    folder.mkdir(parents=True)
    # Images of 8 x 8 pixels are too little work to share: on a busy machine threads wait for each other for minutes.
    with (folder / OUTPUT).open("w") as output, redirect_stdout(output), torch_threads(1):
        data = ImageData("digits", seed=seed, batch_size=64, rotation=10)
        data.setup("fit")
        torch.manual_seed(seed)
        mode, start = ARMS[arm]
        network = SmallCNN(
            in_channels=data.in_channels,
            num_classes=data.num_classes,
            image_size=data.image_size,
            mode=mode,
            start=start,
        )
        recipe = Recipe(epochs=epochs, seed=seed, figures=False, report=False, trainer={"accelerator": "cpu"})
        train(network, data, recipe, folder)
    return folder


STEP = Step(
    "learned",
    "From fixed kernels to learned ones",
    (
        "So far people chose the kernels. A network can learn them. To compare, take networks that differ in "
        "nothing but their first layer: derivative kernels that stay as they are (edge_fixed), the same kernels "
        "as a start that may change (edge_init), and random kernels that may change (random_init).",
        "Kernels of 3 by 3 are so small that random ones resemble something by chance. So a resemblance is counted "
        "only where it is larger than 95 % of random kernels reach.",
    ),
    (Part("9_learned", (first_layers,), "figure = learned_figure(first_layers(runs))"),),
)
