"""Learning-rate schedules over the whole run, stepped once per optimizer step.

Each is called with the optimizer, whose `lr` is the highest value reached, and the number of steps of the run.
"""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    SequentialLR,
)

from cnnlab._choices import UsageError


class OneCycle:
    """Up from lr / `start_divisor` over the first `warmup` of the steps, then down along a cosine to almost 0.

    Smith & Topin, "Super-Convergence", 2018. The momentum stays as it is unless `cycle_momentum`.
    """

    def __init__(
        self,
        warmup: float = 0.25,
        start_divisor: float = 10.0,
        end_divisor: float = 1000.0,
        cycle_momentum: bool = False,
    ) -> None:
        if not 0 < warmup < 1:
            raise UsageError(f"schedule.warmup is a share of the steps between 0 and 1, not {warmup}")
        if start_divisor <= 0 or end_divisor <= 0:
            raise UsageError(f"schedule: divisors are above 0; got start {start_divisor}, end {end_divisor}")
        self.warmup = warmup
        self.start_divisor = start_divisor
        self.end_divisor = end_divisor
        self.cycle_momentum = cycle_momentum

    def __call__(self, optimizer: Optimizer, total_steps: int) -> LRScheduler:
        # torch divides by the length of the rise: it needs a part of a step, also in a run of a few steps
        rise = min(max(self.warmup, 1.5 / total_steps), 1 - 0.5 / total_steps)
        return OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=total_steps,
            pct_start=rise,
            div_factor=self.start_divisor,
            final_div_factor=self.end_divisor / self.start_divisor,
            cycle_momentum=self.cycle_momentum,
        )


class Cosine:
    """Linear warm-up over the first `warmup` of the steps, then a half cosine down to `floor` (a share of lr)."""

    def __init__(self, warmup: float = 0.05, floor: float = 0.0) -> None:
        if not 0 <= warmup < 1:
            raise UsageError(f"schedule.warmup is a share of the steps from 0 to below 1, not {warmup}")
        self.warmup = warmup
        self.floor = floor

    def __call__(self, optimizer: Optimizer, total_steps: int) -> LRScheduler:
        rising = int(self.warmup * total_steps)
        lowest = self.floor * min(group["lr"] for group in optimizer.param_groups)
        falling = CosineAnnealingLR(optimizer, T_max=max(1, total_steps - rising), eta_min=lowest)
        if rising == 0:
            return falling
        warmup = LinearLR(optimizer, start_factor=1 / (rising + 1), total_iters=rising)
        return SequentialLR(optimizer, [warmup, falling], milestones=[rising])


class Constant:
    """The same learning rate from the first step to the last."""

    def __call__(self, optimizer: Optimizer, total_steps: int) -> LRScheduler:
        return ConstantLR(optimizer, factor=1.0, total_iters=0)
