"""Any classification network of torchvision, for the channels and classes of the data, stem set by a bank.

B batch, C input channel, K class (first_layer_kernels: output), N patch, H, W image, h, w kernel.
"""

import copy
from collections.abc import Callable
from typing import final

import torch
import torch.nn.functional as F
import torchvision.models
from torch import Tensor, nn

from cnnlab._arguments import remembers_arguments
from cnnlab._choices import UsageError, check_choice
from cnnlab.filters.bank import FilterBank
from cnnlab.nn.contract import LabNetwork, as_bank
from cnnlab.nn.initialisation.writing import InitialisationReport, initialise

# Both would return a tuple in training, and warn about, or draw slowly, their own initialisation.
EXTRA_ARGUMENTS: dict[str, dict[str, bool]] = {
    "googlenet": {"aux_logits": False, "init_weights": False},
    "inception_v3": {"aux_logits": False, "init_weights": False},
}
# Containers that hold the stages of a network rather than being one.
CONTAINERS = ("features", "layers", "trunk_output", "blocks")
PROBE_SIZE = 224  # every network takes it
# What torch says of an image that a network cannot take (alexnet, vgg, convnext, inception, maxvit, vit).
SIZE_COMPLAINTS = ("too small", "Kernel size can't be greater", "is invalid for input of size", "Wrong image")


@remembers_arguments
@final
class TorchvisionNet(LabNetwork):
    """(B, C, H, W) -> logits (B, K).

    name: one of `network_names()`. bank: None leaves the stem random, the control.
    channels, fill, fit, gain, surplus, patches_NChw: see `initialise`; the report is `stem_report`.
    weights: None, or the name of published weights ("DEFAULT", "IMAGENET1K_V1"), downloaded by torchvision;
        what does not fit the channels or classes stays random. A bank is written after they are loaded.
    resize: images are resized to this side first (bilinear, antialiased); None takes them as they are.
    """

    def __init__(
        self, name: str = "resnet18", *, in_channels: int, num_classes: int, bank: FilterBank | str | None = None,
        channels: str = "luminance", fill: str = "random", fit: str = "embed", gain: str = "layer",
        surplus: str = "error", weights: str | None = None, resize: int | None = None,
        patches_NChw: Tensor | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        check_choice("network", name, network_names())
        if min(in_channels, num_classes, 1 if resize is None else resize) < 1:
            raise UsageError(
                f"in_channels, num_classes, resize must be positive; got {(in_channels, num_classes, resize)}"
            )
        self.name, self.in_channels, self.resize = name, in_channels, resize
        extra = EXTRA_ARGUMENTS.get(name, {})
        self.network = torchvision.models.get_model(name, weights=None, num_classes=num_classes, **extra)
        if weights is not None:
            load_published(self.network, name, weights)
        self.stem_name = find_stem(self.network)
        if in_channels != 3:
            _replace(self.network, self.stem_name, _with_channels(self.stem, in_channels))
        self.stem_report: InitialisationReport | None = None
        self.first_layer = f"network.{self.stem_name}"
        self.bank = None if bank is None else as_bank(bank)
        if self.bank is not None:
            self.kernel_names = self.bank.names
            self.stem_report = initialise(
                self.stem, self.bank, channels=channels, fill=fill, fit=fit, gain=gain, surplus=surplus,
                patches_NChw=patches_NChw,
            )  # fmt: skip

    @property
    def stem(self) -> nn.Conv2d:
        """The first convolution that an image meets."""
        return self.network.get_submodule(self.stem_name)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Raises ValueError for another number of channels or a size that the network cannot take."""
        if image_BCHW.ndim != 4 or image_BCHW.shape[1] != self.in_channels:
            raise UsageError(f"expected images (B, {self.in_channels}, H, W), got {tuple(image_BCHW.shape)}")
        if self.resize is not None and image_BCHW.shape[-2:] != (self.resize, self.resize):
            side = (self.resize, self.resize)
            image_BCHW = F.interpolate(image_BCHW, side, mode="bilinear", antialias=True, align_corners=False)
        try:
            return self.network(image_BCHW)
        except (RuntimeError, AssertionError) as error:
            if not any(complaint in str(error) for complaint in SIZE_COMPLAINTS):
                raise
            H, W = image_BCHW.shape[-2:]
            raise UsageError(
                f"{self.name} cannot take images of {H}x{W}; set resize (every network takes {PROBE_SIZE}). "
                f"torch says: {error}"
            ) from error

    def stages(self, image_BCHW: Tensor) -> dict[str, Tensor]:
        """The outputs of the network's own top-level modules in the order of their calls, last `logits`.

        A container of stages counts as its members (`features.0`), a repeated call gets a number (`relu_2`).
        """
        named: dict[str, Tensor] = {}
        hooks = [module.register_forward_hook(_recorder(name, named)) for name, module in _stage_modules(self.network)]
        try:
            logits_BK = self.forward(image_BCHW)
        finally:
            for hook in hooks:
                hook.remove()
        if named and list(named.values())[-1].shape == logits_BK.shape:
            named.popitem()
        return named | {"logits": logits_BK}

    def first_layer_kernels(self) -> Tensor:
        """(K, C, h, w): a detached copy of the stem's weight."""
        return self.stem.weight.detach().clone()


def network_names() -> list[str]:
    """The classification networks of the installed torchvision."""
    return torchvision.models.list_models(module=torchvision.models)


class _StemFound(Exception):  # noqa: N818 (no error)
    """Ends the probe at the first convolution."""


def find_stem(network: nn.Module) -> str:
    """The name of the first nn.Conv2d that a forward pass calls; the pass ends there."""
    names: dict[nn.Module, str] = {
        module: name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)
    }

    def found(module: nn.Module, _: object) -> None:
        raise _StemFound(names[module])

    hooks = [module.register_forward_pre_hook(found) for module in names]
    try:
        weight = next(network.parameters())
        network(torch.zeros(1, 3, PROBE_SIZE, PROBE_SIZE, device=weight.device, dtype=weight.dtype))
    except _StemFound as stem:
        return str(stem)
    finally:
        for hook in hooks:
            hook.remove()
    raise UsageError(f"{type(network).__name__} calls no nn.Conv2d, so it has no stem to initialise")


