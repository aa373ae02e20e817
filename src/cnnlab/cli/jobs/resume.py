"""`resume=FOLDER`: a run, a sweep, a search or a study that was interrupted goes on as it was asked."""

import re
from pathlib import Path

from cnnlab._choices import UsageError
from cnnlab.cli.arguments import quoted
from cnnlab.cli.check import check
from cnnlab.cli.configs import read_config
from cnnlab.cli.jobs.invocation import SEARCH, STUDY, SWEEP, Invocation, read_invocation
from cnnlab.runs.folder import find_run
from cnnlab.runs.record import read_summary

PROGRAMS = ("train", "evaluate", "search", "study")  # what can go on
OWN_PLACE = ("hydra.sweep.dir=", "hydra.run.dir=", "hydra.mode=")  # follow from the folder
# The list of jobs may come from a stranger: of Hydra it chooses a launcher and gives it numbers and words.
HYDRA = re.compile(r"\+{0,2}hydra(/launcher|\.launcher(\.[a-z]\w*)+)=[\w.,+-]*")
BESIDE = re.compile(r"trust=.*|--config-dir=.*|\+{0,2}hydra[./]launcher.*")  # what the command line may say again


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
    others = re.sub(r"(--config-dir|-cd)\n", "--config-dir=", "\n".join(others)).splitlines()
    _trusted(others)
    content = read_invocation(folder, name)
    assert content is not None
    if content["program"] not in PROGRAMS:
        raise UsageError(f"{folder / name}: there is no program {content['program']!r} that goes on")
    arguments = [*_plain(content, folder / name), *_beside(content, others, folder)]
    where = "hydra.sweep.dir" if name == SWEEP else "hydra.run.dir"
    multirun = ["-m"] if name == SWEEP else []
    return content["program"], [*multirun, *arguments, f"{where}={quoted(str(folder))}"], folder


def _plain(content: Invocation, path: Path) -> list[str]:
    """The options that are kept. Raises UsageError for those that would do something by themselves."""
    texts = [*content["hydra_overrides"], *content["overrides"]]
    texts = [text for text in texts if not text.startswith(OWN_PLACE) and not text.lstrip("+").startswith("trust=")]
    for text in texts:
        own = text.lstrip("+~").startswith("hydra") and not HYDRA.fullmatch(text)
        if own or text.startswith("-") or "${new_folder" in text:
            raise UsageError(f"{path}: {text!r} is refused: a list of jobs has options of the program, and a launcher")
    return texts


def _beside(content: Invocation, others: list[str], folder: Path) -> list[str]:
    """What the command line says again, because a file must not: whose code and whose configurations are read."""
    own = content["config_dir"]
    if own and not any(text.startswith("--config-dir=") for text in others):
        again = f"resume={folder} --config-dir={own}"
        raise UsageError(f"{folder} was asked with configurations in {own}; if you trust them: {again}")
    return others


def _trusted(others: list[str]) -> list[str]:
    """The packages that the command line trusts. Raises UsageError for options that a run has already."""
    refused = [text for text in others if not BESIDE.fullmatch(text)]
    if refused:
        raise UsageError(f"resume takes no other options, a run goes on as it was asked; got: {' '.join(refused)}")
    trusted = [text.partition("=")[2] for text in others if text.startswith("trust=")]
    return [name for text in trusted for name in re.findall(r"\w+", text)]
