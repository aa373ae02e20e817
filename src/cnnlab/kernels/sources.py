"""Where kernels come from: a layer of a network, an entry of a state_dict. K, C kernel, channel, h, w sides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn

from cnnlab._choices import UsageError, nearest
from cnnlab._torch_files import read_torch_file, tensors_in
from cnnlab.kernels.subject import Subject
from cnnlab.nn.contract import LabNetwork, hooks_of
from cnnlab.runs.run import Run


@dataclass(frozen=True)
class Layer:
    """Kernels (K, C, h, w) float32 of one layer. `names` say what they started as, where that is known; `snapshots`
    are theirs during training; `subject` is the network they belong to, None for a bare file."""

    source: str
    name: str
    kernels_KChw: Tensor
    names: Sequence[str] = ()
    snapshots: dict[int, Tensor] = field(default_factory=dict)
    subject: Subject | None = None


def layer_of(subject: Subject, name: str | None = None) -> Layer:
    """The convolution called so, or the first layer. UsageError for a layer that isn't there."""
    network = subject.network
    if name is not None:
        kernels = convolutions(network)
        name = chosen(name, kernels)
        return Layer(subject.name, name, kernels[name], subject=subject)
    name, kernels_KChw = _first_layer(subject)
    names = network.kernel_names if isinstance(network, LabNetwork) else ()
    kept = {} if subject.run is None else _snapshots(subject.run)
    snapshots = {epoch: kernels for epoch, kernels in kept.items() if kernels.shape == kernels_KChw.shape}
    return Layer(subject.name, name, kernels_KChw, names, snapshots, subject)


def _first_layer(subject: Subject) -> tuple[str, Tensor]:
    """The one that is recorded during training; of other networks the first that there is."""
    recorded = hooks_of(subject.network).first_layer_kernels()
    if isinstance(subject.network, LabNetwork) and recorded is not None:
        return str(subject.network.first_layer), recorded.float()
    kernels = convolutions(subject.network)
    if not kernels:
        raise UsageError(f"layer: {subject.name} has no convolution")
    return next(iter(kernels.items()))


def layer_of_file(path: Path, name: str | None = None) -> Layer:
    """An entry of a state_dict that `torch.save` wrote. UsageError for a file or an entry that can't be."""
    path = path.expanduser()
    kernels = {
        ".".join(keys[1:] if keys[0] in ("state_dict", "model") and len(keys) > 1 else keys): tensor
        for keys, tensor in tensors_in(read_torch_file(path))
        if keys and tensor.ndim == 4 and tensor.is_floating_point() and not tensor.is_meta
    }
    if not kernels:
        raise UsageError(f"file: {path} holds no kernels: no entry is a tensor of four axes (K, C, h, w)")
    if name is None:
        raise UsageError(f"layer: whose kernels? {path} has {_listed(kernels)}")
    name = chosen(name, kernels)
    return Layer(str(path), name, kernels[name].detach().to_dense().float())


def _snapshots(run: Run) -> dict[int, Tensor]:
    """Of the training; {}, and a line that says why, where they can't be read: the kernels are there without them."""
    try:
        return run.kernels()
    except UsageError as error:
        print(f"no change during training is shown: {error}")
        return {}


def convolutions(network: nn.Module) -> dict[str, Tensor]:
    """Module name -> weight (K, C, h, w), of all convolutions with a weight of four axes."""
    kernels = {}
    for name, module in network.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim == 4:
            kernels[name] = weight.detach().float().cpu()
    return kernels


def chosen(name: str, kernels: Mapping[str, Tensor]) -> str:
    """The entry called so, or called so and then `.weight`."""
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
