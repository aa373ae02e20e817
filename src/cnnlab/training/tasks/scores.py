"""How good a classifier is. B batch, N all images seen, K class."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassConfusionMatrix,
)

FLUSH_IMAGES = 20_000  # logits held back before the metrics see them: 80 MB at 1,000 classes


class ClassificationScores(nn.Module):
    """Loss, accuracy, calibration error and the confusion matrix over a whole split.

    Batches are collected on their device and handed to torchmetrics in large pieces: an update of four metrics
    costs more than the forward pass of a small network. `compute` agrees over all processes of a distributed run.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.loss = MeanMetric(nan_strategy="disable")  # a loss of nan is told, not hidden
        self.accuracy = MulticlassAccuracy(num_classes, average="micro")
        self.calibration = MulticlassCalibrationError(num_classes, n_bins=15)
        self.confusion = MulticlassConfusionMatrix(num_classes)
        self._held: list[tuple[Tensor, Tensor]] = []
        self._held_images = 0

    def add(self, logits_BK: Tensor, label_B: Tensor) -> None:
        self._held.append((logits_BK.detach(), label_B))
        self._held_images += len(label_B)
        if self._held_images >= FLUSH_IMAGES:
            self._flush()

    def _flush(self) -> None:
        if not self._held:
            return
        logits_NK = torch.cat([logits for logits, _ in self._held]).float()
        label_N = torch.cat([label for _, label in self._held])
        self._held, self._held_images = [], 0
        self.loss.update(F.cross_entropy(logits_NK, label_N, reduction="none"))
        # torchmetrics would sort non-finite logits out with an error of its own: the loss already tells.
        probability_NK = logits_NK.nan_to_num().softmax(dim=1)
        self.accuracy.update(probability_NK, label_N)
        self.calibration.update(probability_NK, label_N)
        self.confusion.update(probability_NK, label_N)

    def compute(self) -> dict[str, Tensor]:
        """Scalars `loss`, `accuracy`, `calibration` (expected calibration error, 15 bins) and
        `confusion` (K, K), rows the true class. Starts over afterwards."""
        self._flush()
        result = {
            "loss": self.loss.compute(),
            "accuracy": self.accuracy.compute(),
            "calibration": self.calibration.compute(),
            "confusion": self.confusion.compute(),
        }
        for metric in (self.loss, self.accuracy, self.calibration, self.confusion):
            metric.reset()
        return result
