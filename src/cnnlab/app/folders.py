"""Where things lie: the configurations, and a new folder for every run."""

import itertools
import re
from collections.abc import Mapping
from pathlib import Path

from omegaconf import OmegaConf


def config_folder() -> Path:
    """The YAML files: inside the package when installed from a wheel, beside `src/` in a checkout."""
    package = Path(__file__).parents[1]
    inside, beside = package / "configs", package.parents[1] / "configs"
    return inside if inside.is_dir() else beside


def new_folder(wanted: str) -> str:
    """Make the folder `wanted`, or `wanted_2`, `wanted_3` ... if it is taken. Returns the one that was made.

    Making a folder either succeeds or fails, also between processes: two runs never get the same one.
    """
    for number in itertools.count(1):
        path = Path(wanted if number == 1 else f"{wanted}_{number}")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir()
        except FileExistsError:
            if not path.is_dir():
                raise
            continue
        return str(path)
    raise AssertionError("count() does not end")


def what(choices: Mapping[str, str | None]) -> str:
    """`edge_init_digits`: the chosen model and data, fit for a folder name."""
    names = [str(choices[group]) for group in ("model", "data") if choices.get(group)]
    return re.sub(r"[^A-Za-z0-9.-]+", "_", "_".join(names)) or "run"


def register_resolvers() -> None:
    """`${new_folder:...}` and `${what:...}` for the configurations.

    The cache belongs to the configuration and travels with it to the processes of a sweep: one run, one folder.
    """
    OmegaConf.register_new_resolver("new_folder", new_folder, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("what", what, replace=True)
