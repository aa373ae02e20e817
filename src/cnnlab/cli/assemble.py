"""From a checked configuration to the objects that do the work. What can't work is refused before the first step."""

import inspect
import os
import shutil
import typing
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, RichProgressBar
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig
from rich.console import Console
from torch import nn

from cnnlab._choices import UsageError
from cnnlab.cli.classes import read as read_class
from cnnlab.cli.values import fits
from cnnlab.data.images.module import ImageData
from cnnlab.filters import FilterBank, bank
from cnnlab.filters.expression import needs_patches, patch_size
from cnnlab.nn.rebuilding import describe
from cnnlab.runs.metrics import EpochLines, MetricsCsv
from cnnlab.training.callbacks import KernelSnapshots, RunCheckpoints
from cnnlab.training.checkpoint_io import WholeFiles
from cnnlab.training.tasks.network import NetworkTask

PATCHES = 20_000  # windows of training images behind a bank that is learned from them
PATCH_SIZE = 3  # side of such a window, pixels, where the bank names no size
KINDS = {
    "data": LightningDataModule,
    "model": nn.Module,
    "optimizer": torch.optim.Optimizer,
    "schedule": object,
    "task": LightningModule,
    "trainer": Trainer,
    "logger": Logger,
}
AT_LEAST_ONE = ("log_every_n_steps", "accumulate_grad_batches", "check_val_every_n_epoch")


def build(group: str, config: DictConfig, **objects: Any) -> Any:
    """The object that `config` describes, `objects` joining its arguments; with `_partial_`, the way to make it.

    Raises ValueError for a class that is not allowed or of another kind, and for arguments that it doesn't take.
    """
    located, values = read(group, config)
    if config.get("_partial_"):
        return partial(located, **values)
    try:
        return located(**{**values, **objects})
    except (TypeError, MisconfigurationException) as error:
        raise UsageError(f"{group}: {located.__name__}: {error}") from error


def read(group: str, config: DictConfig) -> tuple[type, dict[str, Any]]:
    """The class that `config` names and its arguments, checked by name and type."""
    return read_class(group, config, KINDS[group])


def build_data(config: DictConfig) -> LightningDataModule:
    """The data module, with the training images read."""
    data = build("data", config)
    data.prepare_data()
    data.setup("fit")
    return data


def build_bank(expression: str | None, data: Any, seed: int) -> FilterBank | None:
    """The bank of an expression. What it learns, it learns from windows of training images, every channel a patch."""
    if expression is None:
        return None
    if not needs_patches(expression):
        return bank(expression)
    return bank(expression, patches=data.patches(patch_size(expression) or PATCH_SIZE, PATCHES, seed))


def build_network(config: DictConfig, data: Any, seed: int) -> tuple[nn.Module, dict[str, Any]]:
    """The network for the data's channels and classes, and what a checkpoint must say of it to build it again.

    A network that takes no `num_classes` draws boundaries, and so do data without classes.
    """
    torch.manual_seed(seed)
    located, values = read("model", config)
    kernels = build_bank(values.pop("bank", None), data, seed)
    if not fits(kernels, typing.get_type_hints(located.__init__).get("bank")):
        raise UsageError(f"model.bank=null: {located.__name__} needs a bank; for random kernels take model=random_init")
    classifies = "num_classes" in inspect.signature(located).parameters
    check_answers(classifies, data, located.__name__)
    sizes: dict[str, Any] = {"in_channels": data.in_channels}
    if classifies:
        sizes["num_classes"] = data.num_classes
    if "image_size" in inspect.signature(located).parameters:
        sizes["image_size"] = list(data.image_size)
        check_kernel_size(kernels, data.image_size)
    network = located(bank=kernels, **values, **sizes)
    try_forward(network, data)
    about = describe(config._target_, {**values, **sizes}, kernels)
    about |= {"mean": list(data.mean), "std": list(data.std), "image_size": list(data.image_size)}
    if classifies:
        about["class_names"] = list(data.class_names)
    return network, about


def check_answers(classifies: bool, data: Any, network: str) -> None:
    """Raises ValueError for a classifier and photographs with boundaries, or the other way round."""
    if classifies and not hasattr(data, "num_classes"):
        raise UsageError(f"model: {network} tells classes apart, and {data.name} has boundaries; take model=edge_net")
    if not classifies and isinstance(data, ImageData):
        raise UsageError(f"model: {network} draws boundaries, and {data.name} has classes; take data=bsds500")


