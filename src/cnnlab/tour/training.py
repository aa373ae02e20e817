"""Three trainings on the spot, so that the tour's last step has something to show: as `scripts/train.py` does them."""

from contextlib import redirect_stdout
from pathlib import Path

import torch

from cnnlab._choices import UsageError
from cnnlab._parallel import torch_threads
from cnnlab.data.images.module import ImageData
from cnnlab.nn.small_cnn import SmallCNN
from cnnlab.runs.record import read_summary
from cnnlab.training.recipe import Recipe
from cnnlab.training.train import train

# What each arm's SmallCNN differs in from the defaults, as configs/model/<arm>.yaml has it.
ARMS = {"edge_fixed": {"mode": "frozen"}, "edge_init": {"mode": "trainable"}, "random_init": {"start": "random"}}
OUTPUT = "output.txt"  # what a training prints, in its folder


def train_arms(folder: Path, epochs: int = 10, seed: int = 0) -> list[Path]:
    """Train each of ARMS on scikit-learn's digits, into folders of their own below `folder`. Returns the folders.

    One that is completed there already is taken as it is. UsageError for one that is there and isn't.
    """
    return [train_arm(folder / arm, arm, epochs, seed) for arm in ARMS]


def train_arm(folder: Path, arm: str, epochs: int, seed: int) -> Path:
    """One training on digits, as `scripts/train.py model=ARM trainer.max_epochs=EPOCHS seed=SEED`."""
    if read_summary(folder).get("status") == "completed":
        return folder
    if folder.exists():
        raise UsageError(f"{folder} is there already and is not a completed run; name another folder")
    folder.mkdir(parents=True)
    # Images of 8 x 8 pixels are too little work to share: on a busy machine threads wait for each other for minutes.
    with (folder / OUTPUT).open("w") as output, redirect_stdout(output), torch_threads(1):
        data = ImageData("digits", seed=seed, batch_size=64, rotation=10)
        data.setup("fit")
        torch.manual_seed(seed)
        sizes = {"in_channels": data.in_channels, "num_classes": data.num_classes, "image_size": data.image_size}
        recipe = Recipe(epochs=epochs, seed=seed, figures=False, report=False, trainer={"accelerator": "cpu"})
        train(SmallCNN(**sizes, **ARMS[arm]), data, recipe, folder)
    return folder
