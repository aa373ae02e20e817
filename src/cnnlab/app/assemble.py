"""From a checked configuration to the objects that do the work."""

import inspect
from pathlib import Path
from typing import Any

import hydra.utils
import torch
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, RichProgressBar
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from torch import nn

from cnnlab.app.check import check_arguments, check_class, check_targets
from cnnlab.filters import FilterBank, bank
from cnnlab.filters.expression import needs_patches
from cnnlab.nn.rebuild import describe
from cnnlab.training.callbacks import KernelSnapshots, RunCheckpoints
from cnnlab.training.metrics_csv import EpochLines, MetricsCsv
from cnnlab.training.task import ClassificationTask

PATCHES = 20_000  # windows of training images behind a bank that is learned from them
PATCH_SIZE = 3  # side of such a window, pixels, where the bank names no size


def build(config: DictConfig, **objects: Any) -> Any:
    """The object that `config` describes, `objects` joining its arguments; with `_partial_`, the way to make it.

    Raises ValueError for a class that is not allowed and for arguments that it doesn't take.
    """
    check_targets(config)
    located = hydra.utils.get_class(config._target_)
    check_class(config._target_, located)
    given = [str(key) for key in config if not str(key).startswith("_")]
    check_arguments(located, given)
    make = hydra.utils.instantiate(config, _partial_=True, _convert_="all")
    if config.get("_partial_"):
        return make
    try:
        return make(**objects)
    except (TypeError, MisconfigurationException) as error:
        raise ValueError(f"{located.__name__}: {error}") from error
    except ModuleNotFoundError as error:
        raise ValueError(f"{located.__name__} needs a package that is not installed: {error}") from error


def build_data(config: DictConfig) -> LightningDataModule:
    """The data module, with the training images read."""
    data = build(config)
    data.prepare_data()
    data.setup("fit")
    return data


def build_bank(expression: str | None, data: Any, seed: int) -> FilterBank | None:
    """The bank of an expression. What it learns, it learns from windows of training images, every channel a patch."""
    if expression is None:
        return None
    if not needs_patches(expression):
        return bank(expression)
    sizes = {int(call.parameters.get("size", PATCH_SIZE)) for call in calls(parse(expression)) if call.is_learned}
    return bank(expression, patches=data.patches(max(sizes), PATCHES, seed))


def build_network(config: DictConfig, data: Any, seed: int) -> tuple[nn.Module, dict[str, Any]]:
    """The network for the data's channels and classes, and what a checkpoint must say of it to build it again."""
    torch.manual_seed(seed)
    kernels = build_bank(config.get("bank"), data, seed)
    sizes: dict[str, Any] = {"in_channels": data.in_channels, "num_classes": data.num_classes}
    check_targets(config)
    if "image_size" in inspect.signature(hydra.utils.get_class(config._target_)).parameters:
        sizes["image_size"] = list(data.image_size)
    values = OmegaConf.masked_copy(config, [key for key in config if key != "bank"])
    network = build(values, bank=kernels, **sizes)
    arguments = OmegaConf.to_container(values, resolve=True)
    assert isinstance(arguments, dict)
    target = arguments.pop("_target_")
    about = describe(target, {**arguments, **sizes}, kernels)
    about |= {
        "class_names": list(data.class_names),
        "mean": list(data.mean),
        "std": list(data.std),
        "image_size": list(data.image_size),
    }
    return network, about


def build_task(config: DictConfig, network: nn.Module, about: dict[str, Any]) -> ClassificationTask:
    optimizer, schedule = build(config.optimizer), build(config.schedule)
    return build(
        config.task,
        network=network,
        class_names=about["class_names"],
        optimizer=optimizer,
        schedule=schedule,
        seed=config.seed,
        about=about,
    )


def build_trainer(config: DictConfig, folder: Path, validated: bool, resumed_step: int | None) -> Trainer:
    """A Trainer that leaves its checkpoints, snapshots and metrics in `folder`."""
    screen = Console().is_terminal
    loggers: list[Logger] = [MetricsCsv(folder / "metrics.csv", resumed_step)]
    callbacks: list[Callback] = [KernelSnapshots(folder / "kernels")]
    if screen:
        callbacks.append(RichProgressBar(refresh_rate=10, leave=False))
    else:
        loggers.append(EpochLines(config.trainer.max_epochs))
    if config.logger:
        loggers.append(_extra_logger(config.logger, folder))
    if config.early_stopping is not None and validated:
        callbacks.append(EarlyStopping("val/accuracy", mode="max", patience=config.early_stopping))
    callbacks.append(RunCheckpoints(folder / "checkpoints", "val/accuracy" if validated else None))
    return build(
        config.trainer,
        callbacks=callbacks,
        logger=loggers,
        default_root_dir=str(folder),
        enable_progress_bar=screen,
    )


def _extra_logger(config: DictConfig, folder: Path) -> Logger:
    wants_folder = "save_dir" in inspect.signature(hydra.utils.get_class(config._target_)).parameters
    return build(config, **({"save_dir": str(folder)} if wants_folder and "save_dir" not in config else {}))
