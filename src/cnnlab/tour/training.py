"""Three trainings on the spot, so that the tour's last step has something to show: as `scripts/train.py` does them."""

from contextlib import redirect_stdout
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from cnnlab._choices import UsageError
from cnnlab._parallel import torch_threads
from cnnlab.cli.check import check
from cnnlab.cli.folders import Folders, config_folder, register_resolvers
from cnnlab.cli.programs.train import run
from cnnlab.runs.folder import save_config
from cnnlab.runs.record import read_summary

ARMS = ("edge_fixed", "edge_init", "random_init")
OUTPUT = "output.txt"  # what a training prints, in its folder


def train_arms(folder: Path, epochs: int = 10, seed: int = 0) -> list[Path]:
    """Train each of ARMS on scikit-learn's digits, into folders of their own below `folder`. Returns the folders.

    One that is completed there already is taken as it is. ValueError for one that is there and isn't.
    """
    return [train_arm(folder / arm, arm, epochs, seed) for arm in ARMS]


def train_arm(folder: Path, arm: str, epochs: int, seed: int) -> Path:
    """One training on digits, as `scripts/train.py model=ARM trainer.max_epochs=EPOCHS seed=SEED`."""
    if read_summary(folder).get("status") == "completed":
        return folder
    if folder.exists():
        raise UsageError(f"{folder} is there already and no completed run; name another folder")
    options = [f"model={arm}", f"trainer.max_epochs={epochs}", f"seed={seed}", "trainer=cpu"]
    register_resolvers(Folders())
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", [*options, "figures=false", "report=false"])
    check(config, "cnnlab.cli.programs.train")
    folder.mkdir(parents=True)
    save_config(config, folder)
    # Images of 8 x 8 pixels are too little work to share: on a busy machine threads wait for each other for minutes.
    with (folder / OUTPUT).open("w") as output, redirect_stdout(output), torch_threads(1):
        status = run(config, folder)
    if status:
        raise RuntimeError(f"the training in {folder} failed; see {folder / OUTPUT}")
    return folder
