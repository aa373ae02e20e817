"""What a sweep, a search or a study was asked, in its folder from before its first job: enough to go on with it."""

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from cnnlab._choices import UsageError
from cnnlab._files import write_text

SWEEP, SEARCH, STUDY = "sweep.json", "search.json", "study.json"
LISTS = ("overrides", "hydra_overrides", "jobs")


def read_asked(folder: Path, name: str = SWEEP) -> dict[str, Any]:
    """What `keep_asked` wrote; {} where there is nothing of the kind. Raises ValueError if it can't be read."""
    path = folder / name
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text())
        whole = all(isinstance(content[part], list) for part in LISTS) and {"program", "config_dir"} <= set(content)
        whole = whole and all({"job", "folder", "overrides"} <= set(job) for job in content["jobs"])
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise UsageError(f"{path} is no list of what was asked")
    return content


def keep_asked(folder: Path, hydra_config: DictConfig, jobs: list[dict[str, Any]], name: str = SWEEP) -> None:
    """Write what was asked. Raises ValueError if the folder has other jobs already, OSError if it can't be written."""
    known = read_asked(folder, name)
    if known and known["jobs"] != jobs:
        raise UsageError(f"{folder} has other jobs than its options give today: have configurations changed?")
    own = [source.path for source in hydra_config.runtime.config_sources if source.provider == "command-line"]
    content = {
        "program": hydra_config.job.config_name,
        "config_dir": own[0] if own else None,
        "hydra_overrides": list(hydra_config.overrides.hydra),
        "overrides": list(hydra_config.overrides.task),
        "jobs": jobs,
    }
    if not known:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / name, json.dumps(content, indent=2) + "\n")
