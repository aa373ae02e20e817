import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss

from cnnlab.training.tasks import scores
from cnnlab.training.tasks.scores import ClassificationScores


def sample(images: int, classes: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, classes, generator=generator) * 2, torch.randint(classes, (images,), generator=generator)


def calibration_by_hand(probability_NK: np.ndarray, label_N: np.ndarray, bins: int = 15) -> float:
    """Naeini, Cooper & Hauskrecht, AAAI 2015: the share-weighted gap of confidence and accuracy over equal bins."""
    confidence, hit = probability_NK.max(1), probability_NK.argmax(1) == label_N
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = [abs(confidence[place == b].sum() - hit[place == b].sum()) for b in range(bins)]
    return sum(gaps) / len(label_N)


@settings(max_examples=20, deadline=None)
@given(images=st.integers(1, 200), classes=st.integers(2, 12), batch=st.integers(1, 64), seed=st.integers(0, 99))
def test_scores_agree_with_scikit_learn_however_the_images_are_batched(images, classes, batch, seed) -> None:
    logits_NK, label_N = sample(images, classes, seed)
    score = ClassificationScores(classes)
    for part in torch.arange(images).split(batch):
        score.add(logits_NK[part], label_N[part])
    result = score.compute()
    probability, label = logits_NK.double().softmax(1).numpy(), label_N.numpy()
    assert float(result["accuracy"]) == pytest.approx(accuracy_score(label, probability.argmax(1)))
    assert float(result["loss"]) == pytest.approx(log_loss(label, probability, labels=range(classes)), rel=1e-4)
    assert float(result["calibration"]) == pytest.approx(calibration_by_hand(probability, label), abs=1e-4)
    expected = confusion_matrix(label, probability.argmax(1), labels=range(classes))
    assert result["confusion"].tolist() == expected.tolist()


def test_a_flush_in_between_changes_nothing(monkeypatch) -> None:
    logits_NK, label_N = sample(100, 5, 0)
    results = []
    for limit in (10, 1000):
        monkeypatch.setattr(scores, "FLUSH_IMAGES", limit)
        score = ClassificationScores(5)
        for part in torch.arange(100).split(7):
            score.add(logits_NK[part], label_N[part])
        results.append(score.compute())
    for name in results[0]:
        torch.testing.assert_close(results[0][name], results[1][name])


def test_computing_starts_over() -> None:
    score = ClassificationScores(3)
    score.add(torch.eye(3) * 9, torch.tensor([1, 2, 0]))
    assert float(score.compute()["accuracy"]) == 0
    score.add(torch.eye(3) * 9, torch.arange(3))
    assert float(score.compute()["accuracy"]) == 1


def test_scores_leave_nothing_in_a_checkpoint() -> None:
    assert ClassificationScores(3).state_dict() == {}
