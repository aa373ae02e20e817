"""What a study says of mistakes: one message, status 2, and nothing is left."""

from collections.abc import Callable
from pathlib import Path

import pytest

ASKED = ("arms=[kaiming,jet]", "train_sizes=[40,80]", "epochs=2", "hypotheses=[]", "trainer.accelerator=cpu")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["arms=[kaiming,jot]"], ["'jot'", "did you mean 'jet'"]),
        (['arms=[kaiming,"sobel(size=5)"]'], ["sobel(size=5)", "5x5", "3x3"]),
        (["arms=[kaiming,kaiming]"], ["given twice"]),
        (["arms=kaiming"], ["a list such as"]),
        (
            ["arms=[kaiming,jet@unfrozen:2]"],
            ["jet@unfrozen:2", "never unfrozen in the 2 epochs of 40 images", "jet@frozen"],
        ),
        (["reference=pca"], ["'pca'", "valid: kaiming, jet"]),
        (["seeds=0"], ["seeds=0"]),
        (["train_sizes=[]"], ["train_sizes"]),
        (["train_sizes=[100000]"], ["100000"]),
        (["learning_rates=[0]"], ["rates above 0"]),
        (["corruptions=[rain]"], ["'rain'", "valid:"]),
        (["severities=[9]"], ["1 to 5"]),
        (["model={foo: 1}"], ["model is a group", "model.OPTION=VALUE"]),
        (["model.widths={a: 1}"], ["model.widths has no names in it"]),
        (["threshold=1.5"], ["threshold=1.5", "at most 1"]),
        (["match=size"], ["match", "norm or response"]),
        (["replicas=0"], ["replicas=0", "auto"]),
        (["workers=none"], ["workers=none", "auto"]),
        (["filters=3"], ["9 kernels", "3 filters"]),
        (["data=bsds500", "data.root=nowhere"], ["no classes"]),
        (["study=init_digit"], ["init_digits"]),
        (["hypotheses=[{text: x, claims: [{arm: jot, quantity: area, expect: same}]}]"], ["'jot'", "valid: kaiming"]),
        (["model=edge_net"], ["first layer of small_cnn"]),
        (["optimizer.lr=-1", "learning_rates=null"], ["optimizer", "-1"]),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_a_mistake_has_one_message_and_leaves_nothing(here: Callable, options: list[str], words: list[str]) -> None:
    outcome = here(*ASKED, "hydra.run.dir=study", *options, program="study")
    assert outcome.status == 2, outcome.out
    assert outcome.err.count("\n") == 1, outcome.err
    assert all(word in outcome.err for word in words), outcome.err
    assert not Path("study").exists()


@pytest.mark.cli
@pytest.mark.parametrize("epochs", ["[1,2]", "{77: 3}"])
def test_epochs_by_train_size_are_not_merged_with_others_silently(here: Callable, epochs: str) -> None:
    outcome = here(f"epochs={epochs}", "hydra.run.dir=study", program="study")
    assert outcome.status == 2
    assert "epochs has values by name here" in outcome.err
    assert "'~epochs' '+epochs=" in outcome.err
    assert not Path("study").exists()
