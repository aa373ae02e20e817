"""A classifier in training. B batch, C channel, H height, W width, K class."""

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.nn.predictions import Predictions
from cnnlab.training.tasks.network import DivergenceError, MakeOptimizer, MakeSchedule, NetworkTask
from cnnlab.training.tasks.scores import ClassificationScores

__all__ = ["ClassificationTask", "DivergenceError"]


class ClassificationTask(NetworkTask):
    """Cross entropy with label smoothing. `network` maps (B, C, H, W) float to logits (B, K); see `NetworkTask`."""

    MEASURED = ("loss", "accuracy")

    def __init__(
        self,
        network: nn.Module,
        class_names: Sequence[str],
        optimizer: MakeOptimizer,
        schedule: MakeSchedule,
        seed: int,
        record: Mapping[str, object],
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(network, optimizer, schedule, seed, record)
        if not 0 <= label_smoothing < 1:
            raise UsageError(f"task.label_smoothing is from 0 to below 1, not {label_smoothing}")
        self.class_names = class_names
        self.label_smoothing = label_smoothing
        self.val_scores = ClassificationScores(len(class_names))
        self.test_scores = ClassificationScores(len(class_names))
        self.test_confusion: Tensor | None = None
        self.test_predictions: Predictions | None = None

    def measure(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Cross entropy and hits."""
        image_BCHW, label_B = batch
        logits_BK = self.network(image_BCHW)
        loss = F.cross_entropy(logits_BK, label_B, label_smoothing=self.label_smoothing)
        return loss, [(logits_BK.detach().argmax(dim=1) == label_B).sum()]

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        self.val_scores.add(self.network(batch[0]), batch[1])

    def on_validation_epoch_end(self) -> None:
        scores = self.val_scores.compute()
        scores.pop("confusion")
        self.log_dict({f"val/{name}": value for name, value in scores.items()}, prog_bar=True)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        logits_BK = self.network(batch[0])
        self.test_scores.add(logits_BK, batch[1])
        self._tested.append(Predictions.of(logits_BK, batch[1]))

    def on_test_epoch_start(self) -> None:
        self._tested: list[Predictions] = []

    def on_test_epoch_end(self) -> None:
        scores = self.test_scores.compute()
        self.test_confusion = scores.pop("confusion")
        # The processes of a distributed run have a part each, which no page could show as the whole.
        self.test_predictions = Predictions.joined(self._tested) if self.trainer.world_size == 1 else None
        self.log_dict({f"test/{name}": value for name, value in scores.items()})
