"""R networks of one architecture as one batched computation. R replica, B batch, C channel, H, W image, K class."""

import copy
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.nn.contract import LabNetwork, hooks_of
from cnnlab.nn.front_end import FrontEnd
from cnnlab.training.replicas.stacked_front_end import StackedFrontEnd
from cnnlab.training.replicas.stacked_layers import STACKED, UNCHANGED, StackedBatchNorm, StackedDropout


class StackedNetwork(LabNetwork):
    """Each replica predicts as its network alone, with its own weights, statistics, penalty and dropout.

    The network's own forward runs once, on folded activations (B, R * C, H, W), with its layers replaced; parameters
    and buffers have its names below `body` and one more axis, the first. Front ends may be frozen in some replicas,
    trainable or unfrozen in others. The networks given are left as they are.

    Raises UsageError, naming what differs, for networks of several architectures, and for layers that cannot be
    stacked. A forward that mixes channels outside of its layers is found by `check`.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        if not networks:
            raise UsageError("no networks to stack: at least 1")
        self.replicas = len(networks)
        self.body = _stacked(list(networks), "network")
        self._trains: dict[str, list[bool]] = {}
        named = [dict(network.named_parameters()) for network in networks]
        for name, _ in self.body.named_parameters():
            self._trains[name] = [name in own and own[name].requires_grad for own in named]

    def forward(self, image_RBCHW: Tensor) -> Tensor:
        """(R, B, C, H, W) -> logits (R, B, K)."""
        if image_RBCHW.ndim != 5 or len(image_RBCHW) != self.replicas:
            raise UsageError(f"expected images ({self.replicas}, B, C, H, W), got {tuple(image_RBCHW.shape)}")
        logits_BN = self.body(image_RBCHW.transpose(0, 1).flatten(1, 2))
        return logits_BN.unflatten(1, (self.replicas, -1)).transpose(0, 1)

    def moves(self) -> dict[str, list[bool]]:
        """For every parameter, by its name in one network, which replicas train it in this epoch."""
        moves = dict(self._trains)
        for path, module in self.body.named_modules():
            if isinstance(module, StackedFrontEnd):
                name, moving = module.moves
                moves[f"{path}.{name}" if path else name] = moving
        return moves

    def at_epoch(self, epoch: int) -> None:
        """To be called as every training epoch starts."""
        hooks_of(self.body).at_epoch(epoch)

    def penalty(self) -> Tensor:
        """() the sum of the replicas' penalties."""
        penalty = hooks_of(self.body).penalty()
        return next(self.parameters()).new_zeros(()) if penalty is None else penalty

    def first_layer_kernels(self) -> Tensor | None:
        """(R, K, C, h, w) detached; None for networks that don't tell."""
        return hooks_of(self.body).first_layer_kernels()

    def seed_dropout(self, seeds: Sequence[int]) -> None:
        """From here on replica r draws as a separate run does after `torch.manual_seed(seeds[r])`."""
        device = next(self.parameters()).device
        generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        for module in self.body.modules():
            if isinstance(module, StackedDropout):
                module.draw_from(generators)

    def unstack(self) -> list[dict[str, Tensor]]:
        """The state of each network, copied to the CPU, as its own `load_state_dict` takes it."""
        state = {name: value.detach().cpu() for name, value in self.body.state_dict().items()}
        return [{name: value[r].clone() for name, value in state.items()} for r in range(self.replicas)]

    @torch.no_grad()
    def check(self, networks: Sequence[nn.Module], image_RBCHW: Tensor) -> None:
        """Raises UsageError unless each replica predicts as its network does, in evaluation."""
        modes = [network.training for network in (self, *networks)]
        for network in (self, *networks):
            network.eval()
        kind = type(networks[0]).__name__
        try:
            together_RBK = self(image_RBCHW)
        except (RuntimeError, ValueError) as error:
            raise UsageError(f"{kind} cannot be stacked: {error}") from error
        alone_RBK = torch.stack([net(image_BCHW) for net, image_BCHW in zip(networks, image_RBCHW, strict=True)])
        penalties = [one for network in networks if (one := hooks_of(network).penalty()) is not None]
        for network, mode in zip((self, *networks), modes, strict=True):
            network.train(mode)
        scale = float(alone_RBK.abs().max()) + 1e-6
        same = torch.allclose(together_RBK, alone_RBK, rtol=1e-3, atol=1e-3 * scale, equal_nan=True)
        if not same or not torch.isclose(self.penalty(), sum(penalties, self.penalty() * 0), rtol=1e-3):
            raise UsageError(
                f"{kind} cannot be stacked: its predictions change, so that its forward or its "
                "penalty does more than its layers do, channel by channel; train its replicas one after another"
            )


def _stacked(modules: list[nn.Module], path: str) -> nn.Module:
    """One module in the place of R of them. `path` is for messages."""
    first = modules[0]
    kinds = list(dict.fromkeys(type(module).__name__ for module in modules))
    if len(kinds) > 1:
        raise UsageError(f"networks differ: {path} is {' and '.join(kinds)}")
    if isinstance(first, FrontEnd):
        return StackedFrontEnd([module for module in modules if isinstance(module, FrontEnd)])
    if type(first) in STACKED or type(first) in UNCHANGED:
        settings = list(dict.fromkeys(repr(module) for module in modules))
        if len(settings) > 1:
            raise UsageError(f"networks differ: {path} is {' and '.join(settings)}")
        return STACKED[type(first)](modules) if type(first) in STACKED else copy.deepcopy(first)
    if [*first.parameters(recurse=False), *first.buffers(recurse=False)] or not first._modules:
        known = ", ".join(kind.__name__ for kind in (*STACKED, *UNCHANGED))
        raise UsageError(f"{path}: {kinds[0]} cannot be stacked; can be: {known}, and what is made of these")
    return _container(modules, path)


def _container(modules: list[nn.Module], path: str) -> nn.Module:
    """A shallow copy of the first, with stacked children."""
    names = [list(module._modules) for module in modules]
    if any(n != names[0] for n in names):
        raise UsageError(f"networks differ: {path} has the parts {' and '.join(dict.fromkeys(map(str, names)))}")
    made = copy.copy(modules[0])
    made._modules = {}
    for name in names[0]:
        made._modules[name] = _stacked([module.get_submodule(name) for module in modules], f"{path}.{name}")
    if isinstance(made, nn.Sequential):
        _join_rectifiers(made)
    return made


def _join_rectifiers(made: nn.Sequential) -> None:
    """A ReLU that follows a batch norm is done by the norm, in the same pass."""
    for name, following in pairwise(made._modules):
        norm = made._modules[name]
        if isinstance(norm, StackedBatchNorm) and type(made._modules[following]) is nn.ReLU:
            norm.rectifies = True
            made._modules[following] = nn.Identity()
