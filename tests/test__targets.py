"""Old words are told in today's, and folders that use them go on."""

import pytest

from cnnlab import SmallCNN, UsageError
from cnnlab._targets import current_arguments
from cnnlab.nn.rebuilding import describe, rebuild
from cnnlab.studies.spec import StudyDesign


@pytest.mark.parametrize(("old", "new"), [("released", "unfrozen"), ("spanned", "fixed_basis")])
def test_an_old_value_is_answered_with_the_new_one(old: str, new: str) -> None:
    with pytest.raises(UsageError, match=f"unknown mode '{old}' .it is now called '{new}'."):
        SmallCNN(in_channels=1, num_classes=2, mode=old)


def test_a_checkpoint_in_old_words_is_rebuilt() -> None:
    about = describe(SmallCNN(in_channels=1, num_classes=2, mode="unfrozen", unfreeze_epoch=3))
    old = {**about, "arguments": {**about["arguments"], "mode": "released", "release_epoch": 3}}
    del old["arguments"]["unfreeze_epoch"]
    network = rebuild(old)
    assert (network.front_end.mode, network.front_end.unfreeze_epoch) == ("unfrozen", 3)
    assert current_arguments(about["arguments"]) == about["arguments"]


def test_an_arm_in_old_words_is_told_and_a_plan_with_it_goes_on() -> None:
    with pytest.raises(UsageError, match="it is now called 'unfrozen'"):
        StudyDesign(arms=["kaiming", "jet@released:2"], epochs=4)
    design = StudyDesign(arms=["kaiming", "jet@unfrozen:2"], epochs=4)
    asked = design.to_json()
    assert StudyDesign.from_json({**asked, "arms": ["kaiming", "jet@released:2"]}) == design
