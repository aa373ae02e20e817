"""One process's part of a study: data, networks and corrupted images are made once, then group after group trains."""

import copy
import math
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.cli.assemble import PATCHES, build, build_data, build_network
from cnnlab.data.corruptions.corruptions import corrupted_images, corruptions_for
from cnnlab.data.images.images import TensorImages
from cnnlab.data.images.module import ImageData
from cnnlab.data.images.splits import stratified_subset
from cnnlab.filters.analysis.drift import drift
from cnnlab.nn.initialisation.channels import channel_mix
from cnnlab.studies.parts import write_part
from cnnlab.studies.plan import Group, Run
from cnnlab.studies.starts import start_filters
from cnnlab.studies.statistics.profiles import energy_profile, patch_components
from cnnlab.training.replicas.memory import give_back, replicas_that_fit
from cnnlab.training.replicas.replicated import ReplicaResult, train_together

SNAPSHOTS = 8  # epochs at which the kernels are measured, beside the start
TRAINER = ("accelerator", "devices", "precision", "deterministic", "benchmark")


class Bench:
    """`config` is that of the study; `corruptions` as it says them, `all` not yet spelt out."""

    def __init__(self, config: DictConfig, corruptions: list[tuple[str, int]]) -> None:
        self.config = config
        self.source = build_data(self._data_config(0, None))
        if not isinstance(self.source, ImageData):
            raise UsageError(f"data: {self.source.name} has boundaries, and a study compares classifiers")
        self.corruptions = spelt_out(corruptions, self.source.in_channels)
        self._corrupted: dict[tuple[str, int], TensorImages] = {}
        self._data: dict[tuple[int, int | None], ImageData] = {}
        self._networks: dict[tuple[int, int | None, str, int], nn.Module] = {}
        self._windows: dict[tuple[int, int | None], Tensor] = {}
        self._rows_DD = self._components()[1]

    def _components(self) -> tuple[Tensor, Tensor]:
        """Of patches of all training images: one basis for every profile of the study."""
        return patch_components(self._patches(self.source, 0))

    @property
    def variances(self) -> list[float]:
        return self._components()[0].tolist()

    def _data_config(self, seed: int, train_size: int | None) -> DictConfig:
        return OmegaConf.merge(self.config.data, {"seed": seed, "train_size": train_size})

    def _patches(self, data: ImageData, seed: int) -> Tensor:
        """(N, C, h, w), normalised as the network sees them."""
        patch_NChw = data.patches(self.config.kernel_size, PATCHES, seed)
        mean_C, std_C = torch.tensor(data.mean), torch.tensor(data.std)
        return (patch_NChw - mean_C[:, None, None]) / std_C[:, None, None]

    def data(self, seed: int, train_size: int | None) -> ImageData:
        """Of one seed: all its arms share it."""
        key = seed, train_size
        if key not in self._data:
            if len(self._data) > 64:  # they are small: the images are the source's
                self._data.clear()
            self._data[key] = build("data", self._data_config(seed, train_size)).share(self.source)
            self._data[key].setup("fit")
            if self.corruptions or self.source.has_test:
                self._data[key].setup("test")
        return self._data[key]

    def network(self, run: Run) -> nn.Module:
        """As in every arm of this seed, but for the first layer."""
        data = self.data(run.seed, run.condition.train_size)
        mix = channel_mix("luminance" if data.in_channels == 1 else "opponent", data.in_channels)
        key = run.seed, run.condition.train_size, run.arm.mode, run.arm.release_epoch
        if key not in self._networks:
            self._networks = {key: self._base(run, data, len(mix.names))}  # arms of one seed come together
        network = copy.deepcopy(self._networks[key])
        weight = network.front_end.weight
        if run.arm.needs_patches or self.config.match == "response":
            patches = self._patches_of(run.seed, run.condition.train_size)
        else:
            patches = torch.empty(0)
        start = start_filters(run.arm, tuple(weight.shape), run.seed, mix.weights_RC, patches, self.config.match)
        with torch.no_grad():
            weight.copy_(start)
        return network

    def _base(self, run: Run, data: ImageData, rows: int) -> nn.Module:
        values = {
            "bank": placeholder(self.config.filters, self.config.kernel_size),
            "channels": "luminance" if rows == 1 else "opponent",
            "mode": run.arm.mode,
            "release_epoch": run.arm.release_epoch,
        }
        return build_network(OmegaConf.merge(self.config.model, values), data, run.seed)[0]

    def _patches_of(self, seed: int, train_size: int | None) -> Tensor:
        """Learned from the images of the run alone."""
        if (seed, train_size) not in self._windows:
            self._windows = {(seed, train_size): self._patches(self.data(seed, train_size), seed)}
        return self._windows[seed, train_size]

    def at_once(self, run: Run) -> int:
        """How many such runs fit into memory together."""
        data = self.data(run.seed, run.condition.train_size)
        size = min(self.config.data.batch_size, data.train_count)
        device = "cuda" if torch.cuda.is_available() and self.config.trainer.accelerator != "cpu" else "cpu"
        return replicas_that_fit(self.network(run), (size, data.in_channels, *data.image_size), device)

    def train(self, group: Group, folder: Path) -> None:
        """Train the runs of a group together and leave their results in `folder`."""
        first = group.runs[0]
        counts = group.name.startswith("runs")
        data = [self.data(run.seed, run.condition.train_size) for run in group.runs]
        steps = first.condition.epochs * len(data[0].train_dataloader())
        evaluations = {}
        if counts:
            evaluations = {"test": lambda one: one.test_dataloader()} if self.source.has_test else {}
            evaluations |= {
                f"{name}/{severity}": (lambda one, key=(name, severity): one.loader_of(self._corrupt(key)))
                for name, severity in self.corruptions
            }
        rate = self.config.optimizer.lr
        results = train_together(
            [self.network(run) for run in group.runs], data,
            epochs=first.condition.epochs, seeds=[run.seed for run in group.runs],
            lr=[rate if run.lr is None else run.lr for run in group.runs],
            optimizer=build("optimizer", self.config.optimizer), schedule=build("schedule", self.config.schedule),
            label_smoothing=self.config.task.label_smoothing,
            curve_steps=curve_steps(steps, self.config.curve_points) if counts else (),
            evaluations=evaluations, at_once=len(group.runs), validate_every=first.condition.epochs,
            trainer={name: self.config.trainer[name] for name in TRAINER if self.config.trainer.get(name) is not None},
        )  # fmt: skip
        rows = [self._row(run, result, counts) for run, result in zip(group.runs, results, strict=True)]
        write_part(folder / f"{group.name}.json", rows)

    def _row(self, run: Run, result: ReplicaResult, counts: bool) -> dict[str, Any]:
        last = result.history[-1]
        row = {
            "arm": run.arm.name,
            "seed": run.seed,
            "lr": run.lr if run.lr is not None else self.config.optimizer.lr,
            "val_accuracy": last["val/accuracy"],
            "val_loss": last["val/loss"],
            "diverged": result.diverged,
            "seconds": result.seconds,
        }
        if not counts:
            return row
        test = result.scores.get("test", {})
        return row | {
            "accuracy": test.get("accuracy", last["val/accuracy"]),
            "loss": test.get("loss", last["val/loss"]),
            "train_loss": last["train/loss"],
            "curve": [[point["step"], point["val/accuracy"]] for point in result.curve],
            "corrupted": {name: score["accuracy"] for name, score in result.scores.items() if name != "test"},
            "drift": self._drift(result.kernels),
            "kernels": [_short(kernels) for kernels in (result.kernels[0], result.kernels[max(result.kernels)])],
        }

    def _drift(self, kernels: dict[int, Tensor]) -> list[dict[str, Any]]:
        wanted = {round(e) for e in torch.linspace(0, max(kernels) ** 0.5, SNAPSHOTS + 1).square().tolist()}
        finite = {epoch: one for epoch, one in kernels.items() if epoch in wanted and bool(one.isfinite().all())}
        return [
            {
                "epoch": one.epoch,
                "cosine": one.cosine,
                "distance": one.relative_distance,
                "profile": energy_profile(finite[one.epoch], self._rows_DD).tolist(),
            }
            for one in drift(finite)
        ]

    def _corrupt(self, key: tuple[str, int]) -> TensorImages:
        """The same images for every run: some of the test split, chosen once."""
        if key not in self._corrupted:
            self.source.setup("test")
            images, index_N = self.source.test_images
            count = min(self.config.corruption_images, len(index_N))
            chosen_N = index_N[stratified_subset(images.label_N[index_N], count, 0)]
            self._corrupted[key] = corrupted_images(images, chosen_N, *key)
        return self._corrupted[key]


