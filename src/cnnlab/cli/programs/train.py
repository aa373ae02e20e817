"""The training job: data, network, fit, test, pictures, record."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch
import torch
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig

from cnnlab._choices import UsageError
from cnnlab._files import held
from cnnlab._tables import print_results
from cnnlab.cli.assemble import build_data, build_network, build_task, build_trainer
from cnnlab.edges.benchmark.judging import benchmark
from cnnlab.nn.rebuilding import load
from cnnlab.runs.figures import draw_figures
from cnnlab.runs.folder import is_first_process, read_checkpoint, recorded
from cnnlab.runs.metrics import COLUMNS, read_metrics
from cnnlab.runs.record import RunRecord
from cnnlab.training.fit import fit, quiet_advice, score
from cnnlab.training.tasks.boundaries import BoundaryTask
from cnnlab.training.tasks.classification import DivergenceError


def run(config: DictConfig, folder: Path, resume: bool = False) -> int:
    """Train as `config` says and leave everything in `folder`. Returns the exit status.

    With `resume` the run in `folder` goes on from its last checkpoint, or from the start if it has none yet.
    """
    quiet_advice()
    if not is_first_process():  # one process of several: the first keeps the record
        _train(config, folder, RunFacts(), resume)
        return 0
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    try:
        with held(folder):
            record = RunRecord(folder, again=resume, seed=config.seed)
            with recorded(record, folder):
                _train(config, folder, record, resume)
    except KeyboardInterrupt:
        print(f"interrupted; go on with: resume={folder}")
        raise
    except DivergenceError as error:
        print(f"cnnlab: {error}", file=sys.stderr)
        print(folder)
        return 1
    print(folder)
    return 0


class RunFacts:
    """What stands in for the record in the processes that keep none."""

    def add(self, **facts: Any) -> None: ...

    def finish(self, status: str, **facts: Any) -> None: ...


def _train(config: DictConfig, folder: Path, record: RunRecord | RunFacts, resume: bool) -> None:
    lightning.pytorch.seed_everything(config.seed, workers=True, verbose=False)
    last = folder / "checkpoints" / "last.ckpt"
    resumed = read_checkpoint(last) if resume and last.is_file() else None
    data = build_data(config.data)
    network, about = build_network(config.model, data, config.seed)
    task = build_task(config, network, about)
    facts = data.describe()
    trainer = build_trainer(config, folder, "validation" in facts["images"], resumed and resumed["global_step"])
    record.add(
        data=facts,
        model={"target": about["target"], "bank": about["bank"] and about["bank"]["source"]},
        parameters=sum(p.numel() for p in network.parameters()),
        trainable_parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
        device=_device_name(trainer),
    )
    steps_before = resumed["global_step"] if resumed else 0
    with bugs_stand_out(lambda: trainer.global_step > steps_before):
        fit(task, data, trainer, last if resumed else None, config.compile, config.channels_last)
    _finish(config, folder, record, task, data, trainer)


def _finish(config: DictConfig, folder: Path, record: RunRecord | RunFacts, task: Any, data: Any, trainer: Any) -> None:
    """Test, which all processes do together; the first one then draws and tells."""
    # A run that stops within its first epoch has validated nothing, so that nothing is best.
    files = [path for name in ("best", "last") if (path := folder / "checkpoints" / f"{name}.ckpt").is_file()]
    tested = {}
    if config.test and data.has_test and files:
        tested = _test(task, data, trainer, files[0], folder)
    if not trainer.is_global_zero:
        return
    metrics = last_epoch(folder / "metrics.csv") | tested
    record.add(
        metrics=metrics,
        epochs=trainer.current_epoch,
        steps=trainer.global_step,
        images_per_second=metrics.get("images_per_second"),
    )
    if config.figures and not trainer.fast_dev_run:
        with bugs_stand_out(lambda: True):
            draw_figures(folder, metrics)
    record.finish("completed", data=data.describe())
    if config.get("report") and not trainer.fast_dev_run:
        _report(folder)
    print_results(metrics, folder)


def _test(task: Any, data: Any, trainer: Any, checkpoint: Path, folder: Path) -> dict[str, float]:
    """A classifier on the test split; a network that draws boundaries on the benchmark, in the first process."""
    if not isinstance(task, BoundaryTask):
        data.setup("test")
        with bugs_stand_out(lambda: True):
            return score(task, data, trainer, checkpoint)
    if not trainer.is_global_zero or trainer.fast_dev_run:
        return {}
    scores = benchmark(load(checkpoint), data, trainer.strategy.root_device, folder)
    for logger in trainer.loggers:
        logger.log_metrics({**scores, "epoch": trainer.current_epoch}, step=trainer.global_step)
    return scores


def _report(folder: Path) -> None:
    """The page, from what lies in the folder. The run is complete without it, so a failure is told of, no more."""
    from cnnlab.cli.programs.report import make_report  # it evaluates, which takes `bugs_stand_out` from here

    try:
        make_report([folder], folder / "report.html")
    except Exception as error:
        print(f"cnnlab: there is no report.html: {error}; try scripts/report.py run={folder}", file=sys.stderr)


def last_epoch(path: Path) -> dict[str, float]:
    """The numbers of the newest epoch. From the file: a run killed after its last step has them too."""
    rows = [row for row in read_metrics(path) if "train/loss" in row]
    return {name: float(cell) for name, cell in rows[-1].items() if name not in COLUMNS} if rows else {}


@contextmanager
def bugs_stand_out(began: Callable[[], bool]) -> Iterator[None]:
    """Tells mistakes of the user's from our own: once a step has been taken, the values that were asked for have
    worked, so that a ValueError is a bug. It leaves as a RuntimeError and shows its traceback."""
    try:
        yield
    except (ValueError, MisconfigurationException) as error:
        if began():
            raise RuntimeError(f"a bug in cnnlab, please report it: {error}") from error
        raise UsageError(str(error)) from error


def _device_name(trainer: Any) -> str:
    device = trainer.strategy.root_device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({torch.get_num_threads()} threads)"
