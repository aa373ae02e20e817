"""The evaluation job: a checkpoint on a test split."""

import os
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab._tables import print_results, print_runs, write_csv
from cnnlab.cli.assemble import build, build_data, check_answers, check_trainer, try_forward
from cnnlab.cli.check import check
from cnnlab.cli.programs.train import bugs_stand_out
from cnnlab.draw.confusion import confusion_matrix
from cnnlab.draw.saving import save_figure
from cnnlab.edges.benchmark.judging import benchmark
from cnnlab.nn.rebuilding import load, rebuild
from cnnlab.runs.folder import find_checkpoint, find_run, read_checkpoint, read_config, recorded
from cnnlab.runs.record import RunRecord
from cnnlab.training.fit import quiet_advice, score
from cnnlab.training.tasks.classification import ClassificationTask

MOST_CLASSES = 40  # lines of the table on the screen


def run(config: DictConfig, folder: Path) -> int:
    """Test `config.run` and leave summary.json, a table and a picture in `folder`: classes.csv and
    figures/confusion.png of a classifier, photographs.csv and figures/boundaries.png of boundaries."""
    quiet_advice()
    source = find_run(config.run)
    path = find_checkpoint(source, config.checkpoint)
    about = read_checkpoint(path)["network"]
    trained = read_config(source)
    check(trained, "cnnlab.cli.programs.train")
    check_trainer(config.trainer)
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    record = RunRecord(folder, run=str(source), checkpoint=str(path))
    with recorded(record, folder):
        data = build_data(config.get("data") or trained.data)
        if not data.has_test:
            raise UsageError(_nothing_to_test(data))
        network = network_for(data, about)
        test = _classes if "class_names" in about else _boundaries
        facts = test(network, data, path, config, folder)
        record.finish("completed", data=data.describe(), **facts)
    print_results(facts["metrics"], folder)
    print(folder)
    return 0


def _nothing_to_test(data: Any) -> str:
    if hasattr(data, "benchmark"):
        return f"{data.name} is scored on nothing; name a split, as in data.scored=val"
    return f"{data.name} has no test split; evaluate tests on one, such as test/<class>/*"


def _classes(network: nn.Module, data: Any, path: Path, config: DictConfig, folder: Path) -> dict[str, Any]:
    """A classifier on the test split: metrics and confusion, for the record."""
    about = read_checkpoint(path)["network"]
    data.setup("test")
    data.normalise_like(about["mean"], about["std"])
    task = ClassificationTask(network, about["class_names"], None, None, 0, about)
    trainer = build("trainer", config.trainer, logger=False, default_root_dir=str(folder), enable_progress_bar=False)
    with bugs_stand_out(lambda: True):
        metrics = score(task, data, trainer, path)
    classes = per_class(task.test_confusion, about["class_names"])
    write_csv(classes, folder / "classes.csv")
    save_figure(confusion_matrix(task.test_confusion, about["class_names"]), folder / "figures" / "confusion.png")
    print_runs("classes", classes[:MOST_CLASSES])
    return {"metrics": metrics, "confusion": task.test_confusion.tolist()}


def _boundaries(network: nn.Module, data: Any, path: Path, config: DictConfig, folder: Path) -> dict[str, Any]:
    """A network that draws boundaries on the benchmark: metrics, for the record."""
    trainer = build("trainer", config.trainer, logger=False, default_root_dir=str(folder), enable_progress_bar=False)
    return {"metrics": benchmark(load(path), data, trainer.strategy.root_device, folder)}


def network_for(data: Any, about: dict[str, Any]) -> nn.Module:
    """The network of a checkpoint. Raises ValueError for data that it can't take."""
    _check_match(data, about)
    network = rebuild(about)
    try_forward(network, data)
    return network


def _check_match(data: Any, about: dict[str, Any]) -> None:
    """Raises ValueError for data whose channels or number of classes the network was not made for."""
    check_answers("class_names" in about, data, about["target"].rpartition(".")[2])
    if "class_names" not in about:
        return
    expected = (about["arguments"]["in_channels"], about["arguments"]["num_classes"])
    found = (data.in_channels, data.num_classes)
    if found != expected:
        raise UsageError(
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
