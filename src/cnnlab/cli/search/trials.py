"""The trials of a search: optuna proposes values, every trial is a run folder, and all of it can go on."""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
import yaml
from omegaconf import DictConfig
from optuna.trial import FrozenTrial, TrialState

from cnnlab._choices import UsageError
from cnnlab._files import write_text
from cnnlab._tables import print_runs, write_csv
from cnnlab.cli.jobs.apart import run_apart
from cnnlab.cli.search.space import Space, as_option
from cnnlab.draw.search import search_history
from cnnlab.runs.metrics import read_metrics
from cnnlab.runs.record import RunRecord, read_summary

SCORE = "val/accuracy"


@dataclass(frozen=True)
class Search:
    """What is searched, where, for how long. `compose` makes the configuration of a trial from its options."""

    folder: Path
    space: Space
    trials: int
    timeout: float | None
    seed: int
    compose: Callable[[list[str]], DictConfig]

    def run(self, record: RunRecord) -> int:
        """Begin, or go on with what is in the folder. Returns the exit status."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            storage=f"sqlite:///{self.folder / 'study.db'}",
            study_name="cnnlab",
            direction="maximize",
            load_if_exists=True,
        )
        started = time.monotonic()
        while len(_ended(study)) < self.trials:
            if self.timeout is not None and time.monotonic() - started > self.timeout:
                break
            self._train(study, self._next(study))
        return self._finish(study, record)

    def _next(self, study: optuna.Study) -> FrozenTrial:
        """The trial that was running when the search was interrupted, or a new one.

        The sampler is seeded by the number of the trial, so that a search that goes on proposes what it would have.
        """
        for trial in study.get_trials(deepcopy=False):
            if trial.state == TrialState.RUNNING:
                if set(trial.params) == set(self.space):
                    return trial
                study.tell(trial.number, state=TrialState.FAIL)  # killed while it was proposed
        number = len(study.get_trials(deepcopy=False))
        study.sampler = optuna.samplers.TPESampler(seed=(self.seed * 1_000_003 + number) % 2**32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            new = study.ask(fixed_distributions=self.space)
        return next(trial for trial in study.get_trials(deepcopy=False) if trial.number == new.number)

    def _train(self, study: optuna.Study, trial: FrozenTrial) -> None:
        overrides = [as_option(name, value) for name, value in trial.params.items()]
        folder = self._folder_of(trial)
        folder.mkdir(exist_ok=True)
        status, message = run_apart(self.compose(overrides), folder)
        score = _score(folder) if status == 0 else None
        study.tell(trial.number, score, state=TrialState.COMPLETE if status == 0 else TrialState.FAIL)
        shown = f"{SCORE} {score:.4f}" if score is not None else f"failed: {message}"
        print(f"trial {len(_ended(study))} of {self.trials}: {', '.join(overrides)}  {shown}", flush=True)

    def _finish(self, study: optuna.Study, record: RunRecord) -> int:
        """Table, picture, the options of the best trial."""
        rows = [self._row(trial) for trial in _ended(study)]
        if rows:
            write_csv(rows, self.folder / "trials.csv")
            in_order = sorted(_ended(study), key=lambda trial: -(trial.value or 0))
            print_runs("search, best first", [self._row(trial) for trial in in_order[:10]])
        scores = {trial.number: trial.value for trial in _ended(study) if trial.value is not None}
        good = [trial for trial in _ended(study) if trial.number in scores]
        if not good:
            record.finish("failed", error="no trial was completed")
            return 1
        best = max(good, key=lambda trial: scores[trial.number])
        write_text(self.folder / "best.yaml", yaml.safe_dump(best.params))
        self._draw(study, good, list(scores.values()))
        record.finish("completed", metrics={SCORE: best.value}, best=best.params, trials=len(rows))
        options = " ".join(as_option(*option) for option in best.params.items())
        print(f"best: {options}  {SCORE} {best.value:.4f}\nits run: {self._folder_of(best)}")
        return 0

    def _folder_of(self, trial: FrozenTrial) -> Path:
        return self.folder / f"trial_{trial.number:04}"

    def _row(self, trial: FrozenTrial) -> dict[str, object]:
        folder = self._folder_of(trial)
        return {
            "run": folder.name,
            **{name: trial.params.get(name) for name in self.space},
            "status": "completed" if trial.value is not None else "failed",
            "score": trial.value,
            "seconds": read_summary(folder).get("seconds"),
        }

    def _draw(self, study: optuna.Study, good: Sequence[FrozenTrial], scores: Sequence[float]) -> None:
        importance: dict[str, float] = {}
        if len(good) >= 4 and len(self.space) > 1 and len(set(scores)) > 1:
            evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
            importance = optuna.importance.get_param_importances(study, evaluator=evaluator)
        options = {name: [trial.params[name] for trial in good] for name in self.space}
        logarithmic = [name for name, distribution in self.space.items() if getattr(distribution, "log", False)]
        figure = search_history(scores, options, logarithmic, importance)
        figure.savefig(self.folder / "search.png", dpi=120)


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]


def _score(folder: Path) -> float:
    """Validation accuracy of the best epoch, the one that best.ckpt holds. Raises UsageError without validation."""
    values = [float(row[SCORE]) for row in read_metrics(folder / "metrics.csv") if row.get(SCORE)]
    if not values:
        raise UsageError(f"{folder} has no {SCORE}: a search needs validation images and a classifier")
    return max(values)
