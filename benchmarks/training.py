"""How fast cnnlab trains: side by side, in one run, on this machine.

python benchmarks/training.py [--data FOLDER] [--rounds N] [epoch] [overhead] [accuracy] [launch]

epoch     one epoch of a small network on MNIST: a bare loop, cnnlab's fit, Lightning with a DataLoader
overhead  a trivial model: milliseconds a step that cnnlab's fit adds to a bare loop
accuracy  seconds of fit to 99.0 % on MNIST: cnnlab's default against the classic tutorial recipe
launch    seconds from the command to the first step, and to the answer to a mistake
"""

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from statistics import median

import rivals
import torch
from rich.progress import track
from tables import console, print_machine, print_rounds
from torch import nn

from cnnlab import ImageData, Recipe, Run, SmallCNN, evaluate, train
from cnnlab.training.fit import quiet_advice
from cnnlab.training.recipe import SGD

RECIPE_EPOCHS, RECIPE_RATE = 3, 0.3  # of configs/recipe/mnist.yaml
EPOCHS = 2  # of which the second is timed: the first warms up
GOAL = 0.99


def mnist(root: Path, seed: int = 0) -> ImageData:
    data = ImageData("mnist", str(root), seed=seed)
    data.setup("fit")
    return data


def cnnlab_fit(network: nn.Module, data: ImageData, folder: Path, epochs: int, **values: object) -> list[float]:
    """cnnlab's training as train.py runs it, metrics, checkpoints and snapshots on; seconds of each epoch."""
    clock = rivals.EpochClock()
    quiet = {"figures": False, "report": False, "trainer": {"accelerator": "cpu"}, "callbacks": [clock]}
    with (folder / "output.txt").open("w") as output, redirect_stdout(output):
        train(network, data, Recipe(epochs=epochs, **{"test": False, **quiet, **values}), folder)
    return clock.seconds()


def ways(data: ImageData, make: Callable[[], nn.Module], scratch: Path) -> dict[str, Callable]:
    loaders = data.train_dataloader, data.val_dataloader
    return {
        "bare loop, tensors in memory": lambda: rivals.bare_loop(make(), *(loader() for loader in loaders), EPOCHS),
        "cnnlab": lambda: cnnlab_fit(make(), data, Path(tempfile.mkdtemp(dir=scratch)), EPOCHS),
    }


def take_turns(title: str, runs: dict[str, Callable], rounds: int, steps: int) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in track(range(rounds), description=title):
        for name, run in runs.items():
            torch.manual_seed(0)
            seconds[name].append(run()[-1])
    print_rounds(title, seconds, steps, reference=next(iter(runs)))


def epoch(root: Path, rounds: int, scratch: Path, make: Callable = rivals.conv_8_16_32, others: bool = True) -> None:
    data = mnist(root)
    runs = ways(data, make, scratch)
    if others:
        indices = [data._sets[split][1].tolist() for split in ("train", "validation")]
        for workers in (0, 2):
            loaders = rivals.template_data(root, workers, *indices)
            runs[f"Lightning template, {workers} workers"] = lambda loaders=loaders: rivals.template_fit(
                make(), loaders, EPOCHS, Path(tempfile.mkdtemp(dir=scratch))
            )
    title = f"one epoch of MNIST, {make.__name__}, batches of 128"
    take_turns(title, runs, rounds, len(data.train_dataloader()))


def overhead(root: Path, rounds: int, scratch: Path) -> None:
    epoch(root, rounds, scratch, make=rivals.linear, others=False)


def accuracy(root: Path, rounds: int, scratch: Path) -> None:
    """Our fit has a fixed length, the default recipe's; theirs stops after the first epoch that reaches the goal."""
    ours, theirs = [], []
    for seed in track(range(min(rounds, 3)), description="seconds to 99.0 %"):
        data = mnist(root, seed)
        torch.manual_seed(seed)
        network = SmallCNN(in_channels=1, num_classes=10, image_size=data.image_size)
        folder = Path(tempfile.mkdtemp(dir=scratch))
        start = time.perf_counter()
        cnnlab_fit(network, data, folder, RECIPE_EPOCHS, seed=seed, optimizer=partial(SGD, lr=RECIPE_RATE))
        seconds = time.perf_counter() - start
        reached = evaluate(Run.open(folder)).metrics["test/accuracy"]
        ours.append((seconds, reached))
        theirs.append(rivals.classic_seconds_to(GOAL, root, seed, most_epochs=14))
        console.print(f"seed {seed}: cnnlab {ours[-1]}, classic {theirs[-1]}")
    times = [median(seconds for seconds, _ in way) for way in (ours, theirs)]
    least = [min(reached for _, reached in way) for way in (ours, theirs)]
    console.print(
        f"seconds of fit to {GOAL:.1%} on MNIST, median of {len(ours)} seeds: cnnlab {times[0]:.1f} (least accuracy "
        f"{least[0]:.4f}), classic {times[1]:.1f} (least {least[1]:.4f}): {times[1] / times[0]:.1f} times faster"
    )


def launch(root: Path, rounds: int, scratch: Path) -> None:
    script = str(Path(__file__).parents[1] / "scripts" / "train.py")
    first_step = ["trainer.max_steps=1", "trainer.max_epochs=1", "test=false", "figures=false"]
    commands = {
        "import torch, lightning.pytorch": [sys.executable, "-c", "import torch, lightning.pytorch"],
        "train.py, to the first step": [sys.executable, script, *first_step],
        "a misspelt option": [sys.executable, script, "trainer.max_epoch=3"],
        "a misspelt bank": [sys.executable, script, "model.bank=sobell"],
        "--help": [sys.executable, script, "--help"],
        "--cfg job": [sys.executable, script, "--cfg", "job"],
        "tab completion": [sys.executable, script, "-sc", "query=bash"],
    }
    environment = {**os.environ, "COMP_LINE": "train.py model=", "CNNLAB_DATA": str(root)}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    quiet = subprocess.DEVNULL
    for _ in track(range(rounds), description="launch"):
        for name, command in commands.items():
            folder = Path(tempfile.mkdtemp(dir=scratch))
            start = time.perf_counter()
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=quiet, stderr=quiet)
            while process.poll() is None and not any(folder.glob("outputs/train/*/kernels/epoch_0000.pt")):
                time.sleep(0.005)
            seconds[name].append(time.perf_counter() - start)
            process.wait()
    print_rounds(
        "from the command to its end, or to the snapshot before the first step",
        seconds,
        1,
        reference=next(iter(commands)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"epoch": epoch, "overhead": overhead, "accuracy": accuracy, "launch": launch}
    parser.add_argument("parts", nargs="*", help=", ".join(parts))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("CNNLAB_DATA", "data")))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    quiet_advice()
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning").setLevel(logging.ERROR)
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    print_machine()
    with tempfile.TemporaryDirectory() as scratch:
        for name in arguments.parts or parts:
            parts[name](arguments.data.resolve(), arguments.rounds, Path(scratch))


if __name__ == "__main__":
    main()
