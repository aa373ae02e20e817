"""A boundary detector in training. B batch, C channel, S side output, H, W image, h, w side output."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.training.tasks.network import MakeOptimizer, MakeSchedule, NetworkTask

NEGATIVES = 1.1  # lambda of Liu et al. 2017, CVPR (RCF), eq. 1


def boundary_loss(logits_BShw: Tensor, share_B1HW: Tensor, balance: float) -> Tensor:
    """(): class-balanced cross entropy against several annotators, the sum over the side outputs.

    Each annotator is a teacher of equal weight, so that a pixel which a share s of them drew counts as s boundary
    and as 1 - s no boundary. Boundaries weigh as the share of the rest in the batch, and the rest as NEGATIVES times
    the share of boundaries, both to the power `balance`, divided by all weights: 1 is the balance of Xie & Tu 2015
    (ICCV, eq. 2), 0 none, so that the network gives the share itself. The full balance pushes probabilities up until
    they say little about how sure a boundary is, which costs average precision.
    Where the side outputs are smaller than the image, a pixel of theirs has the largest share in its block.
    """
    share_B1hw = shrunk(share_B1HW, logits_BShw.shape[-2:]).float()
    rare = share_B1hw.mean()
    boundary_B1hw = share_B1hw * (1 - rare) ** balance
    other_B1hw = (1 - share_B1hw) * (NEGATIVES * rare) ** balance
    logits_BShw = logits_BShw.float()
    entropy_BShw = -boundary_B1hw * F.logsigmoid(logits_BShw) - other_B1hw * F.logsigmoid(-logits_BShw)
    # A batch without a single boundary has no weight at all: its loss is 0.
    total = (boundary_B1hw + other_B1hw).sum().clamp_min(torch.finfo(torch.float32).tiny)
    return entropy_BShw.sum() / total


def shrunk(share_B1HW: Tensor, size: Sequence[int]) -> Tensor:
    """(B, 1, h, w): the largest value of each block, the last ones cut off by the border."""
    if share_B1HW.shape[-2:] == tuple(size):
        return share_B1HW
    steps = [-(-whole // part) for whole, part in zip(share_B1HW.shape[-2:], size, strict=True)]
    return F.max_pool2d(share_B1HW, steps, ceil_mode=True)


class BoundaryTask(NetworkTask):
    """`boundary_loss` on every side output of the network, the fused one among them; see `NetworkTask`.

    A network's `side_logits(image_BCHW) -> (B, S, h, w)` are its side outputs; without, its logits are the only one.
    balance: between no balance of the classes, 0, and full, 1.
    Nothing is chosen by the loss on photographs held out: it is logged, no more.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: MakeOptimizer,
        schedule: MakeSchedule,
        seed: int,
        record: Mapping[str, object],
        balance: float = 0.5,
    ) -> None:
        super().__init__(network, optimizer, schedule, seed, record)
        if not 0 <= balance <= 1:
            raise UsageError(f"task.balance is from 0 (none) to 1 (full), not {balance}")
        self.balance = balance

    def measure(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The loss alone."""
        image_BCHW, share_B1HW = batch
        side_logits = getattr(self.network, "side_logits", self.network)
        return boundary_loss(side_logits(image_BCHW), share_B1HW, self.balance), []

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        loss, _ = self.measure(batch)
        self.log("val/loss", loss, batch_size=len(batch[0]), on_epoch=True, sync_dist=True)
