"""What a classifier predicted: counted once, whether it was just tested or is asked now."""

import pytest
import torch
from torch import Tensor, nn

from cnnlab.data.images.module import ImageData
from cnnlab.nn.predictions import Predictions
from cnnlab.report.section import ReportedRun
from cnnlab.report.sections.predictions import ERRORS, classified, predictions


class Guess(nn.Module):
    """Logits of ten classes from a few pixels; counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, image_BCHW: Tensor) -> Tensor:
        self.calls += 1
        return image_BCHW.flatten(1)[:, 18:28]


@pytest.fixture(scope="module")
def digits() -> ImageData:
    data = ImageData("digits")
    data.setup()
    return data


def run(data: ImageData, network: nn.Module, **more: object) -> ReportedRun:
    return ReportedRun("run", "run", {"metrics": {"test/accuracy": 0.1}}, [], {}, network=network, data=data, **more)


def test_predictions_of_the_test_just_made_are_shown_without_asking_the_network_again(digits: ImageData) -> None:
    asked, spared = Guess(), Guess()
    batches = [Predictions.of(asked(image_BCHW), label_B) for image_BCHW, label_B in digits.test_dataloader()]
    shown = predictions(run(digits, asked), 0)
    assert shown["split"] == "test"
    assert predictions(run(digits, spared, predictions=Predictions.joined(batches)), 0) == shown
    assert (asked.calls, spared.calls) == (2 * len(batches), 0)


def test_the_confusion_counts_every_image_once_and_errors_come_by_confidence(digits: ImageData) -> None:
    network = Guess()
    confusion_KK, wrong = classified(network, digits.test_dataloader(), 10, None)
    parts = [Predictions.of(network(image), label) for image, label in digits.test_dataloader()]
    every = Predictions.joined(parts)
    assert confusion_KK.sum() == len(every.label_N)
    for true in range(10):
        for predicted in range(10):
            count = ((every.label_N == true) & (every.predicted_N == predicted)).sum()
            assert confusion_KK[true, predicted] == count
    worst_M = every.confidence_N[every.predicted_N != every.label_N].sort(descending=True).values[:ERRORS]
    torch.testing.assert_close(torch.tensor([error.confidence for error in wrong]), worst_M)
    for error in wrong:
        logits_K = network(error.image_CHW[None])[0]
        assert int(logits_K.argmax()) == error.predicted != error.true
        assert float(logits_K.softmax(0)[error.true]) == pytest.approx(error.probability)


def test_a_boundary_network_has_no_such_section_and_a_run_without_data_says_why() -> None:
    empty = ReportedRun("run", "run", {}, [], {}, about={"target": "..."})
    assert predictions(empty, 0) is None
    gone = ReportedRun("run", "run", {}, [], {}, missing={"network": "No checkpoint.", "data": "They are gone."})
    assert predictions(gone, 0) == "They are gone."
