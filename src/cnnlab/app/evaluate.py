"""The evaluation job: a checkpoint on a test split."""

import csv
import io
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import Tensor

from cnnlab.app.assemble import build, build_data
from cnnlab.app.pictures import save
from cnnlab.app.runs import find_checkpoint, find_run, read_checkpoint, read_config, save_config
from cnnlab.app.tables import print_results, print_runs
from cnnlab.nn.rebuild import rebuild
from cnnlab.reports.record import RunRecord, write_text
from cnnlab.training.fit import score
from cnnlab.training.task import ClassificationTask
from cnnlab.views.confusion import confusion_matrix

MOST_CLASSES = 40  # lines of the table on the screen


def run(config: DictConfig, folder: Path) -> int:
    """Test `config.run` and leave summary.json, classes.csv and figures/confusion.png in `folder`."""
    source = find_run(config.run)
    path = find_checkpoint(source, str(config.checkpoint))
    checkpoint = read_checkpoint(path)
    about = checkpoint["network"]
    trained = read_config(source)
    save_config(config, folder)
    record = RunRecord(folder, run=str(source), checkpoint=str(path))
    try:
        data = build_data(config.data or trained.data)
        data.setup("test")
        _check_match(data, about)
        data.normalise_like(about["mean"], about["std"])
        task = ClassificationTask(rebuild(about), about["class_names"], None, None, trained.seed, about)
        trainer = build(config.trainer, logger=False, default_root_dir=str(folder), enable_progress_bar=False)
        metrics = score(task, data, trainer, path)
    except BaseException as error:
        record.finish("failed", error=f"{type(error).__name__}: {error}")
        raise
    classes = per_class(task.test_confusion, about["class_names"])
    _write_csv(classes, folder / "classes.csv")
    save(confusion_matrix(task.test_confusion, about["class_names"]), folder / "figures" / "confusion.png")
    record.finish("completed", data=data.describe(), metrics=metrics, confusion=task.test_confusion.tolist())
    print_runs("classes", classes[:MOST_CLASSES])
    print_results(metrics, folder)
    print(folder)
    return 0


def _check_match(data: Any, about: dict[str, Any]) -> None:
    """Raises ValueError for data whose channels or number of classes the network was not made for."""
    expected = (about["arguments"]["in_channels"], about["arguments"]["num_classes"])
    found = (data.in_channels, data.num_classes)
    if found != expected:
        raise ValueError(
            f"the network takes {expected[0]} channels and tells {expected[1]} classes apart; "
            f"{data.name} has {found[0]} channels and {found[1]} classes"
        )
    if list(data.class_names) != about["class_names"]:
        print(f"other class names than in training: {', '.join(data.class_names[:10])}; compared by position")


def per_class(confusion_KK: Tensor, names: list[str]) -> list[dict[str, Any]]:
    """Images, recall and precision of each class, and what it is taken for most often. Rows of the matrix are true."""
    rows = []
    for index, name in enumerate(names):
        hits, images = float(confusion_KK[index, index]), float(confusion_KK[index].sum())
        called = float(confusion_KK[:, index].sum())
        mistakes = confusion_KK[index].clone()
        mistakes[index] = 0
        worst = int(mistakes.argmax())
        rows.append(
            {
                "class": name,
                "images": int(images),
                "recall": hits / images if images else None,
                "precision": hits / called if called else None,
                "taken for": f"{names[worst]} ({int(mistakes[worst])})" if mistakes[worst] else "",
            }
        )
    return rows


def _write_csv(rows: list[dict[str, Any]], path: Path) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
