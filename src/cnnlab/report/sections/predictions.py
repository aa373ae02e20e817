"""What a classifier predicts on a split, and where it is most surely wrong. B batch, C channel, H, W image, K class."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor, nn

from cnnlab.data.contract import Batches, class_data
from cnnlab.nn.predictions import Predictions
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


class Predicted(TypedDict):
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


def predictions(run: ReportedRun, largest: int) -> Predicted | str | None:
    """On the test split if the run was tested, else on the validation images."""
    if run.about is not None and "class_names" not in run.about:
        return None
    if run.network is None or run.data is None:
        return run.reason("data", "network")
    data = class_data(run.data)
    split, loader = labelled(data, run)
    if len(loader) == 0:
        return "The run has neither validation nor test images, so there is nothing to be wrong about."
    known = run.predictions if split == "test" else None
    confusion_KK, wrong = classified(run.network, loader, data.num_classes, known)
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
def classified(
    network: nn.Module, batches: Batches, classes: int, known: Predictions | None
) -> tuple[Tensor, list[Wrong]]:
    """The confusion matrix (K, K), rows the true classes, and the ERRORS most confident errors.

    Predictions that are `known` are not computed once more.
    """
    confusion_KK = torch.zeros(classes, classes, dtype=torch.int64)
    worst: list[Wrong] = []
    start = 0
    for image_BCHW, label_B in batches:
        end = start + len(label_B)
        here = network.to(image_BCHW.device)
        found = Predictions.of(here(image_BCHW), label_B) if known is None else known[start:end]
        start = end
        pairs_B = found.label_N * classes + found.predicted_N
        confusion_KK += torch.bincount(pairs_B, minlength=classes**2).view_as(confusion_KK).cpu()
        wrong = (found.predicted_N != found.label_N).nonzero()[:, 0]
        wrong = wrong[found.confidence_N[wrong].argsort(descending=True, stable=True)][:ERRORS]
        for i in wrong.tolist():
            numbers = float(found.confidence_N[i]), float(found.truth_N[i])
            worst.append(Wrong(*numbers, int(found.label_N[i]), int(found.predicted_N[i]), image_BCHW[i].cpu()))
        worst = sorted(worst, key=lambda error: -error.confidence)[:ERRORS]
    network.cpu()
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
