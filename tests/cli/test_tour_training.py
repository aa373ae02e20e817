"""The tour trains what the training program trains."""

from collections.abc import Callable
from pathlib import Path

import torch

from cnnlab.tour.learned import first_layers, train_arm


def test_a_training_is_the_one_of_the_training_program(here: Callable, tmp_path: Path) -> None:
    outcome = here("model=edge_init", "trainer.max_epochs=2", "trainer=cpu", "figures=false", "report=false")
    own, program = first_layers([train_arm(tmp_path / "own", "edge_init", 2, 0), outcome.folder])
    torch.testing.assert_close(own.end, program.end)
    assert own.accuracy == program.accuracy
    assert own.name == program.name
