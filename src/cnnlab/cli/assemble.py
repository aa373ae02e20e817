"""From a checked configuration to the objects that do the work. What can't work is refused before the first step."""

import inspect
import typing
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from torch import nn

from cnnlab._choices import UsageError
from cnnlab._trust import made_by
from cnnlab.cli.configs import trusted
from cnnlab.cli.targets import read as read_class
from cnnlab.cli.values import fits
from cnnlab.data.contract import Data, Facts
from cnnlab.data.images.sources import source_of
from cnnlab.filters import FilterBank, bank
from cnnlab.filters.expression import needs_patches, patch_size
from cnnlab.runs.matching import check_kind
from cnnlab.training.recipe import Recipe, try_out
from cnnlab.training.tasks.network import MakeOptimizer, MakeSchedule

PATCHES = 20_000  # windows of training images behind a bank that is learned from them
PATCH_SIZE = 3  # side of such a window, pixels, where the bank names no size
KINDS: dict[str, type] = {
    "data": LightningDataModule,
    "model": nn.Module,
    "optimizer": torch.optim.Optimizer,
    "schedule": object,
    "task": LightningModule,
    "trainer": Trainer,
    "logger": Logger,
}


def build(group: str, config: DictConfig, **objects: object) -> Any:
    """The object that `config` describes, `objects` joining its arguments; with `_partial_`, the way to make it.

    Raises UsageError for a class that is not allowed or of another kind, and for arguments that it doesn't take.
    """
    located, values = read(group, config)
    if config.get("_partial_"):
        return partial(located, **values)
    try:
        return located(**{**values, **objects})
    except (TypeError, ValueError, MisconfigurationException) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{group}: {located.__name__}: {error}") from error


def read(group: str, config: DictConfig) -> tuple[type, dict[str, Any]]:
    """The class that `config` names and its arguments, checked by name and type."""
    return read_class(group, config, KINDS[group])


def build_data(config: DictConfig, trust: Collection[str] = ()) -> Data:
    """The data, with the training images read."""
    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    factory = values.pop("factory", None)
    source = {} if factory is None else {"source": source_of(str(factory), trust)}
    data: Data = build("data", OmegaConf.create(values), **source)
    data.prepare_data()
    data.setup("fit")
    return data


def build_bank(expression: str | None, data: Facts, seed: int) -> FilterBank | None:
    """The bank of an expression. What it learns, it learns from windows of training images, every channel a patch."""
    if expression is None:
        return None
    if not needs_patches(expression):
        return bank(expression)
    return bank(expression, patches=data.patches(patch_size(expression) or PATCH_SIZE, PATCHES, seed))


class Assembled(typing.TypedDict):
    """What `train` is called with."""

    network: nn.Module
    data: Data
    recipe: Recipe
    factory: str
    arguments: dict[str, object] | None


def assemble(config: DictConfig, folder: Path) -> Assembled:
    """The objects of a training in `folder`."""
    trust = trusted(config)
    data = build_data(config.data, trust)
    if config.model.get("factory") is None:
        located, _ = read("model", config.model)
        check_kind("num_classes" in inspect.signature(located).parameters, data, located.__name__)
    network, factory, arguments = build_network(config.model, data, config.seed, trust)
    recipe = build_recipe(config, folder)
    return {"network": network, "data": data, "recipe": recipe, "factory": factory, "arguments": arguments}


class Built(typing.NamedTuple):
    """A network, and how a module of one's own is found again: "package:function" and its arguments."""

    network: nn.Module
    factory: str = ""
    arguments: dict[str, object] | None = None


def build_network(config: DictConfig, data: Facts, seed: int, trust: Collection[str] = ()) -> Built:
    """The network for the data's channels and classes. A factory of one's own is offered both, and takes those that it
    has parameters for."""
    torch.manual_seed(seed)
    if config.get("factory") is None:
        return Built(_ours(config, data, seed))
    offered = {"in_channels": data.in_channels, "num_classes": len(data.class_names)}
    made, arguments = made_by(str(config.factory), trust, offered, dict(config.get("arguments") or {}))
    if not isinstance(made, nn.Module):
        raise UsageError(f"model.factory={config.factory} makes {type(made).__name__}, no torch.nn.Module")
    return Built(made, str(config.factory), arguments)


