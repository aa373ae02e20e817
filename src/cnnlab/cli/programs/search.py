"""The search program: every trial is composed as a training of its own, and the best on the validation images wins."""

import os
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from cnnlab._choices import UsageError
from cnnlab._files import held
from cnnlab.cli.check import check
from cnnlab.cli.jobs.invocation import SEARCH, write_invocation
from cnnlab.cli.messages import while_composing
from cnnlab.runs.record import RunRecord, recorded

OWN = ("space", "trials", "timeout")  # options of the search that a training knows nothing of


def run(config: DictConfig, folder: Path) -> int:
    """Search as `config` says in `folder`, or go on with the search that is there. Returns the exit status."""
    from cnnlab.cli.search.space import read_space, tried

    space = read_space(OmegaConf.to_object(config.space) if config.space is not None else None)
    if config.trials < 1:
        raise UsageError(f"trials={config.trials}: at least 1")
    if config.test:
        raise UsageError("test=true: a search looks at validation images only; test its best run with evaluate.py")
    for option in tried(space):
        _compose([option])
    from cnnlab.cli.search.trials import Search

    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    search = Search(folder, space, config.trials, config.timeout, config.seed, _compose)
    again = (folder / SEARCH).is_file()
    try:
        with held(folder):
            write_invocation(folder, [], SEARCH)
            record = RunRecord(folder, again=again, seed=config.seed)
            with recorded(record, folder):
                status = search.run(record)
    except KeyboardInterrupt:
        print(f"interrupted; go on with: resume={folder}")
        raise
    print(folder)
    return status


def _compose(overrides: list[str]) -> DictConfig:
    """The training with these options beside those of the search, so that choices of a group work as well.

    Raises UsageError for an option or a choice that isn't there.
    """
    hydra_config = HydraConfig.get()
    names = {text.partition("=")[0] for text in overrides}
    given = [text for text in hydra_config.overrides.task if text.partition("=")[0] not in names]
    texts = [*hydra_config.overrides.hydra, *given, *overrides]
    loader = GlobalHydra.instance().config_loader()
    with while_composing("search"):
        composed = loader.load_configuration(hydra_config.job.config_name, texts, RunMode.RUN)
    with open_dict(composed):
        for name in ("hydra", *OWN):
            composed.pop(name)
    check(composed, "train")
    return composed
