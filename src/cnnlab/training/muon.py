"""Muon for convolutional networks: orthogonalised momentum for the kernels, AdamW for all the rest."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import AdamW, Optimizer

from cnnlab._choices import UsageError


class Muon(Optimizer):
    """`torch.optim.Muon` takes matrices only; here a kernel (K, C, h, w) is stepped as the matrix (K, C h w).

    Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024, which also sends what is not a
    hidden kernel (the head, norms, biases) to AdamW, here with learning rate `adamw_lr`. `weight_decay` is for both;
    parameter groups may overrule it. Raises ValueError where this torch has no Muon (before 2.9).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
        adamw_lr: float = 0.005,
    ) -> None:
        if not hasattr(torch.optim, "Muon"):
            raise UsageError(f"torch {torch.__version__} has no Muon: it needs 2.9 or newer; or optimizer=sgd")
        super().__init__(list(params), {"lr": lr, "weight_decay": weight_decay})
        everything = [(p, group["weight_decay"]) for group in self.param_groups for p in group["params"]]
        self._kernels = [p for p, _ in everything if p.ndim == 4]
        self._matrices = [p.detach().reshape(len(p), -1).clone() for p in self._kernels]
        kernel_decays = [decay for p, decay in everything if p.ndim == 4]
        kernel_groups = [
            {"params": [matrix], "weight_decay": decay}
            for matrix, decay in zip(self._matrices, kernel_decays, strict=True)
        ]
        other_groups = [{"params": [p], "weight_decay": decay} for p, decay in everything if p.ndim != 4]
        self._parts: list[Optimizer] = []
        if kernel_groups:
            self._parts.append(
                torch.optim.Muon(kernel_groups, lr=lr, momentum=momentum, adjust_lr_fn="match_rms_adamw")
            )
        if other_groups:
            self._parts.append(AdamW(other_groups, lr=adamw_lr))
        # One list of groups, shared with the parts: a schedule that changes a learning rate changes it there.
        self.param_groups = [group for part in self._parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            matrix.copy_(kernel.reshape_as(matrix))
            matrix.grad = None if kernel.grad is None else kernel.grad.reshape_as(matrix)
        for part in self._parts:
            part.step()
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            kernel.copy_(matrix.view_as(kernel))
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        for kernel in self._kernels:
            kernel.grad = None
        super().zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self._parts for group in part.param_groups]