def load_published(network: nn.Module, name: str, weights: str) -> None:
    """Loads published weights; what has another shape here, such as the head, keeps its random start."""
    known = torchvision.models.get_model_weights(name)
    check_choice(f"weights of {name}", weights, ["DEFAULT", *known.__members__])
    published = known[weights].get_state_dict(progress=False, check_hash=True)
    own = network.state_dict()
    fitting = {k: v for k, v in published.items() if k in own and v.shape == own[k].shape}
    network.load_state_dict(fitting, strict=False)


def _with_channels(conv: nn.Conv2d, in_channels: int) -> nn.Conv2d:
    """A convolution like `conv` for other inputs: normal, filters of the same root mean square norm."""
    new = copy.deepcopy(conv)
    new.in_channels = in_channels
    new.weight = nn.Parameter(conv.weight.new_empty(conv.out_channels, in_channels // conv.groups, *conv.kernel_size))
    norm = conv.weight.detach().square().sum(dim=(1, 2, 3)).mean().sqrt()
    nn.init.normal_(new.weight, std=float(norm) / new.weight[0].numel() ** 0.5)
    if new.bias is not None:
        nn.init.zeros_(new.bias)
    return new


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)


def _stage_modules(network: nn.Module) -> list[tuple[str, nn.Module]]:
    stages: list[tuple[str, nn.Module]] = []
    for name, module in network.named_children():
        if name in CONTAINERS:
            stages += [(f"{name}.{member}", m) for member, m in module.named_children()]
        else:
            stages.append((name, module))
    return stages


def _recorder(name: str, named: dict[str, Tensor]) -> Callable[[nn.Module, object, Tensor], None]:
    def record(module: nn.Module, _: object, output: Tensor) -> None:
        calls = sum(key == name or key.startswith(f"{name}_") for key in named)
        # A copy: the next module may work in place.
        named[name if calls == 0 else f"{name}_{calls + 1}"] = output.clone()

    return record
