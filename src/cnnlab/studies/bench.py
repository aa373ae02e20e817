"""One process's part of a study: data, networks and corrupted images are made once, then group after group trains."""

import copy
import math
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from cnnlab._choices import check_choice
from cnnlab.data.contract import Batches
from cnnlab.data.corruptions.corruptions import corrupted_images, corruptions_for
from cnnlab.data.images.images import TensorImages
from cnnlab.data.images.module import ImageData
from cnnlab.data.images.sources import source_of
from cnnlab.data.images.splits import stratified_subset
from cnnlab.filters.analysis.drift import drift
from cnnlab.nn.contract import validate_network
from cnnlab.nn.initialisation.channels import channel_mix
from cnnlab.nn.small_cnn import SmallCNN
from cnnlab.studies.arms import start_filters
from cnnlab.studies.plan import Drift, Group, Part, Run, SearchPart, write_part
from cnnlab.studies.records import learning_rate, made, make_optimizer, make_schedule
from cnnlab.studies.spec import StudyDesign
from cnnlab.studies.statistics.profiles import energy_profile, patch_components
from cnnlab.training.replicas.memory import replicas_that_fit
from cnnlab.training.replicas.replicated import ReplicaResult, train_together

SNAPSHOTS = 8  # epochs at which the kernels are measured, beside the start
PATCHES = 20_000  # windows of training images behind components and what is learned from them