def _ours(config: DictConfig, data: Facts, seed: int) -> nn.Module:
    located, values = read("model", config)
    parameters = inspect.signature(located).parameters
    sizes: dict[str, object] = {"in_channels": data.in_channels}
    if "num_classes" in parameters:
        sizes["num_classes"] = len(data.class_names)
    if "bank" in parameters:
        sizes["bank"] = _checked_bank(located, values.pop("bank", None), data, seed)
    if "image_size" in parameters:
        sizes["image_size"] = list(data.image_size)
    network = located(**values, **sizes)
    assert isinstance(network, nn.Module)
    return network


def _checked_bank(located: type, expression: str | None, data: Facts, seed: int) -> FilterBank | None:
    kernels = build_bank(expression, data, seed)
    if not fits(kernels, inspect.signature(located, eval_str=True).parameters["bank"].annotation):
        raise UsageError(f"model.bank=null: {located.__name__} needs a bank; for random kernels take model=random_init")
    if kernels is not None and "image_size" in inspect.signature(located).parameters:
        check_kernel_size(kernels, data.image_size)
    return kernels


def check_kernel_size(bank: FilterBank, image_size: tuple[int, int]) -> None:
    """Raises UsageError for kernels larger than the image: mirrored borders would take them, and mean nothing."""
    (height, width), (tall, wide) = bank.kernels.shape[-2:], image_size
    if height > tall or width > wide:
        raise UsageError(
            f"model.bank: kernels of {height}x{width} are larger than the images of {tall}x{wide}; take a smaller bank"
        )


def build_recipe(config: DictConfig, folder: Path) -> Recipe:
    """How the network is trained, as the groups optimizer, schedule, task, trainer and logger say."""
    located, values = read("task", config.task)
    return Recipe(
        optimizer=build("optimizer", config.optimizer),
        schedule=build("schedule", config.schedule),
        task=partial(located, **values),
        seed=config.seed,
        early_stopping=config.early_stopping,
        test=config.test,
        figures=config.figures,
        report=bool(config.get("report")),
        compile=config.compile,
        channels_last=config.channels_last,
        loggers=[_extra_logger(config.logger, folder)] if config.get("logger") else (),
        **trainer_values(config.trainer),
    )


def build_optimizer(config: DictConfig, network: nn.Module) -> tuple[MakeOptimizer, MakeSchedule]:
    """How to make the optimizer and the schedule, tried once. UsageError for values that they refuse."""
    made = build("optimizer", config.optimizer), build("schedule", config.schedule)
    try_out(*made, network)
    return made


def trainer_values(config: DictConfig) -> dict[str, Any]:
    """`epochs` and `trainer` of a Recipe."""
    _, values = read("trainer", config)
    return {"epochs": values.pop("max_epochs", None), "trainer": values}


def _extra_logger(config: DictConfig, folder: Path) -> Logger:
    """Opened at once. Raises UsageError for a package that isn't installed and for what the tracker refuses."""
    located, values = read("logger", config)
    if "save_dir" in inspect.signature(located).parameters:
        values = {"save_dir": str(folder), **values}
    try:
        logger = located(**values)
        logger.experiment  # noqa: B018  (opens the database, the event file, the connection)
    except Exception as error:  # each tracker has errors of its own
        # The extras of cnnlab have the names of the configurations.
        extra = located.__name__.removesuffix("Logger").lower()
        reason = str(error).splitlines()[0]
        raise UsageError(f"logger: {reason} (it needs: pip install 'cnnlab[{extra}]')") from error
    assert isinstance(logger, Logger)
    return logger
