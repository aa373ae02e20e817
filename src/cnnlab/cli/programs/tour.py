"""The tour job: the lecture's steps as figures, on one page to play with, and as a notebook."""

import os
from pathlib import Path

from omegaconf import DictConfig, ListConfig

from cnnlab._choices import UsageError
from cnnlab.tour.make import MOST_RUNS, make_tour


def run(config: DictConfig, folder: Path) -> int:
    """Leave index.html, figures/ and, if asked for, tour.ipynb in `folder`. Prints the page, then the folder."""
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    image = Path(config.image) if config.image else None
    print(make_tour(folder, image, given_runs(config.runs), config.epochs, config.seed, config.notebook))
    print(folder)
    return 0


def given_runs(given: object) -> list[Path]:
    """`runs=A` or `runs=[A,B]`; [] for none. Raises UsageError for an empty list or name."""
    if given is None:
        return []
    listed = list(given) if isinstance(given, ListConfig) else [given]
    if not listed or any(not str(name).strip() for name in listed):
        raise UsageError(f"runs: the folders of 1 to {MOST_RUNS} trainings, as in runs=[A,B]; got {len(listed)}")
    return [Path(str(name)) for name in listed]
