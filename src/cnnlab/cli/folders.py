"""Where things lie: the configurations, and a new folder for every run."""

import itertools
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from omegaconf import OmegaConf

from cnnlab._choices import UsageError

PAPERS = (
    ".hydra",
    ".lock",
    "config.yaml",
    "summary.json",
    "multirun.yaml",
    "sweep.json",
    "search.json",
    "study.json",
    "plan.json",
)  # there before any work is done
# A recipe may change values, but Hydra lets it choose no other options.
USUAL_OPTIONS = {"task": "classification_task", "optimizer": "sgd"}
OPTIONS_BY_DATA = {"bsds500": {"task": "boundary_task", "optimizer": "muon"}}
RUN_FILES = (*PAPERS, "parts", "metrics.csv", "checkpoints", "kernels", "figures")


def config_folder() -> Path:
    """The YAML files: inside the package when installed from a wheel, beside `src/` in a checkout."""
    package = Path(__file__).parents[1]
    inside, beside = package / "configs", package.parents[1] / "configs"
    return inside if inside.is_dir() else beside


class Folders:
    """The folders of one launch of a program: made for it alone, and removed if nothing came of it."""

    def __init__(self) -> None:
        self._made: list[Path] = []
        self._named: set[Path] = set()  # by the user; free when we came
        self._going_on: set[Path] = set()  # of sweeps and searches that are taken up again

    def new(self, wanted: str) -> str:
        """Make the folder `wanted`, or `wanted_2`, `wanted_3` ... if it is taken. Returns the one that was made.

        Making a folder either succeeds or fails, also between processes: two runs never get the same one.
        """
        for number in itertools.count(1):
            path = Path(wanted if number == 1 else f"{wanted}_{number}")
            self._made += _missing(path.parent)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                path.mkdir()
            except FileExistsError:
                if not path.is_dir():
                    raise
                continue
            self._made.append(path)
            return str(path)
        raise AssertionError("count() does not end")

    def check_free(self, folder: Path, option: str) -> None:
        """Raises ValueError if the folder that the user named holds a run or a sweep: it would be written over."""
        if folder in self._named or folder in self._going_on:
            return
        held = [name for name in RUN_FILES if (folder / name).exists()]
        if held:
            raise UsageError(f"{option}: {folder} holds a run already ({held[0]}); name another folder")
        self._named.add(folder)
        self._made += _missing(folder)

    def go_on(self, folder: Path) -> None:
        """The folder of a sweep or a search that was interrupted: it may be written to."""
        self._going_on.add(folder)

    def sweeps(self) -> list[Path]:
        """The folders of this launch that are those of a sweep."""
        known = dict.fromkeys([*self._made, *self._named, *self._going_on])
        return [folder for folder in known if (folder / "sweep.json").is_file()]

    def remove_refused(self) -> None:
        """Remove those that hold nothing but the papers of runs that did not begin, and the papers elsewhere."""
        for folder in self._named.difference(self._made):
            if not any((folder / name).exists() for name in RUN_FILES if name not in PAPERS):
                for name in PAPERS:
                    _remove(folder / name)
        for folder in reversed(self._made):
            if folder.is_dir() and _is_paper(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _missing(folder: Path) -> list[Path]:
    """The folder and its parents as far as they aren't there, from the top."""
    return [path for path in (*reversed(folder.parents), folder) if not path.exists()]


def _is_paper(folder: Path) -> bool:
    return all(path.name in PAPERS or (path.is_dir() and _is_paper(path)) for path in folder.iterdir())


def what(choices: Mapping[str, str | None]) -> str:
    """`edge_init_digits`: the chosen model, data and detector, fit for a folder name."""
    names = [str(choices[group]) for group in ("model", "data", "detector") if choices.get(group)]
    return re.sub(r"[^A-Za-z0-9.-]+", "_", "_".join(names)) or "run"


def option_for(data: str, group: str) -> str:
    """Which option of `task` or `optimizer` the data stand for where none is given."""
    return OPTIONS_BY_DATA.get(data, {}).get(group) or USUAL_OPTIONS[group]


def register_resolvers(folders: Folders) -> None:
    """`${new_folder:...}`, `${what:...}` and `${option_for:...}` for the configurations.

    The cache belongs to the configuration and travels with it to the processes of a sweep: one run, one folder.
    """
    OmegaConf.register_new_resolver("new_folder", folders.new, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("what", what, replace=True)
    OmegaConf.register_new_resolver("option_for", option_for, replace=True)
