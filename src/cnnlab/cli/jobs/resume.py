"""`resume=FOLDER`: a run, a sweep, a search or a study that was interrupted goes on as it was asked."""

import re
from pathlib import Path

from cnnlab._choices import UsageError
from cnnlab.cli.check import check
from cnnlab.cli.configs import read_config
from cnnlab.cli.jobs.apart import quoted
from cnnlab.cli.jobs.invocation import SEARCH, STUDY, SWEEP, Invocation, read_invocation
from cnnlab.runs.folder import find_run
from cnnlab.runs.record import read_summary

PROGRAMS = ("train", "evaluate", "search", "study")  # what can go on
FOLDER_OPTIONS = ("hydra.sweep.dir=", "hydra.run.dir=", "hydra.mode=")


def resume(given: str, others: list[str]) -> int:
    """Returns the exit status. Raises UsageError for a folder that is no run, and for options beside it."""
    folder = find_run(given.strip("'\""))
    config = read_config(folder, _trusted(others))
    check(config, "train")
    if read_summary(folder).get("status") == "completed":
        print(f"nothing left to do: this run is completed\n{folder}")
        return 0
    from cnnlab.cli.programs.train import run  # torch, which takes seconds

    return run(config, folder, resume=True)


def several(given: str, others: list[str]) -> tuple[str, list[str], Path] | None:
    """Program, arguments and folder by which a sweep, a search or a study goes on; None if the folder holds none.

    Raises UsageError for options beside it, and for a list of jobs that can't be read.
    """
    folder = Path(given.strip("'\"")).expanduser()
    name = next((name for name in (SWEEP, SEARCH, STUDY) if (folder / name).is_file()), None)
    if name is None:
        return None
    _trusted(others)
    content = read_invocation(folder, name)
    assert content is not None
    if content["program"] not in PROGRAMS:
        raise UsageError(f"{folder / name}: there is no program {content['program']!r} that goes on")
    where = "hydra.sweep.dir" if name == SWEEP else "hydra.run.dir"
    return content["program"], [*_arguments(content, name == SWEEP), *others, f"{where}={quoted(folder)}"], folder


def _arguments(content: Invocation, multirun: bool) -> list[str]:
    options = [text for text in content["hydra_overrides"] if not text.startswith(FOLDER_OPTIONS)]
    texts = [*options, *(text for text in content["overrides"] if not text.lstrip("+").startswith("trust="))]
    if any(text.startswith("-") for text in texts):
        raise UsageError(f"the list of jobs has an option that is none: {texts}")
    own = ["--config-dir", content["config_dir"]] if content["config_dir"] else []
    return [*(["-m"] if multirun else []), *own, *texts]


def _trusted(others: list[str]) -> list[str]:
    """The packages that the command line trusts. Raises UsageError for any other option."""
    refused = [text for text in others if not text.startswith("trust=")]
    if refused:
        raise UsageError(f"resume takes no other options, a run goes on as it was asked; got: {' '.join(refused)}")
    return [name for text in others for name in re.findall(r"\w+", text.partition("=")[2])]
