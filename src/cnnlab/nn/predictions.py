"""What a classifier says of images, one prediction each. B batch, N images, K class."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Predictions:
    """In the order in which the images were read, on the CPU.

    label_N, predicted_N: int64, the true class and the most probable one. confidence_N, truth_N: float32, the
    probabilities of the predicted class and of the true one.
    """

    label_N: Tensor
    predicted_N: Tensor
    confidence_N: Tensor
    truth_N: Tensor

    @classmethod
    def of(cls, logits_BK: Tensor, label_B: Tensor) -> "Predictions":
        """Of one batch; the tensors stay on their device until `joined`."""
        probability_BK = logits_BK.detach().float().softmax(1)
        confidence_B, predicted_B = probability_BK.max(1)
        return cls(label_B, predicted_B, confidence_B, probability_BK.gather(1, label_B[:, None])[:, 0])

    def __getitem__(self, part: slice) -> "Predictions":
        """Of some of the images."""
        return Predictions(self.label_N[part], self.predicted_N[part], self.confidence_N[part], self.truth_N[part])

    @classmethod
    def joined(cls, batches: Sequence["Predictions"]) -> "Predictions":
        """Of all batches, in their order."""
        return cls(
            *(
                torch.cat([getattr(one, name) for one in batches]).cpu()
                for name in ("label_N", "predicted_N", "confidence_N", "truth_N")
            )
        )
