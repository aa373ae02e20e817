"""How a sweep, a search or a study was called, in its folder from before its first job: enough to go on with it."""

import json
from pathlib import Path
from typing import TypedDict

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from cnnlab._choices import UsageError
from cnnlab._files import write_text
from cnnlab._targets import current_text

SWEEP, SEARCH, STUDY = "sweep.json", "search.json", "study.json"


class Job(TypedDict):
    """A job of a sweep: its number, what it was given, the name of its folder in the sweep's."""

    job: int
    overrides: list[str]
    folder: str


class Invocation(TypedDict):
    """The program, a folder of configurations of one's own, the options for Hydra and for the program, the jobs."""

    program: str
    config_dir: str | None
    hydra_overrides: list[str]
    overrides: list[str]
    jobs: list[Job]


def read_invocation(folder: Path, name: str = SWEEP) -> Invocation | None:
    """What `write_invocation` wrote; None where there is nothing of the kind. UsageError if it can't be read."""
    path = folder / name
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text())
        lists = [content[part] for part in ("overrides", "hydra_overrides", "jobs")]
        lists += [job["overrides"] for job in content["jobs"]]
        texts = [content["program"], *content["overrides"], *content["hydra_overrides"]]
        texts += [text for job in content["jobs"] for text in (job["folder"], *job["overrides"])]
        known = all(isinstance(part, list) for part in lists) and all(isinstance(text, str) for text in texts)
        known &= isinstance(content["config_dir"], str | None) and all(isinstance(job["job"], int) for job in lists[2])
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise UsageError(f"{path} is not a list of jobs that a program wrote; start anew in another folder")
    for asked in (content, *content["jobs"]):
        asked["overrides"] = [current_text(text) for text in asked["overrides"]]
    whole: Invocation = content
    return whole


def write_invocation(folder: Path, jobs: list[Job], name: str = SWEEP, section: DictConfig | None = None) -> None:
    """How this program was called. `section`: Hydra's own part of the configuration, where no job runs yet.

    Raises UsageError if the folder has other jobs already, OSError if it can't be written.
    """
    known = read_invocation(folder, name)
    if known and known["jobs"] != jobs:
        raise UsageError(f"{folder} has other jobs than its options give today: have configurations changed?")
    if known:
        return
    hydra_config = HydraConfig.get() if section is None else section
    own = [source.path for source in hydra_config.runtime.config_sources if source.provider == "command-line"]
    content = Invocation(
        program=str(hydra_config.job.config_name),
        config_dir=own[0] if own else None,
        hydra_overrides=list(hydra_config.overrides.hydra),
        overrides=list(hydra_config.overrides.task),
        jobs=jobs,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / name, json.dumps(content, indent=2) + "\n")
