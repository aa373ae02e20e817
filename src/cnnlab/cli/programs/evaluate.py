"""The evaluation program: a checkpoint on a test split."""

import os
from pathlib import Path

from omegaconf import DictConfig

from cnnlab._tables import print_results, print_runs
from cnnlab.cli.assemble import build_data, trainer_values
from cnnlab.cli.configs import trusted
from cnnlab.runs.record import RunRecord, recorded
from cnnlab.runs.run import Run
from cnnlab.training.evaluate import evaluate
from cnnlab.training.fit import quiet_advice

MOST_CLASSES = 40  # lines of the table on the screen


def run(config: DictConfig, folder: Path) -> int:
    """Test `config.run` and leave summary.json, a table and a picture in `folder`, see `evaluate`."""
    quiet_advice()
    trust = trusted(config)
    source = Run.open(config.run, trust)
    path = source.checkpoint_path(config.checkpoint)
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    record = RunRecord(folder, run=str(source.folder), checkpoint=str(path))
    with recorded(record, folder):
        data = build_data(config.data, trust) if config.get("data") else None
        found = evaluate(
            source, data, folder, checkpoint=config.checkpoint, trainer=trainer_values(config.trainer)["trainer"]
        )
        confusion = {} if found.confusion_KK is None else {"confusion": found.confusion_KK.tolist()}
        record.finish("completed", data=found.data, metrics=found.metrics, **confusion)
    if found.classes:
        print_runs("classes", found.classes[:MOST_CLASSES])
    print_results(found.metrics, folder)
    print(folder)
    return 0
