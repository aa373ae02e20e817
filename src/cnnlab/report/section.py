"""What the page needs of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lightning.pytorch import LightningDataModule
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class ReportedRun:
    """What a page needs of one run. A part that is not there is empty, and `missing` says in a sentence why."""

    name: str  # the folder's name
    folder: str  # as shown
    summary: Mapping[str, object]  # summary.json
    rows: Sequence[Mapping[str, str]]  # of metrics.csv
    snapshots: Mapping[int, Tensor]  # epoch -> first-layer kernels (K, C, h, w)
    network: nn.Module | None = None  # in evaluation mode, weights of the best epoch
    about: Mapping[str, object] | None = None  # the checkpoint's "network" entry
    data: LightningDataModule | None = None  # normalised as in training, on the device that the network runs on
    missing: Mapping[str, str] = field(default_factory=dict)  # name of a field above -> why it is not there