def _short(kernels: Tensor) -> list:
    """For pictures: five decimals."""
    return kernels.double().round(decimals=5).tolist()


def spelt_out(corruptions: list[tuple[str, int]], channels: int) -> list[tuple[str, int]]:
    """`all` replaced by the names; ValueError for a name that images of so many channels don't have."""
    known = corruptions_for(channels)
    found = []
    for name, severity in corruptions:
        if name != "all" and name not in known:
            raise UsageError(f"corruptions: no {name!r} of images with {channels} channels; known: {', '.join(known)}")
        found += [(one, severity) for one in (known if name == "all" else [name])]
    return list(dict.fromkeys(found))


def placeholder(filters: int, size: int) -> str:
    """Any bank of so many kernels of that size: the network is built for it, and the arm writes its filters over it."""
    whole, rest = divmod(filters, size * size)
    parts = [f"dct(size={size})"] * whole + ([f"dct(size={size})[0:{rest}]"] if rest else [])
    return " + ".join(parts)


def curve_steps(steps: int, points: int) -> list[int]:
    """0, and about so many steps up to the last one, spread over the logarithm."""
    spread = torch.logspace(0, math.log10(max(steps, 1)), points).round().int().tolist()
    return sorted({0, steps, *spread})


# The bench of a worker process, made when it starts.
_bench: list[Bench] = []


def begin(config: dict[str, Any], corruptions: list[tuple[str, int]], threads: int) -> None:
    """In a new process."""
    torch.set_num_threads(threads)
    _bench[:] = [Bench(OmegaConf.create(copy.deepcopy(config)), corruptions)]


def train_group(group: Group, folder: Path) -> str:
    """In a process that has begun. Returns the group's name."""
    _bench[0].train(group, folder)
    give_back()
    return group.name