def check_kernel_size(bank: FilterBank, image_size: tuple[int, int]) -> None:
    """Raises ValueError for kernels larger than the image: mirrored borders would take them, and mean nothing."""
    (height, width), (tall, wide) = bank.kernels.shape[-2:], image_size
    if height > tall or width > wide:
        raise UsageError(
            f"model.bank: kernels of {height}x{width} are larger than the images of {tall}x{wide}; take a smaller bank"
        )


@torch.no_grad()
def try_forward(network: nn.Module, data: Any) -> None:
    """Raises ValueError if the network can't take images of the data's size."""
    height, width = data.image_size
    network.eval()
    try:
        network(torch.zeros(2, data.in_channels, height, width))
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"model: images of {height}x{width}: {error}") from error
    finally:
        network.train()


def build_task(config: DictConfig, network: nn.Module, about: dict[str, Any]) -> NetworkTask:
    """Raises ValueError for a task that the network is not made for, and for values that the optimizer or the
    schedule refuses."""
    located, _ = read("task", config.task)
    classifies = "class_names" in about
    if classifies != ("class_names" in inspect.signature(located).parameters):
        made_for = "classification_task" if classifies else "boundary_task"
        raise UsageError(f"task: {type(network).__name__} is trained by task={made_for}")
    optimizer, schedule = build_optimizer(config, network)
    return build(
        "task",
        config.task,
        network=network,
        optimizer=optimizer,
        schedule=schedule,
        seed=config.seed,
        about=about,
        **({"class_names": about["class_names"]} if classifies else {}),
    )


def build_optimizer(config: DictConfig, network: nn.Module) -> tuple[Any, Any]:
    """How to make the optimizer and the schedule, tried once. ValueError for values that they refuse."""
    optimizer, schedule = build("optimizer", config.optimizer), build("schedule", config.schedule)
    try:
        tried = optimizer(list(network.parameters()))
    except (ValueError, TypeError) as error:
        raise UsageError(f"optimizer: {error}") from error
    try:
        schedule(tried, 100)
    except (ValueError, TypeError, ArithmeticError) as error:
        raise UsageError(f"schedule: {error}") from error
    return optimizer, schedule


def build_trainer(config: DictConfig, folder: Path, validated: bool, resumed_step: int | None) -> Trainer:
    """A Trainer that leaves its checkpoints, snapshots and metrics in `folder`."""
    check_trainer(config.trainer, config.compile)
    screen = Console().is_terminal
    loggers: list[Logger] = [MetricsCsv(folder / "metrics.csv", resumed_step)]
    callbacks: list[Callback] = [KernelSnapshots(folder / "kernels")]
    if screen:
        callbacks.append(RichProgressBar(refresh_rate=10, leave=False))
    else:
        loggers.append(EpochLines(config.trainer.max_epochs))
    if config.get("logger"):
        loggers.append(_extra_logger(config.logger, folder))
    if config.early_stopping is not None and validated:
        callbacks.append(EarlyStopping("val/accuracy", mode="max", patience=config.early_stopping))
    if not config.trainer.get("fast_dev_run"):
        callbacks.append(RunCheckpoints(folder / "checkpoints", "val/accuracy" if validated else None))
    return build(
        "trainer",
        config.trainer,
        callbacks=callbacks,
        logger=loggers,
        plugins=[WholeFiles()],
        default_root_dir=str(folder),
        enable_progress_bar=screen,
    )


def check_trainer(config: DictConfig, compiled: bool = False) -> None:
    """Raises ValueError for what Lightning would stumble over, or would say in words of its own."""
    for name in AT_LEAST_ONE:
        if isinstance(config.get(name), int) and config[name] < 1:
            raise UsageError(f"trainer.{name}={config[name]}: at least 1")
    epochs, steps = config.get("max_epochs"), config.get("max_steps", -1)
    if epochs == 0 or (epochs in (None, -1) and steps in (None, -1)):
        raise UsageError(
            f"trainer.max_epochs={epochs}: at least 1, or -1 together with trainer.max_steps: a schedule has an end"
        )
    gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    if config.get("accelerator") in ("gpu", "cuda", "mps") and not gpu:
        raise UsageError(f"trainer.accelerator={config.accelerator}: torch finds no GPU here; take trainer=auto or cpu")
    compilers = (os.environ.get("CXX", "g++"), "g++", "clang++")
    if compiled and not gpu and not any(map(shutil.which, compilers)):
        raise UsageError(f"compile=true needs a C++ compiler, and none of {', '.join(compilers)} is here")


def _extra_logger(config: DictConfig, folder: Path) -> Logger:
    """Opened at once. Raises ValueError for a package that isn't installed and for what the tracker refuses."""
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
    return logger
