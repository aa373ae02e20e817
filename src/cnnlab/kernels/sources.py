"""Where kernels come from: a run, a network of a configuration, a state_dict. K, C kernel, channel, h, w sides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from cnnlab._choices import UsageError, nearest
from cnnlab.kernels.subject import Subject, subject_of
from cnnlab.nn.contract import LabNetwork, hooks_of
from cnnlab.runs.run import Run

FIRST = "first layer"


@dataclass(frozen=True)
class Layer:
    """Kernels (K, C, h, w) float32 of one layer. `names` say what they started as, where that is known; `snapshots`
    are theirs during training; `subject` is the network they belong to, None for a bare file."""

    source: str
    name: str
    kernels_KChw: Tensor
    names: list[str] = field(default_factory=list)
    snapshots: dict[int, Tensor] = field(default_factory=dict)
    subject: Subject | None = None


def layer_of(config: DictConfig) -> Layer:
    """Raises ValueError unless exactly one of run, model and file is given, and for a layer that isn't there."""
    given = [name for name in ("run", "file", "model") if config.get(name) is not None]
    if len(given) != 1:
        raise UsageError(f"give one of run=FOLDER, model=NAME, file=PATH; got {', '.join(given) or 'none'}")
    if given == ["file"]:
        return _of_file(config)
    subject = subject_of(config)
    if config.layer is None:
        return _first_layer(config, subject)
    kernels = convolutions(subject.network)
    name = chosen(str(config.layer), kernels)
    return Layer(subject.name, name, kernels[name], subject=subject)


def _first_layer(config: DictConfig, subject: Subject) -> Layer:
    network = subject.network
    recorded = hooks_of(network).first_layer_kernels()
    if recorded is None or not isinstance(network, LabNetwork):
        name, kernels = next(iter(convolutions(network).items()))
        return Layer(subject.name, name, kernels, subject=subject)
    name, kernels_KChw = str(network.first_layer), recorded.float()
    if config.run is None:
        return Layer(subject.name, name, kernels_KChw, subject=subject)
    names = list(network.kernel_names)
    snapshots = _snapshots(Run.open(config.run))
    mine = {epoch: kept for epoch, kept in snapshots.items() if kept.shape == kernels_KChw.shape}
    return Layer(subject.name, name, kernels_KChw, names, mine, subject)


def _snapshots(run: Run) -> dict[int, Tensor]:
    """Of the training; {}, and a line that says why, where they can't be read: the kernels are there without them."""
    try:
        return run.kernels()
    except UsageError as error:
        print(f"no change during training is shown: {error}")
        return {}


def convolutions(network: nn.Module) -> dict[str, Tensor]:
    """Module name -> weight (K, C, h, w), of all convolutions with a weight of four axes."""
    found = {}
    for name, module in network.named_modules():
        weight = module._parameters.get("weight", module._buffers.get("weight"))
        if isinstance(weight, Tensor) and weight.ndim == 4:
            found[name] = weight.detach().float().cpu()
    return found


def _of_file(config: DictConfig) -> Layer:
    path = Path(str(config.file)).expanduser()
    if not path.is_file():
        raise UsageError(f"file: there is no {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(f"file: {path} is no readable state_dict: {reason}") from error
    kernels = _tensors(content)
    if not kernels:
        raise UsageError(f"file: {path} holds no kernels: no entry is a tensor of four axes (K, C, h, w)")
    if config.layer is None:
        raise UsageError(f"layer: whose kernels? {path} has {_listed(kernels)}")
    name = chosen(str(config.layer), kernels)
    return Layer(str(path), name, kernels[name])


def _tensors(content: Any, prefix: str = "") -> dict[str, Tensor]:
    """Every finite tensor of four axes in nested mappings, by dotted name. A wrapping "state_dict" is not named."""
    found: dict[str, Tensor] = {}
    if isinstance(content, Mapping):
        for key, value in content.items():
            name = prefix if not prefix and key in ("state_dict", "model") else f"{prefix}{key}"
            if isinstance(value, Tensor) and value.ndim == 4 and value.is_floating_point():
                found[name] = value.detach().float()
            elif isinstance(value, Mapping):
                found |= _tensors(value, f"{name}." if name else "")
    return found


def chosen(name: str, kernels: Mapping[str, Tensor]) -> str:
    """The entry called so, or called so with `.weight` behind it."""
    for known in (name, f"{name}.weight"):
        if known in kernels:
            return known
    raise UsageError(
        f"layer: there are no kernels called {name!r}{nearest(name, kernels)}; there are: {_listed(kernels)}"
    )


def _listed(kernels: Mapping[str, Tensor]) -> str:
    names = [f"{name} {'x'.join(map(str, value.shape))}" for name, value in kernels.items()]
    more = f" and {len(names) - 30} more" if len(names) > 30 else ""
    return ", ".join(names[:30]) + more
