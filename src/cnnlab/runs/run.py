"""A run: one folder of one training, opened and read. K kernels, C channels, h, w kernel sides."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.data.contract import Data
from cnnlab.data.rebuilding import rebuild_data
from cnnlab.nn.predictions import Predictions
from cnnlab.nn.rebuilding import rebuild
from cnnlab.report.reported import ReportedRun, write_report
from cnnlab.runs.checkpoints import (
    Checkpoint,
    best_or_last,
    find_checkpoint,
    load_weights,
    open_checkpoint,
    read_checkpoint,
)
from cnnlab.runs.figures import kernels_figure, learning_curves_figure
from cnnlab.runs.folder import CONFIG, find_run, read_config
from cnnlab.runs.matching import check_match
from cnnlab.runs.metrics import read_metrics
from cnnlab.runs.record import read_summary
from cnnlab.runs.snapshots import KERNELS, read_snapshots

NO_CHECKPOINT = "There is no checkpoint yet: a run writes its first when an epoch has ended."


class Run:
    """What a training left in its folder, complete or not. Made by `train`, or by `Run.open(folder)`.

    Reading it runs no code that came with the folder: a network or data of one's own are found again only where their
    package is in `trust`, or given as objects.

    >>> run = Run.open("outputs/train/FOLDER")  # doctest: +SKIP
    >>> run.summary["metrics"]["test/accuracy"], run.kernels()[0].shape  # doctest: +SKIP
    """

    def __init__(
        self,
        folder: Path,
        trust: Collection[str] = (),
        *,
        data: Data | None = None,
        module: nn.Module | None = None,
        predictions: Predictions | None = None,
    ) -> None:
        self.folder, self.trust = folder, tuple(trust)
        self._data, self._module, self._predictions = data, module, predictions

    @classmethod
    def open(cls, folder: str | Path, trust: Collection[str] = ()) -> "Run":
        """The run in a folder. Raises UsageError, naming runs that are near, where there is none."""
        run = cls(find_run(folder), trust)
        if (run.folder / CONFIG).is_file():
            read_config(run.folder)
        elif "model" not in run.summary:
            raise UsageError(f"{run.folder} is not a training run: neither {CONFIG} nor summary.json tell of one")
        return run

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}: {self.status})"

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.folder.resolve().name

    @property
    def summary(self) -> dict[str, object]:
        """summary.json as it is now: status, metrics, seed, times, versions ...; {} before the first write."""
        return read_summary(self.folder)

    @property
    def status(self) -> str:
        """running, completed, failed, interrupted; unknown where nothing is said."""
        return str(self.summary.get("status", "unknown"))

    @property
    def scores(self) -> dict[str, float]:
        """The metrics of the summary: of the last epoch ("val/accuracy") and of the test ("test/accuracy")."""
        metrics = self.summary.get("metrics")
        return dict(metrics) if isinstance(metrics, dict) else {}

    @property
    def metrics(self) -> list[dict[str, str]]:
        """The rows of metrics.csv, one an epoch and one every few steps, as text; empty cells are left out."""
        return read_metrics(self.folder / "metrics.csv")

    def kernels(self) -> dict[int, Tensor]:
        """Epoch (0: the start) -> kernels of the first layer, (K, C, h, w) float32; {} for a run that kept none.

        Raises UsageError for a damaged snapshot.
        """
        return read_snapshots(self.folder / KERNELS)

    def checkpoint(self, name: str = "best") -> Checkpoint:
        """`best`, `last`, or the path of a .ckpt file. Raises UsageError for one that isn't there, or can't be read."""
        return open_checkpoint(self.folder, name)

    def checkpoint_path(self, name: str = "best") -> Path:
        """Where that checkpoint lies. Raises UsageError with those that are there."""
        return find_checkpoint(self.folder, name)

    def network(self, checkpoint: str = "best", module: nn.Module | None = None) -> nn.Module:
        """The trained network, in evaluation mode on the CPU. `module`: one that was passed in Python, to be filled.

        Raises UsageError for a checkpoint that isn't there or doesn't fit, and for code that is not trusted.
        """
        return self._network_of(self.checkpoint(checkpoint), module)

    def _network_of(self, checkpoint: Checkpoint, module: nn.Module | None = None) -> nn.Module:
        network = module if module is not None else self._module
        if network is None or checkpoint["network"]["target"]:
            network = rebuild(checkpoint["network"], self.trust)
        load_weights(network, checkpoint["state_dict"], self.folder)
        return network.cpu().eval()

    def data(self) -> Data:
        """The data of the run, the training images read. Raises UsageError where they can't be found again."""
        if self._data is None:
            self._data = rebuild_data(self._data_record(), self.trust)
            self._data.prepare_data()
            self._data.setup("fit")
        return self._data

    def _data_record(self) -> Mapping[str, object]:
        """As the checkpoint has it; runs before 0.2 have it in their configuration alone."""
        path = best_or_last(self.folder)
        saved = read_checkpoint(path) if path else None
        if saved is not None and "data" in saved:
            record = saved["data"]
            if not record:
                raise UsageError("the data of this run were passed in Python: give them, Run(folder, data=...)")
            return record
        config = read_config(self.folder)["data"]
        if not isinstance(config, dict):
            raise UsageError(f"{self.folder / CONFIG}: data is no mapping")
        arguments = {name: value for name, value in config.items() if not name.startswith("_")}
        return {"target": config.get("_target_"), "arguments": arguments}

    def figures(self) -> dict[str, Figure]:
        """`kernels`: the first layer before and after, where it was kept; `curves`: loss and accuracy by epoch."""
        snapshots = self.kernels()
        drawn = {"kernels": kernels_figure(snapshots)} if snapshots else {}
        return drawn | {"curves": learning_curves_figure(self.metrics, self.scores)}

    def report(self, out: Path | None = None) -> Path:
        """Write the page of this run to `out`, by default report.html in its folder. Returns where it lies."""
        return write_report([self.reported()], out or self.folder / "report.html")

    def reported(self, checkpoint: str = "best") -> ReportedRun:
        """Everything that a page needs; what the run doesn't have (yet) is named in `missing`.

        Raises UsageError for a checkpoint that is there and is something else.
        """
        missing: dict[str, str] = {}
        saved = self._saved(checkpoint)
        if saved is None:
            missing["network"] = NO_CHECKPOINT
        network = None if saved is None else self._network_of(saved)
        snapshots = self._reported_kernels(missing)
        data = self._reported_data(saved, missing)
        return ReportedRun(
            name=self.name,
            folder=os.path.relpath(self.folder)
            if self.folder.absolute().is_relative_to(Path.cwd())
            else str(self.folder),
            summary=self.summary,
            rows=self.metrics,
            snapshots=snapshots,
            network=network,
            about=None if saved is None else saved["network"],
            data=data,
            missing=missing,
            predictions=self._predictions if checkpoint == "best" else None,
        )

    def _saved(self, name: str) -> Checkpoint | None:
        """The checkpoint, its best or else its last one; None where there is none at all."""
        if name != "best":
            return self.checkpoint(name)
        path = best_or_last(self.folder)
        return read_checkpoint(path) if path else None

    def _reported_kernels(self, missing: dict[str, str]) -> dict[int, Tensor]:
        try:
            snapshots = self.kernels()
        except UsageError as error:
            missing["snapshots"] = f"The snapshots in kernels/ can't be read: {_first_line(error)}"
            return {}
        if not snapshots:
            missing["snapshots"] = "There are no snapshots: the folder kernels/ is missing or empty."
        return snapshots

    def _reported_data(self, saved: Checkpoint | None, missing: dict[str, str]) -> Data | None:
        """Normalised as in training; None where there are none, or no network to ask about them."""
        if saved is None:
            return None
        about = saved["network"]
        try:
            data = self.data()
            check_match(data, about)
        except (UsageError, OSError) as error:
            reason = _first_line(error)
            missing["data"] = f"The images of this run can't be read any more, and this part needs them: {reason}"
            return None
        data.normalise_like(about["mean"], about["std"])
        data.to_device("cuda" if torch.cuda.is_available() else "cpu")
        return data


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
