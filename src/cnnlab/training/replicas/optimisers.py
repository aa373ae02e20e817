"""One optimizer for R replicas, each with its own learning rate. R replica, T step, G parameter group."""

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from cnnlab._choices import UsageError
from cnnlab.training.replicas.stacked import StackedNetwork
from cnnlab.training.tasks.network import MakeSchedule, ParameterGroup

Options = list[ParameterGroup]  # of every parameter group, "params" left out
State = dict[str, Tensor]
# Parameter, gradient, state, options, learning rates and which replicas move (None: all), the last two (R, 1, ...).
Step = Callable[[Tensor, Tensor, State, ParameterGroup, Tensor, Tensor | None], None]


def option_table(
    make: Callable[..., Optimizer],
    schedule: MakeSchedule,
    shapes: Sequence[int],
    lr: float | None,
    steps: int,
) -> tuple[Optimizer, list[Options]]:
    """A real optimizer on stand-ins for parameters of these numbers of axes, and its options at each step.

    `lr` overrules the learning rate of `make`. The schedule runs on it for all `steps`, so that any schedule that is
    a function of the step alone does.
    """
    groups = parameter_groups([nn.Parameter(torch.zeros([1] * axes)) for axes in shapes])
    optimizer = make(groups) if lr is None else make(groups, lr=lr)
    with warnings.catch_warnings():  # that no step of this optimizer is taken
        warnings.simplefilter("ignore")
        scheduler = schedule(optimizer, steps)
        table = []
        for step in range(steps):
            table.append([{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups])
            if step + 1 < steps:
                scheduler.step()
    return optimizer, table


def parameter_groups(parameters: Sequence[nn.Parameter]) -> list[ParameterGroup]:
    """Weight decay is left out for parameters of one axis (norms and biases), as in a separate run."""
    groups: list[ParameterGroup] = [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


class ReplicaOptimizer(Optimizer):
    """Steps each replica as `make(groups, lr=lr_R[r])` under `schedule` would; what is frozen does not move.

    SGD and AdamW of torch step all replicas at once; any other optimizer steps one replica after another, on views
    of the stacked parameters, which gives the same result slower.
    """

    def __init__(
        self, network: StackedNetwork, make: Callable[..., Optimizer], schedule: MakeSchedule,
        lr_R: Sequence[float] | None, steps: int,
    ) -> None:  # fmt: skip
        self._network = network
        self._parameters = dict(network.body.named_parameters())
        super().__init__(list(self._parameters.values()), {"lr": 0.0})
        axes = [p.ndim - 1 for p in self._parameters.values()]
        rates: list[float | None] = [None] * network.replicas if lr_R is None else [float(lr) for lr in lr_R]
        tables = {lr: option_table(make, schedule, axes, lr, steps) for lr in dict.fromkeys(rates)}
        kind, self._options = tables[rates[0]]
        # Only the learning rates differ between replicas.
        groups = range(len(kind.param_groups))
        lr_TGR = [[[tables[lr][1][t][g]["lr"] for lr in rates] for g in groups] for t in range(steps)]
        first = next(iter(self._parameters.values()))
        self._lr_TGR = torch.tensor(lr_TGR, dtype=first.dtype, device=first.device)
        self._rates_TGR = lr_TGR
        self._taken = 0
        self._masks: dict[tuple[bool, ...], Tensor] = {}  # on the device, where each takes a wait to get to
        self._step_together = _batched(kind)
        # Each with its views of the stacked parameters.
        self._separate: list[tuple[Optimizer, list[nn.Parameter]]] = []
        if self._step_together is None:
            self._separate = [self._alone(make, rates[r], r) for r in range(network.replicas)]

    def _alone(self, make: Callable[..., Optimizer], lr: float | None, r: int) -> tuple[Optimizer, list[nn.Parameter]]:
        views = [nn.Parameter(p.detach()[r]) for p in self._parameters.values()]
        groups = parameter_groups(views)
        return make(groups) if lr is None else make(groups, lr=lr), views

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Raises UsageError after the last step that the schedule was made for."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self._taken >= len(self._options):
            raise UsageError(f"the schedule ends after {len(self._options)} steps")
        self.param_groups[0]["lr"] = self._rates_TGR[self._taken][0][0]  # what a logger sees: the first replica's
        if self._step_together is None:
            self._step_separately()
        else:
            self._step_all(self._step_together)
        self._taken += 1
        return loss

    def _step_all(self, step: Step) -> None:
        options, lr_GR = self._options[self._taken], self._lr_TGR[self._taken]
        moves = self._network.moves()
        plain = len(options) - 1  # the group of parameters of one axis is the last
        for name, p in self._parameters.items():
            if p.grad is None or not any(moves[name]):
                continue
            group = plain if p.ndim <= 2 else 0
            shape = (-1, *[1] * (p.ndim - 1))
            lr = lr_GR[group].view(shape)
            moving = None if all(moves[name]) else self._mask(moves[name]).view(shape)
            gradient = p.grad if moving is None else torch.where(moving, p.grad, 0)
            step(p, gradient, self.state[p], options[group], lr, moving)

    def _mask(self, moves: list[bool]) -> Tensor:
        """(R,) bool"""
        key = tuple(moves)
        if key not in self._masks:
            self._masks[key] = torch.tensor(moves, device=self._lr_TGR.device)
        return self._masks[key]

    def _step_separately(self) -> None:
        moves = self._network.moves()
        for r, (optimizer, views) in enumerate(self._separate):
            for (name, p), view in zip(self._parameters.items(), views, strict=True):
                view.grad = p.grad[r] if p.grad is not None and moves[name][r] else None
            for g, group in enumerate(optimizer.param_groups):
                group.update(self._options[self._taken][g] | {"lr": self._rates_TGR[self._taken][g][r]})
            optimizer.step()


def _batched(kind: Optimizer) -> Step | None:
    """The step of this kind of optimizer for stacked parameters, or None where there is none."""
    options = kind.param_groups
    plain = len(options) <= 2 and not any(g.get("maximize") or g.get("amsgrad") or g.get("dampening") for g in options)
    steps: dict[type[Optimizer], Step] = {SGD: _sgd, AdamW: _adamw}
    return steps.get(type(kind)) if plain else None


def _sgd(p: Tensor, gradient: Tensor, state: State, options: ParameterGroup, lr: Tensor, moving: Tensor | None) -> None:
    """torch.optim.SGD. Writes into `gradient`."""
    if options["weight_decay"]:
        gradient.add_(p if moving is None else torch.where(moving, p, 0), alpha=options["weight_decay"])
    if options["momentum"]:
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(p)
        momentum = state["momentum_buffer"].mul_(options["momentum"]).add_(gradient)
        gradient = gradient.add_(momentum, alpha=options["momentum"]) if options["nesterov"] else momentum
    p.sub_(gradient * lr if gradient is state.get("momentum_buffer") else gradient.mul_(lr))


def _adamw(
    p: Tensor, gradient: Tensor, state: State, options: ParameterGroup, lr: Tensor, moving: Tensor | None
) -> None:
    """torch.optim.AdamW; each replica counts its own steps."""
    if not state:
        state |= {"step": torch.zeros_like(lr), "mean": torch.zeros_like(p), "square": torch.zeros_like(p)}
    first, second = options["betas"]
    state["step"] += 1 if moving is None else moving
    count = state["step"].clamp_min(1)  # a frozen replica's means are zero
    decay = 1 - lr * options["weight_decay"]
    p.mul_(decay if moving is None else torch.where(moving, decay, 1))
    state["mean"].lerp_(gradient, 1 - first)
    state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
    deep = state["square"].sqrt().div_((1 - second**count).sqrt()).add_(options["eps"])
    p.sub_(state["mean"] / deep * (lr / (1 - first**count)))
