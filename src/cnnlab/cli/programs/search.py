"""The search job: optuna proposes values, every trial is a run folder, the best on the validation images wins."""

import os
import time
import warnings
from pathlib import Path
from typing import Any

import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from cnnlab._choices import UsageError
from cnnlab._files import held, write_text
from cnnlab._tables import print_runs, write_csv
from cnnlab.cli.check import check
from cnnlab.cli.invocation import SEARCH, write_invocation
from cnnlab.cli.jobs import run_apart
from cnnlab.cli.messages import while_composing
from cnnlab.cli.search_space import FrozenTrial, TrialState, as_option, optuna, read_space, tried
from cnnlab.runs.metrics import read_metrics
from cnnlab.runs.record import RunRecord, read_summary, recorded

SCORE = "val/accuracy"
OWN = ("space", "trials", "timeout")  # options of the search that a training knows nothing of


def run(config: DictConfig, folder: Path) -> int:
    """Search as `config` says in `folder`, or go on with the search that is there. Returns the exit status."""
    space = read_space(OmegaConf.to_container(config, resolve=True)["space"])
    if config.trials < 1:
        raise UsageError(f"trials={config.trials}: at least 1")
    if config.test:
        raise UsageError("test=true: a search looks at validation images only; test its best run with evaluate.py")
    for option in tried(space):
        _compose([option])
    again = (folder / SEARCH).is_file()
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    try:
        with held(folder):
            write_invocation(folder, HydraConfig.get(), [], SEARCH)
            record = RunRecord(folder, again=again, seed=config.seed)
            with recorded(record, folder):
                status = _search(config, folder, space, record)
    except KeyboardInterrupt:
        print(f"interrupted; go on with: resume={folder}")
        raise
    print(folder)
    return status


def _search(config: DictConfig, folder: Path, space: dict[str, Any], record: RunRecord) -> int:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=f"sqlite:///{folder / 'study.db'}", study_name="cnnlab", direction="maximize", load_if_exists=True
    )
    started = time.monotonic()
    while len(_ended(study)) < config.trials:
        if config.timeout is not None and time.monotonic() - started > config.timeout:
            break
        trial = _next(study, space, config.seed)
        overrides = [as_option(name, value) for name, value in trial.params.items()]
        run_folder = folder / f"trial_{trial.number:04}"
        run_folder.mkdir(exist_ok=True)
        status, message = run_apart(_compose(overrides), run_folder)
        score = _score(run_folder) if status == 0 else None
        study.tell(trial.number, score, state=TrialState.COMPLETE if status == 0 else TrialState.FAIL)
        shown = f"{SCORE} {score:.4f}" if score is not None else f"failed: {message}"
        print(f"trial {len(_ended(study))} of {config.trials}: {', '.join(overrides)}  {shown}", flush=True)
    return _tell(study, space, folder, record)


def _next(study: Any, space: dict[str, Any], seed: int) -> FrozenTrial:
    """The trial that was running when the search was interrupted, or a new one.

    The sampler is seeded by the number of the trial, so that a search that goes on proposes what it would have.
    """
    for trial in study.get_trials(deepcopy=False):
        if trial.state == TrialState.RUNNING:
            if set(trial.params) == set(space):
                return trial
            study.tell(trial.number, state=TrialState.FAIL)  # killed while it was proposed
    number = len(study.get_trials(deepcopy=False))
    study.sampler = optuna.samplers.TPESampler(seed=(seed * 1_000_003 + number) % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        asked = study.ask(fixed_distributions=space)
    return next(trial for trial in study.get_trials(deepcopy=False) if trial.number == asked.number)


def _compose(overrides: list[str]) -> DictConfig:
    """The training with these options beside those of the search, so that choices of a group work as well.

    Raises UsageError for an option or a choice that isn't there.
    """
    hydra_config = HydraConfig.get()
    names = {text.partition("=")[0] for text in overrides}
    given = [text for text in hydra_config.overrides.task if text.partition("=")[0] not in names]
    texts = [*hydra_config.overrides.hydra, *given, *overrides]
    with while_composing("search"):
        composed = (
            GlobalHydra.instance().config_loader().load_configuration(hydra_config.job.config_name, texts, RunMode.RUN)
        )
    with open_dict(composed):
        for name in ("hydra", *OWN):
            composed.pop(name)
    check(composed, "train")
    return composed


def _score(folder: Path) -> float:
    """Validation accuracy of the best epoch, the one that best.ckpt holds. Raises ValueError without validation."""
    values = [float(row[SCORE]) for row in read_metrics(folder / "metrics.csv") if row.get(SCORE)]
    if not values:
        raise UsageError(f"{folder} has no {SCORE}: a search needs validation images and a classifier")
    return max(values)


def _ended(study: Any) -> list[FrozenTrial]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]


def _tell(study: Any, space: dict[str, Any], folder: Path, record: RunRecord) -> int:
    """Table, picture, the options of the best trial."""
    rows = [_row(trial, space, folder) for trial in _ended(study)]
    if rows:
        write_csv(rows, folder / "trials.csv")
        print_runs("search, best first", sorted(rows, key=lambda row: -(row["score"] or 0))[:10])
    good = [trial for trial in _ended(study) if trial.value is not None]
    if not good:
        record.finish("failed", error="no trial was completed")
        return 1
    best = max(good, key=lambda trial: trial.value)
    write_text(folder / "best.yaml", yaml.safe_dump(best.params))
    _draw(study, good, space, folder)
    record.finish("completed", metrics={SCORE: best.value}, best=best.params, trials=len(rows))
    print(f"best: {' '.join(as_option(*one) for one in best.params.items())}  {SCORE} {best.value:.4f}")
    print(f"its run: {folder / f'trial_{best.number:04}'}")
    return 0


def _row(trial: FrozenTrial, space: dict[str, Any], folder: Path) -> dict[str, Any]:
    summary = read_summary(folder / f"trial_{trial.number:04}")
    status = "completed" if trial.value is not None else "failed"
    options = {name: trial.params.get(name) for name in space}
    return {"run": f"trial_{trial.number:04}", **options, "status": status, "score": trial.value} | {
        "seconds": summary.get("seconds")
    }


def _draw(study: Any, good: list[FrozenTrial], space: dict[str, Any], folder: Path) -> None:
    from cnnlab.cli.search_figure import search_history

    importance: dict[str, float] = {}
    if len(good) >= 4 and len(space) > 1 and len({trial.value for trial in good}) > 1:
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        importance = optuna.importance.get_param_importances(study, evaluator=evaluator)
    options = {name: [trial.params[name] for trial in good] for name in space}
    logarithmic = [name for name, one in space.items() if getattr(one, "log", False)]
    figure = search_history([trial.value for trial in good], options, logarithmic, importance)
    figure.savefig(folder / "search.png", dpi=120)
