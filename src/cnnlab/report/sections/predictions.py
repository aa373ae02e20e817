"""What a classifier predicts on a split, and where it is most surely wrong. B batch, C channel, H, W image, K class."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cnnlab.data.contract import Batches, class_data
from cnnlab.draw.confusion import NUMBERED, fractions
from cnnlab.nn.predictions import Predictions
from cnnlab.report.pictures import labelled, picture
from cnnlab.report.section import ReportedRun, Shown, report_section

ERRORS = 24  # shown


class Wrong(NamedTuple):
    """One image that was classified wrongly."""

    confidence: float
    probability: float
    true: int
    predicted: int
    image_CHW: Tensor


@report_section("Predictions and errors", 30, drawn=("names", "confusion"))
def predictions(run: ReportedRun, largest: int) -> Shown | str | None:
    """The test split if the run was tested, else the validation images.

    split, images, accuracy, names (of the classes), confusion [(true, predicted, images)] where there are any, its
    rows of (images, fraction of the true class) unless there are too many classes, the most common confusions, and
    errors, the most confident first, {picture, true, predicted, confidence, probability (of the true class)}.
    """
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
    return {
        "split": split,
        "images": images,
        "accuracy": float(confusion_KK.trace()) / max(1, images),
        "names": names,
        "confusion": [(i, j, int(confusion_KK[i, j])) for i, j in confusion_KK.nonzero().tolist()],
        "rows": table(confusion_KK) if len(names) <= NUMBERED else None,
        "common": common(confusion_KK, names),
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


def table(confusion_KK: Tensor) -> list[list[tuple[int, float]]]:
    """The confusion matrix by rows, each cell with its fraction of the row."""
    rows = zip(confusion_KK.tolist(), fractions(confusion_KK).tolist(), strict=True)
    return [list(zip(*row, strict=True)) for row in rows]


def common(confusion_KK: Tensor, names: Sequence[str], most: int = 8) -> list[Shown]:
    """The most common confusions, the commonest first."""
    wrong_KK = confusion_KK.clone().fill_diagonal_(0)
    order = wrong_KK.flatten().argsort(descending=True, stable=True)[:most].tolist()
    pairs = [divmod(place, len(names)) for place in order]
    part_KK = fractions(confusion_KK)
    return [
        {"true": names[i], "predicted": names[j], "images": int(wrong_KK[i, j]), "fraction": float(part_KK[i, j])}
        for i, j in pairs
        if wrong_KK[i, j]
    ]