class Bench:
    """`corruptions`: (name, severity), `all` not yet spelt out. `trust`: packages whose data may be used."""

    def __init__(self, study: StudyDesign, corruptions: Sequence[tuple[str, int]], trust: Collection[str] = ()) -> None:
        self.study = study
        factory = study.full_data.get("factory")
        self._own = source_of(factory, trust) if factory else None
        self.source = self._made_data(0, None)
        self.source.prepare_data()
        self.source.setup("fit")
        self.corruptions = spelt_out(corruptions, self.source.in_channels)
        self._corrupted: dict[tuple[str, int], TensorImages] = {}
        self._data: dict[tuple[int, int | None], ImageData] = {}
        self._networks: dict[tuple[int, int | None, str, int], SmallCNN] = {}
        self._windows: dict[tuple[int, int | None], Tensor] = {}
        # Of patches of all training images: one basis for every profile of the study.
        variance_D, self._rows_DD = patch_components(self._patches(self.source, 0))
        self.variances: list[float] = variance_D.tolist()

    def _made_data(self, seed: int, train_size: int | None) -> ImageData:
        own = {} if self._own is None else {"source": self._own}
        return made(ImageData, self.study.full_data, seed=seed, train_size=train_size, **own)

    def _patches(self, data: ImageData, seed: int) -> Tensor:
        """(N, C, h, w), normalised as the network sees them."""
        patch_NChw = data.patches(self.study.kernel_size, PATCHES, seed)
        mean_C, std_C = torch.tensor(data.mean), torch.tensor(data.std)
        return (patch_NChw - mean_C[:, None, None]) / std_C[:, None, None]

    def data(self, seed: int, train_size: int | None) -> ImageData:
        """Of one seed: all its arms share it."""
        key = seed, train_size
        if key not in self._data:
            if len(self._data) > 64:  # they are small: the images are the source's
                self._data.clear()
            self._data[key] = self._made_data(seed, train_size).share(self.source)
            self._data[key].setup("fit")
            if self.corruptions or self.source.has_test:
                self._data[key].setup("test")
        return self._data[key]

    def network(self, run: Run) -> SmallCNN:
        """As in every arm of this seed, but for the first layer."""
        data = self.data(run.seed, run.condition.train_size)
        rule = "luminance" if data.in_channels == 1 else "opponent"
        key = run.seed, run.condition.train_size, run.arm.mode, run.arm.unfreeze_epoch
        if key not in self._networks:
            self._networks = {key: self._base(run, data, rule)}  # arms of one seed come together
        network = copy.deepcopy(self._networks[key])
        weight, match = network.front_end.weight, self.study.match
        if run.arm.row.patches or match == "response":
            patches = self._patches_of(run.seed, run.condition.train_size)
        else:
            patches = torch.empty(0)
        mix_RC = channel_mix(rule, data.in_channels).weights_RC
        outputs, channels, height, width = weight.shape
        start = start_filters(run.arm, (outputs, channels, height, width), run.seed, mix_RC, patches, match)
        with torch.no_grad():
            weight.copy_(start)
        return network

    def _base(self, run: Run, data: ImageData, rule: str) -> SmallCNN:
        torch.manual_seed(run.seed)
        network = made(
            SmallCNN, self.study.full_network, bank=placeholder(self.study.filters, self.study.kernel_size),
            channels=rule, mode=run.arm.mode, unfreeze_epoch=run.arm.unfreeze_epoch,
            in_channels=data.in_channels, num_classes=data.num_classes, image_size=list(data.image_size),
        )  # fmt: skip
        validate_network(network, data.in_channels, data.image_size, data.num_classes)
        return network

    def _patches_of(self, seed: int, train_size: int | None) -> Tensor:
        """Learned from the images of the run alone."""
        if (seed, train_size) not in self._windows:
            self._windows = {(seed, train_size): self._patches(self.data(seed, train_size), seed)}
        return self._windows[seed, train_size]

    def at_once(self, run: Run) -> int:
        """How many such runs fit into memory together."""
        data = self.data(run.seed, run.condition.train_size)
        batch_size = self.study.full_data["arguments"]["batch_size"]
        assert isinstance(batch_size, int)
        size = min(batch_size, data.train_count)
        device = "cuda" if self.study.on_gpu else "cpu"
        return replicas_that_fit(self.network(run), (size, data.in_channels, *data.image_size), device)

    def train(self, group: Group, folder: Path) -> None:
        """Train the runs of a group together and leave their results in `folder`."""
        first, recipe = group.runs[0], self.study.full_recipe
        counts = group.name.startswith("runs")
        data = [self.data(run.seed, run.condition.train_size) for run in group.runs]
        steps = first.condition.epochs * len(data[0].train_dataloader())
        results = train_together(
            [self.network(run) for run in group.runs], data,
            epochs=first.condition.epochs, seeds=[run.seed for run in group.runs],
            lr=[self._rate(run) for run in group.runs],
            optimizer=make_optimizer(recipe), schedule=make_schedule(recipe), label_smoothing=recipe["label_smoothing"],
            curve_steps=curve_steps(steps, self.study.curve_points) if counts else (),
            evaluations=self._evaluations() if counts else {}, at_once=len(group.runs),
            validate_every=first.condition.epochs, trainer=recipe["trainer"],
        )  # fmt: skip
        row = self._part if counts else self._search_part
        write_part(folder / f"{group.name}.json", [row(*one) for one in zip(group.runs, results, strict=True)])

    def _rate(self, run: Run) -> float:
        return learning_rate(self.study.full_recipe) if run.lr is None else run.lr

    def _evaluations(self) -> dict[str, Callable[[ImageData], Batches]]:
        tests: dict[str, Callable[[ImageData], Batches]] = {}
        if self.source.has_test:
            tests["test"] = ImageData.test_dataloader
        return tests | {f"{name}/{severity}": partial(self._corrupt, name, severity)
                        for name, severity in self.corruptions}  # fmt: skip

    def _search_part(self, run: Run, result: ReplicaResult) -> SearchPart:
        last = result.history[-1]
        return {
            "arm": run.arm.name,
            "seed": run.seed,
            "lr": self._rate(run),
            "val_accuracy": last["val/accuracy"],
            "val_loss": last["val/loss"],
            "diverged": result.diverged,
            "seconds": result.seconds,
        }

    def _part(self, run: Run, result: ReplicaResult) -> Part:
        last, test = result.history[-1], result.scores.get("test", {})
        return {
            **self._search_part(run, result),
            "accuracy": test.get("accuracy", last["val/accuracy"]),
            "loss": test.get("loss", last["val/loss"]),
            "train_loss": last["train/loss"],
            "curve": [(int(point["step"]), point["val/accuracy"]) for point in result.curve],
            "corrupted": {name: score["accuracy"] for name, score in result.scores.items() if name != "test"},
            "drift": self._drift(result.kernels),
            "kernels": [_short(kernels) for kernels in (result.kernels[0], result.kernels[max(result.kernels)])],
        }

    def _drift(self, kernels: dict[int, Tensor]) -> list[Drift]:
        wanted = {round(e) for e in torch.linspace(0, max(kernels) ** 0.5, SNAPSHOTS + 1).square().tolist()}
        finite = {epoch: one for epoch, one in kernels.items() if epoch in wanted and bool(one.isfinite().all())}
        profiles = {epoch: energy_profile(one, self._rows_DD).tolist() for epoch, one in finite.items()}
        return [Drift(epoch=one.epoch, cosine=one.cosine, distance=one.relative_distance, profile=profiles[one.epoch])
                for one in drift(finite)]  # fmt: skip

    def _corrupt(self, name: str, severity: int, data: ImageData) -> Batches:
        """The same images for every run: some of the test split, chosen once."""
        if (name, severity) not in self._corrupted:
            self.source.setup("test")
            images, index_N = self.source.test_images
            count = min(self.study.corruption_images, len(index_N))
            chosen_N = index_N[stratified_subset(images.label_N[index_N], count, 0)]
            self._corrupted[name, severity] = corrupted_images(images, chosen_N, name, severity)
        return data.loader_of(self._corrupted[name, severity])


def _short(kernels: Tensor) -> list[object]:
    """For pictures: five decimals."""
    values: list[object] = kernels.double().round(decimals=5).tolist()
    return values


def spelt_out(corruptions: Sequence[tuple[str, int]], channels: int) -> list[tuple[str, int]]:
    """`all` replaced by the names; UsageError for a name that images of so many channels don't have."""
    known = corruptions_for(channels)
    found = []
    for name, severity in corruptions:
        if name != "all":
            check_choice(f"corruption of images with {channels} channels", name, known)
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
