"""A training: data, network, fit, test, figures, record."""

import itertools
import re
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Protocol

import lightning.pytorch
import torch
from lightning.pytorch import Trainer
from torch import nn

from cnnlab._files import held
from cnnlab.data.contract import Data, boundary_data
from cnnlab.draw.saving import save_figure
from cnnlab.edges.benchmark.judging import benchmark
from cnnlab.nn.rebuilding import NetworkRecord
from cnnlab.runs.checkpoints import CHECKPOINTS, best_or_last, read_checkpoint
from cnnlab.runs.matching import describe_for
from cnnlab.runs.metrics import last_epoch
from cnnlab.runs.record import RunRecord, is_first_process, recorded
from cnnlab.runs.run import Run
from cnnlab.training.callbacks import is_trial
from cnnlab.training.fit import fit, quiet_advice, score
from cnnlab.training.recipe import Recipe
from cnnlab.training.tasks.classification import ClassificationTask
from cnnlab.training.tasks.network import NetworkTask
from cnnlab.training.trainer import make_trainer


def train(
    network: nn.Module,
    data: Data,
    recipe: Recipe | None = None,
    folder: str | Path | None = None,
    *,
    resume: bool = False,
    factory: str = "",
    arguments: Mapping[str, object] | None = None,
) -> Run:
    """Train `network` on `data` and leave everything in `folder`, a new one below outputs/train if None.

    network: any nn.Module from images (B, C, H, W) float to logits (B, K), or to (B, 1, H, W) for boundaries;
        trained in place, and left with the weights of the best epoch where it was tested.
    resume: go on from the last checkpoint in `folder`, from the start if it has none yet.
    factory, arguments: "package:function" and what it was called with, for the run to find a module of one's own again.

    Returns the run. Raises UsageError for what can't work, before the first step; DivergenceError if the loss is no
    finite number any more; KeyboardInterrupt, after which `resume` goes on.

    >>> data = ImageData("digits")  # doctest: +SKIP
    >>> network = SmallCNN("sobel + laplacian", in_channels=1, num_classes=10)  # doctest: +SKIP
    >>> run = train(network, data, Recipe(epochs=5))  # doctest: +SKIP
    >>> run.scores["test/accuracy"]  # doctest: +SKIP
    """
    recipe = recipe or Recipe()
    quiet_advice()
    data.prepare_data()
    data.setup("fit")
    about = describe_for(network, data, factory, arguments)
    if folder is None:
        folder = new_folder(f"{type(network).__name__}_{data.name}_seed{recipe.seed}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        record: Facts = NoRecord()
        if is_first_process():  # of several: the first keeps the record
            stack.enter_context(held(folder))
            record = RunRecord(folder, again=resume, seed=recipe.seed)
            stack.enter_context(recorded(record, folder))
        return Training(network, data, recipe, folder, about, record).run(resume)


class Facts(Protocol):
    """Where the facts of a training go."""

    def add(self, **facts: object) -> None: ...
    def finish(self, status: str, **facts: object) -> None: ...


class NoRecord:
    """What stands in for the record in the processes that keep none."""

    def add(self, **facts: object) -> None: ...
    def finish(self, status: str, **facts: object) -> None: ...


class Training:
    """One call of `train`."""

    def __init__(
        self, network: nn.Module, data: Data, recipe: Recipe, folder: Path, about: NetworkRecord, record: Facts
    ) -> None:
        self.network, self.data, self.recipe = network, data, recipe
        self.folder, self.about, self.record = folder, about, record

    def run(self, resume: bool) -> Run:
        lightning.pytorch.seed_everything(self.recipe.seed, workers=True, verbose=False)
        last = self.folder / CHECKPOINTS / "last.ckpt"
        resumed = read_checkpoint(last) if resume and last.is_file() else None
        task = self.recipe.task_for(self.network, self.data, self.about)
        facts = self.data.describe()
        images = facts["images"]
        assert isinstance(images, Mapping)
        trainer = make_trainer(
            self.recipe, self.folder, "validation" in images, resumed["global_step"] if resumed else None
        )
        self._begin(facts, trainer)
        fit(task, self.data, trainer, last if resumed else None, self.recipe.compile, self.recipe.channels_last)
        return self._finish(task, trainer)

    def _begin(self, facts: dict[str, object], trainer: Trainer) -> None:
        bank = self.about["bank"]
        parameters = list(self.network.parameters())
        self.record.add(
            data=facts,
            model={"target": self.about["target"] or type(self.network).__name__, "bank": bank and bank["source"]},
            parameters=sum(p.numel() for p in parameters),
            trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
            device=_device_name(trainer),
        )

    def _finish(self, task: NetworkTask, trainer: Trainer) -> Run:
        """Test, which all processes do together; the first one then draws and tells."""
        checkpoint = best_or_last(self.folder)
        tested = {}
        if self.recipe.test and self.data.has_test and checkpoint:
            tested = self._test(task, trainer, checkpoint)
        predictions = task.test_predictions if isinstance(task, ClassificationTask) else None
        run = Run(self.folder, data=self.data, module=self.network, predictions=predictions)
        if not trainer.is_global_zero:
            return run
        metrics = last_epoch(run.metrics) | tested
        self.record.add(
            metrics=metrics,
            epochs=trainer.current_epoch,
            steps=trainer.global_step,
            images_per_second=metrics.get("images_per_second"),
        )
        if self.recipe.figures and not is_trial(trainer):
            for name, figure in run.figures().items():
                save_figure(figure, self.folder / "figures" / f"{name}.png")
        self.record.finish("completed", data=self.data.describe())
        if self.recipe.report and not is_trial(trainer):
            _report(run)
        return run

    def _test(self, task: NetworkTask, trainer: Trainer, checkpoint: Path) -> dict[str, float]:
        """A classifier on the test split; a boundary network on the benchmark, in the first process."""
        if isinstance(task, ClassificationTask):
            self.data.setup("test")
            return score(task, self.data, trainer, checkpoint)
        if not trainer.is_global_zero or is_trial(trainer):
            return {}
        network = Run(self.folder, module=self.network).network(str(checkpoint))
        scores = benchmark(network, boundary_data(self.data), trainer.strategy.root_device, self.folder)
        for logger in trainer.loggers:
            logger.log_metrics({**scores, "epoch": trainer.current_epoch}, step=trainer.global_step)
        return scores


def new_folder(label: str, below: Path = Path("outputs/train")) -> Path:
    """`<date>_<time>_<label>`, made now: two runs never get the same one."""
    name = f"{datetime.now():%Y-%m-%d_%H%M%S}_{re.sub(r'[^A-Za-z0-9.-]+', '_', label)}"
    below.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        folder = below / (name if number == 1 else f"{name}_{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError("count() does not end")


def _report(run: Run) -> None:
    """The page. The run is complete without it, so a failure is told of, no more."""
    try:
        run.report()
    except Exception as error:
        print(f"cnnlab: there is no report.html: {error}; try scripts/report.py run={run.folder}", file=sys.stderr)


def _device_name(trainer: Trainer) -> str:
    device = trainer.strategy.root_device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({torch.get_num_threads()} threads)"
