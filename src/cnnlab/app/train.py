"""The training job: data, network, fit, test, pictures, record."""

import os
from pathlib import Path
from typing import Any

import lightning.pytorch
import torch
from omegaconf import DictConfig

from cnnlab.app.assemble import build_data, build_network, build_task, build_trainer
from cnnlab.app.pictures import draw_figures
from cnnlab.app.runs import held, read_checkpoint, save_config
from cnnlab.app.tables import print_results
from cnnlab.reports.record import RunRecord
from cnnlab.training.fit import fit, score
from cnnlab.training.task import TrainingDiverged


def run(config: DictConfig, folder: Path, resume: bool = False) -> int:
    """Train as `config` says and leave everything in `folder`. Returns the exit status.

    With `resume` the run in `folder` goes on from its last checkpoint, or from the start if it has none yet.
    """
    if os.environ.get("LOCAL_RANK", "0") != "0":  # one process of several: the first keeps the record
        _train(config, folder, RunFacts(), resume)
        return 0
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    with held(folder):
        save_config(config, folder)
        record = RunRecord(folder, again=resume, seed=config.seed)
        try:
            _train(config, folder, record, resume)
        except KeyboardInterrupt:
            record.finish("interrupted")
            print(f"interrupted; go on with: resume={folder}")
            raise
        except TrainingDiverged as error:
            record.finish("failed", error=str(error))
            print(folder)
            raise
        except BaseException as error:
            record.finish("failed", error=f"{type(error).__name__}: {error}")
            raise
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
    parameters = [p for p in network.parameters() if p.requires_grad]
    record.add(
        data=facts,
        model={"target": about["target"], "bank": about["bank"] and about["bank"]["source"]},
        parameters=sum(p.numel() for p in network.parameters()),
        trainable_parameters=sum(p.numel() for p in parameters),
        device=_device_name(trainer),
    )
    _fit(config, task, data, trainer, last if resumed else None)
    if not trainer.is_global_zero:
        return
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    best = folder / "checkpoints" / "best.ckpt"
    if config.test and data.has_test and best.is_file():
        metrics |= score(task, data, trainer, best)
    record.add(
        metrics=metrics,
        epochs=trainer.current_epoch,
        steps=trainer.global_step,
        images_per_second=metrics.get("images_per_second"),
    )
    if config.figures and not trainer.fast_dev_run:
        draw_figures(folder, metrics)
    record.finish("completed", data=data.describe())
    print_results(metrics, folder)


def _fit(config: DictConfig, task: Any, data: Any, trainer: Any, checkpoint: Path | None) -> None:
    """Lightning ends an interrupted fit with SystemExit; here it is the KeyboardInterrupt that it was."""
    try:
        fit(task, data, trainer, checkpoint, config.compile, config.channels_last)
    except SystemExit as end:
        raise end.__context__ if isinstance(end.__context__, KeyboardInterrupt) else end from None


def _device_name(trainer: Any) -> str:
    device = trainer.strategy.root_device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({torch.get_num_threads()} threads)"
