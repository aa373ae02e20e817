"""A run on a test split, its own or that of other data. K class."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab._tables import write_csv
from cnnlab.data.contract import Data, boundary_data, class_data
from cnnlab.draw.confusion import confusion_matrix
from cnnlab.draw.saving import save_figure
from cnnlab.edges.benchmark.judging import benchmark
from cnnlab.nn.contract import validate_network
from cnnlab.runs.checkpoints import find_checkpoint
from cnnlab.runs.matching import check_match
from cnnlab.runs.run import Run
from cnnlab.training.fit import quiet_advice, score
from cnnlab.training.recipe import Recipe
from cnnlab.training.tasks.classification import ClassificationTask
from cnnlab.training.trainer import check_trainer, lightning_trainer

ClassRow = dict[str, str | int | float | None]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """metrics: "test/accuracy" ... or "benchmark/ods" .... data: their facts.

    Of classifiers: confusion_KK, images by true class (rows) and predicted class, and a row per class.
    """

    metrics: dict[str, float]
    data: dict[str, object]
    confusion_KK: Tensor | None = None
    classes: list[ClassRow] = field(default_factory=list)


def evaluate(
    run: Run,
    data: Data | None = None,
    folder: Path | None = None,
    *,
    checkpoint: str = "best",
    trainer: Mapping[str, object] | None = None,
) -> Evaluation:
    """Score a run on the test split of `data`, by default its own. Images are normalised as in training.

    folder: where to leave a table and a picture: classes.csv and figures/confusion.png of a classifier,
        photographs.csv and figures/boundaries.png of boundaries. trainer: arguments of lightning.pytorch.Trainer.

    Raises UsageError for data without a test split, and for data that the network was not made for.

    >>> evaluate(Run.open("outputs/train/FOLDER")).metrics["test/accuracy"]  # doctest: +SKIP
    """
    quiet_advice()
    arguments = {"max_epochs": 1, **(trainer or {})}
    check_trainer(arguments)
    about = run.checkpoint(checkpoint)["network"]
    data = data or run.data()
    data.prepare_data()
    data.setup("fit")
    if not data.has_test:
        raise UsageError(_nothing_to_test(data))
    check_match(data, about)
    network = run.network(checkpoint)
    names = about.get("class_names")
    validate_network(network, data.in_channels, data.image_size, None if names is None else len(names))
    made = lightning_trainer(
        arguments, logger=False, default_root_dir=str(folder or run.folder), enable_progress_bar=False
    )
    if names is None:
        scores = benchmark(network.eval(), boundary_data(data), made.strategy.root_device, folder)
        return Evaluation(scores, data.describe())
    data.setup("test")
    data.normalise_like(about["mean"], about["std"])
    task = Recipe().task_for(network, class_data(data), about)
    assert isinstance(task, ClassificationTask)
    metrics = score(task, data, made, find_checkpoint(run.folder, checkpoint))
    assert task.test_confusion is not None
    rows = per_class(task.test_confusion, names)
    if folder is not None:
        write_csv(rows, folder / "classes.csv")
        save_figure(confusion_matrix(task.test_confusion, names), folder / "figures" / "confusion.png")
    return Evaluation(metrics, data.describe(), task.test_confusion, rows)


def _nothing_to_test(data: Data) -> str:
    if data.kind == "boundaries":
        return f"{data.name} is scored on nothing; name a split, as in data.scored=val"
    return f"{data.name} has no test split; evaluate tests on one, such as test/<class>/*"


def per_class(confusion_KK: Tensor, names: list[str]) -> list[ClassRow]:
    """Images, recall, precision of each class, and what it is predicted as most often. Rows of the matrix are true."""
    rows: list[ClassRow] = []
    for index, name in enumerate(names):
        hits, images = float(confusion_KK[index, index]), float(confusion_KK[index].sum())
        predicted = float(confusion_KK[:, index].sum())
        errors = confusion_KK[index].clone()
        errors[index] = 0
        worst = int(errors.argmax())
        rows.append(
            {
                "class": name,
                "images": int(images),
                "recall": hits / images if images else None,
                "precision": hits / predicted if predicted else None,
                "predicted as": f"{names[worst]} ({int(errors[worst])})" if errors[worst] else "",
            }
        )
    return rows
