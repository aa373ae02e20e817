"""What a classifier predicts on a split, and where it is most surely wrong. B batch, C channel, H, W image, K class."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor, nn

from cnnlab.data.images.module import ImageData
from cnnlab.report.pictures import labelled, picture
from cnnlab.report.section import ReportedRun, Section, register

ERRORS = 24  # shown
READABLE = 20  # classes; a table of more has too many cells to read
Confusion = Sequence[tuple[int, int, int]]  # true class, prediction, images (at least one)


class Error(TypedDict):
    """`confidence` and `probability`: what the network gave to its prediction and to the true class."""

    picture: str
    true: str
    predicted: str
    confidence: float
    probability: float


class Confused(TypedDict):
    """`fraction`: of the images of the true class."""

    true: str
    predicted: str
    images: int
    fraction: float


class Predictions(TypedDict):
    """`rows`: of the confusion matrix, (images, fraction of the true class) each; None for too many classes."""

    split: str
    images: int
    accuracy: float
    names: Sequence[str]
    confusion: Confusion
    rows: list[list[tuple[int, float]]] | None
    common: list[Confused]
    errors: list[Error]


class Wrong(NamedTuple):
    """One image that was classified wrongly."""

    confidence: float
    probability: float
    true: int
    predicted: int
    image_CHW: Tensor


def predictions(run: ReportedRun, largest: int) -> Predictions | str | None:
    """On the test split if the run was tested, else on the validation images."""
    if run.about is not None and "class_names" not in run.about:
        return None
    data = run.data
    if run.network is None or not isinstance(data, ImageData):
        return run.reason("data", "network")
    split, loader = labelled(data, run)
    if len(loader) == 0:
        return "The run has neither validation nor test images, so there is nothing to be wrong about."
    run.network.to(loader.device)
    confusion_KK, wrong = predicted(run.network, loader, data.num_classes)
    run.network.cpu()
    names, images = data.class_names, int(confusion_KK.sum())
    confusion = [(i, j, int(confusion_KK[i, j])) for i, j in confusion_KK.nonzero().tolist()]
    return {
        "split": split,
        "images": images,
        "accuracy": float(confusion_KK.trace()) / max(1, images),
        "names": names,
        "confusion": confusion,
        "rows": table(confusion, len(names)) if len(names) <= READABLE else None,
        "common": common(confusion, names),
        "errors": [
            {
                "picture": picture(error.image_CHW, data),
                "true": names[error.true],
                "predicted": names[error.predicted],
                "confidence": error.confidence,
                "probability": error.probability,
            }
            for error in wrong
        ],
    }


@torch.no_grad()
def predicted(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], classes: int) -> tuple[Tensor, list[Wrong]]:
    """The confusion matrix (K, K), rows the true classes, and the ERRORS most confident errors."""
    confusion_KK = torch.zeros(classes, classes, dtype=torch.int64)
    worst: list[Wrong] = []
    for image_BCHW, label_B in batches:
        probability_BK = network(image_BCHW).float().softmax(1)
        confidence_B, class_B = probability_BK.max(1)
        pairs_B = label_B * classes + class_B
        confusion_KK += torch.bincount(pairs_B, minlength=classes**2).view_as(confusion_KK).cpu()
        wrong = (class_B != label_B).nonzero()[:, 0]
        wrong = wrong[confidence_B[wrong].argsort(descending=True, stable=True)][:ERRORS]
        truth_B = probability_BK.gather(1, label_B[:, None])[:, 0]
        for i in wrong.tolist():
            numbers = float(confidence_B[i]), float(truth_B[i]), int(label_B[i]), int(class_B[i])
            worst.append(Wrong(*numbers, image_BCHW[i].cpu()))
        worst = sorted(worst, key=lambda error: -error.confidence)[:ERRORS]
    return confusion_KK, worst


def table(confusion: Confusion, classes: int) -> list[list[tuple[int, float]]]:
    """The confusion matrix by rows, each cell with its fraction of the row."""
    cells = {(true, predicted): count for true, predicted, count in confusion}
    images = _images(confusion, classes)
    return [
        [(cells.get((i, j), 0), cells.get((i, j), 0) / max(1, images[i])) for j in range(classes)]
        for i in range(classes)
    ]


def common(confusion: Confusion, names: Sequence[str], most: int = 8) -> list[Confused]:
    """The most common confusions, the commonest first."""
    images = _images(confusion, len(names))
    wrong = sorted((entry for entry in confusion if entry[0] != entry[1]), key=lambda entry: -entry[2])[:most]
    return [
        {"true": names[true], "predicted": names[predicted], "images": count, "fraction": count / images[true]}
        for true, predicted, count in wrong
    ]


def _images(confusion: Confusion, classes: int) -> list[int]:
    """Of each true class."""
    images = [0] * classes
    for true, _, count in confusion:
        images[true] += count
    return images


register(
    Section(
        key="predictions",
        title="Predictions and errors",
        place=30,
        collect=predictions,
        template=Path(__file__).with_suffix(".html.j2"),
        script=Path(__file__).with_suffix(".js"),
        drawn=("names", "confusion"),
    )
)
