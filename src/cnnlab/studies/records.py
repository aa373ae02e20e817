"""What a study trains, in plain types: classes by name with their arguments. They are checked and made here."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypedDict, TypeVar

import torch
from typing_extensions import NotRequired

from cnnlab._arguments import plain
from cnnlab._choices import UsageError, check_choice
from cnnlab._targets import current_target
from cnnlab.data.images.module import ImageData
from cnnlab.nn.small_cnn import SmallCNN
from cnnlab.training.muon import Muon
from cnnlab.training.recipe import SGD
from cnnlab.training.schedules import Constant, Cosine, OneCycle
from cnnlab.training.tasks.network import MakeOptimizer, MakeSchedule

Made = TypeVar("Made")
# What the arms, the runs and the data bring.
BROUGHT = {
    "network": ("bank", "in_channels", "num_classes", "image_size", "mode", "channels", "unfreeze_epoch"),
    "data": ("source", "seed", "train_size"),
}
TRAINER = ("accelerator", "devices", "precision", "deterministic", "benchmark")
SCHEDULES: dict[str, Callable[..., MakeSchedule]] = {
    f"{owner.__module__}.{owner.__name__}": owner for owner in (OneCycle, Cosine, Constant)
}
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    f"torch.optim.{name}": owner
    for name, owner in vars(torch.optim).items()
    if isinstance(owner, type) and issubclass(owner, torch.optim.Optimizer)
}
OPTIMIZERS[f"{Muon.__module__}.Muon"] = Muon


class Record(TypedDict):
    """A class and its arguments; `factory` names data of one's own, as in `Data.recipe()`."""

    target: str
    arguments: dict[str, object]
    factory: NotRequired[str]


class Recipe(TypedDict):
    """How all networks are trained. `trainer`: arguments of lightning.pytorch.Trainer, those in TRAINER."""

    optimizer: Record
    schedule: Record
    label_smoothing: float
    trainer: dict[str, object]


def network_record(given: Mapping[str, object]) -> Record:
    """`given`: a record of SmallCNN, or its arguments alone. Filled up with its defaults."""
    target = _target_of(SmallCNN)
    record = _record(given if "target" in given else {"target": target, "arguments": given})
    if record["target"] != target:
        raise UsageError(f"model: an arm is the first layer of small_cnn, and {record['target']} has no such layer")
    # Positive and negative parts without magnitudes, so that no arm has features that another one lacks.
    return {"target": target, "arguments": _filled("network", SmallCNN, {"rectify": "parts", **record["arguments"]})}


def data_record(given: Mapping[str, object]) -> Record:
    """`given`: a record of ImageData, as its `recipe()` gives it. Filled up with its defaults."""
    record = _record(given)
    if record["target"] != _target_of(ImageData):
        raise UsageError(f"data: a study compares classifiers, and {record['target']} has no classes; take data=digits")
    return {**record, "arguments": _filled("data", ImageData, record["arguments"])}


def full_recipe(given: Mapping[str, object]) -> Recipe:
    """Filled up with the optimizer and the schedule of every training of classifiers."""
    usual: Recipe = {
        "optimizer": {"target": "torch.optim.SGD", "arguments": SGD.keywords},
        "schedule": {"target": _target_of(OneCycle), "arguments": {}},
        "label_smoothing": 0.0,
        "trainer": {},
    }
    for name in given:
        check_choice("part of recipe", name, usual)
    smoothing, trainer = given.get("label_smoothing", 0.0), given.get("trainer", {})
    if not isinstance(smoothing, int | float) or not isinstance(trainer, Mapping):
        raise UsageError(f"recipe: label_smoothing is a number and trainer a mapping; got {smoothing!r}, {trainer!r}")
    for name in trainer:
        check_choice("argument of the trainer of a study", name, TRAINER)
    return {
        "optimizer": _record(given.get("optimizer", usual["optimizer"])),
        "schedule": _record(given.get("schedule", usual["schedule"])),
        "label_smoothing": float(smoothing),
        "trainer": {name: value for name, value in trainer.items() if value is not None},
    }


def records_of(groups: Mapping[str, object]) -> dict[str, object]:
    """`network`, `data` and `recipe` from the groups of a configuration, as a plan.json of version 0.1.0 has them too.

    What a configuration says and a study brings itself is left out.
    """
    model, data, task, trainer = (_of_group(groups, name) for name in ("model", "data", "task", "trainer"))
    for record, brought in ((model, BROUGHT["network"]), (data, BROUGHT["data"])):
        record["arguments"] = {name: value for name, value in record["arguments"].items() if name not in brought}
    return {
        "network": model,
        "data": data,
        "recipe": {
            "optimizer": _of_group(groups, "optimizer"),
            "schedule": _of_group(groups, "schedule"),
            "label_smoothing": task["arguments"].get("label_smoothing", 0.0),
            "trainer": {name: trainer["arguments"].get(name) for name in TRAINER},
        },
    }


def _of_group(groups: Mapping[str, object], name: str) -> Record:
    group = groups.get(name)
    if not isinstance(group, Mapping) or "_target_" not in group:
        raise UsageError(f"there is no {name}: it names no class")
    arguments = {key: value for key, value in group.items() if not key.startswith("_") and key != "factory"}
    return _record({"target": group["_target_"], "arguments": arguments, "factory": group.get("factory")})


def make_optimizer(recipe: Recipe) -> MakeOptimizer:
    record = recipe["optimizer"]
    check_choice("optimizer", record["target"], OPTIMIZERS)
    return partial(OPTIMIZERS[record["target"]], **record["arguments"])


def make_schedule(recipe: Recipe) -> MakeSchedule:
    check_choice("schedule", recipe["schedule"]["target"], SCHEDULES)
    return made(SCHEDULES[recipe["schedule"]["target"]], recipe["schedule"])


def learning_rate(recipe: Recipe) -> float:
    """Of the optimizer."""
    rate = recipe["optimizer"]["arguments"].get("lr")
    if not isinstance(rate, int | float) or isinstance(rate, bool):
        raise UsageError(f"optimizer: lr, the learning rate, must be given as a number; got {rate!r}")
    return rate


def made(make: Callable[..., Made], record: Record, **objects: object) -> Made:
    """The object of a record. UsageError for arguments that it does not take."""
    try:
        return make(**{**record["arguments"], **objects})
    except TypeError as error:
        raise UsageError(f"{record['target']}: {error}") from error


def _record(given: object) -> Record:
    """In today's names and in plain types."""
    if not isinstance(given, Mapping) or not isinstance(given.get("arguments"), Mapping) or "target" not in given:
        raise UsageError(f"a record has a target, the name of a class, and its arguments; got {given!r}")
    arguments = {str(name): plain(value) for name, value in given["arguments"].items()}
    record: Record = {"target": current_target(str(given["target"])), "arguments": arguments}
    return {**record, "factory": str(given["factory"])} if given.get("factory") else record


def _target_of(owner: type) -> str:
    return f"{owner.__module__}.{owner.__qualname__}"


def _filled(part: str, owner: type, arguments: Mapping[str, object]) -> dict[str, object]:
    parameters = {
        name: parameter.default
        for name, parameter in inspect.signature(owner).parameters.items()
        if name not in BROUGHT[part]
    }
    for name in arguments:
        check_choice(f"argument of {owner.__name__} in a study", name, parameters)
    filled = {**parameters, **arguments}
    lacking = [name for name, value in filled.items() if value is inspect.Parameter.empty]
    if lacking:
        raise UsageError(f"{part}: {owner.__name__} lacks {', '.join(lacking)}")
    return {name: plain(value) for name, value in filled.items()}
