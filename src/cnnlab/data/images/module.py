"""The data of a run: read, split, measured, and loaded in batches. N images, C channel, H height, W width."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from lightning import LightningDataModule
from torch import Tensor

from cnnlab._arguments import plain, remembers_arguments
from cnnlab._choices import UsageError
from cnnlab._parallel import cores
from cnnlab.data.contract import Kind
from cnnlab.data.images import images as image_sets
from cnnlab.data.images import reading
from cnnlab.data.images.augmentation import Augmentation
from cnnlab.data.images.folder import FolderOptions, read_folder
from cnnlab.data.images.images import Images, TensorImages
from cnnlab.data.images.loader import EpochLoader, Finish, InMemoryLoader, StreamingLoader
from cnnlab.data.images.options import check_choices, check_counts, check_set, height_and_width
from cnnlab.data.images.order import BatchOrder, Purpose, generator_for
from cnnlab.data.images.sources import OWN, ImageSource
from cnnlab.data.images.specs import spec_of
from cnnlab.data.images.splits import stratified_subset, validation_split


@remembers_arguments
class ImageData(LightningDataModule):
    """A data set of the table in `specs`, as loaders and facts.

    `setup("fit")` reads the training images and cuts validation from them; only `setup("test")` reads the
    test split. Every fact (`class_names`, `mean`, ...) is there after `setup`.
    """

    kind: Kind = "classes"
    arguments: dict[str, object]

    def __init__(
        self,
        name: str,
        root: str | None = None,
        *,
        source: ImageSource | None = None,
        seed: int = 0,
        batch_size: int = 128,
        eval_batch_size: int = 1024,
        validation: float = 0.1,
        train_size: int | None = None,
        image_size: int | Sequence[int] | None = None,
        in_memory: bool | str = "auto",
        workers: int | None = None,
        download: bool = False,
        on_broken: str = "error",
        flip: bool = False,
        shift: int = 0,
        rotation: float = 0,
        cutout: int = 0,
    ) -> None:
        """`source`: images of one's own, which `name` then only names. The others: configs/data/image_data.yaml.

        Raises UsageError for an unknown name or choice, and for sizes that cannot be.
        """
        super().__init__()
        self._spec = spec_of(name if source is None else OWN)
        if root is None and name != "image_folder":
            root = os.environ.get("CNNLAB_DATA", "data")
        check_set(name if source is None else OWN, root, flip)
        check_choices(in_memory, on_broken)
        check_counts(batch_size, eval_batch_size, workers)
        self.name: str = name
        self.seed = seed
        self._root = Path(root or ".").expanduser()
        self._batch_size, self._eval_batch_size = batch_size, eval_batch_size
        self._validation, self._train_size = validation, train_size
        self._size = height_and_width(image_size)
        self._in_memory, self._download, self._on_broken = in_memory, download, on_broken
        self._workers = min(8, cores()) if workers is None else workers
        self._augmentation = Augmentation(flip=flip, shift=shift, rotation=rotation, cutout=cutout)
        self._device = torch.device("cpu")
        self._sets: dict[str, tuple[Images, Tensor]] = {}  # split -> images at rest and which of them
        self._own = source
        self._source: ImageData | None = None
        self._placed_once: dict[int, tuple[Images, TensorImages]] = {}  # for those who share: where it was, where it is

    def share(self, source: "ImageData") -> "ImageData":
        """Read nothing: use what `source` read of the same set, with splits and order from a seed of one's own."""
        assert (self.name, self._root, self._size) == (source.name, source._root, source._size)
        self._source = source
        return self

    def prepare_data(self) -> None:
        """Download the set if asked to. Lightning calls this in one process only."""
        if self._download:
            reading.download(self.name, self._root)

    def setup(self, stage: str | None = None) -> None:
        """Read what `stage` needs ("fit", "validate", "test"; None: all), once.

        Raises ValueError if images are missing, broken, too few, or do not agree.
        """
        if "train" not in self._sets:
            self._setup_training()
        if stage in ("test", None) and self.has_test and "test" not in self._sets:
            self._sets["test"] = _all_of(self._read("test"))

    def _setup_training(self) -> None:
        train = self._read("train")
        if self._has_folder("val"):
            train_N = torch.arange(len(train))
            validation = _all_of(self._read("val", like=train))
        else:
            train_N, validation_N = validation_split(train.label_N, self._validation, self.seed)
            validation = (train, validation_N)
        if self._train_size is not None:
            train_N = train_N[stratified_subset(train.label_N[train_N], self._train_size, self.seed)]
        self._augmentation.check(*train.shape[1:])
        self._mean_C, self._std_C = image_sets.mean_and_std(train, train_N)
        self._sets.update(train=(train, train_N), validation=validation)

    def _read(self, split: str, like: Images | None = None) -> Images:
        if self._source is not None:
            self._source.setup("test" if split == "test" else "fit")
            return self._source._sets["validation" if split == "val" else split][0]
        if self._own is not None:
            return self._own.read(split)
        if self.name != "image_folder":
            return reading.read_named(self.name, self._root, split == "test", self._size)
        options = FolderOptions(self._size, self._on_broken, self._in_memory, threads=cores())
        like = self._training if split == "test" else like
        return read_folder(self._root / split, options, like)

    def _has_folder(self, split: str) -> bool:
        if self._own is not None:
            return split in self._own.splits
        return self.name == "image_folder" and (self._root / split).is_dir()

    # Facts, after setup

    @property
    def _training(self) -> Images:
        assert "train" in self._sets, "setup() comes first"
        return self._sets["train"][0]

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the labels."""
        return self._training.class_names

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def in_channels(self) -> int:
        return self._training.shape[0]

    @property
    def image_size(self) -> tuple[int, int]:
        return self._training.shape[1:]

    @property
    def mean(self) -> tuple[float, ...]:
        """Of each channel, over the images trained on, in [0, 1]: measured, the same for all splits."""
        return tuple(self._mean_C.tolist())

    @property
    def std(self) -> tuple[float, ...]:
        return tuple(self._std_C.tolist())

    @property
    def train_count(self) -> int:
        return len(self._sets["train"][1])

    @property
    def has_test(self) -> bool:
        """Whether there is a test split: always, but for an image folder without test/."""
        return self._has_folder("test") or (self._own is None and self.name != "image_folder")

    @property
    def test_images(self) -> tuple[Images, Tensor]:
        """The test images at rest, and the numbers of those that count; after setup("test")."""
        return self._sets["test"]

    @property
    def skipped(self) -> list[str]:
        """The broken files left out so far."""
        read = {id(images): images for images, _ in self._sets.values()}
        return [path for images in read.values() for path in images.skipped]

    def normalise_like(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Use these, per channel in [0, 1], instead of the measured ones: those that a network was trained with."""
        assert len(mean) == len(std) == self.in_channels, "one mean and one std a channel"
        self._mean_C, self._std_C = (torch.tensor(values, dtype=torch.float64) for values in (mean, std))

    def recipe(self) -> dict[str, object] | None:
        """See `Data`."""
        if self._own is not None and not self._own.factory:
            return None
        arguments = {name: plain(value) for name, value in self.arguments.items() if name != "source"}
        record: dict[str, object] = {"target": f"{ImageData.__module__}.ImageData", "arguments": arguments}
        return record | ({"factory": self._own.factory} if self._own is not None else {})

    def describe(self) -> dict[str, object]:
        """Plain facts for the run record."""
        return {
            "name": self.name,
            "root": None if self.name == "digits" or self._own is not None else str(self._root),
            "source": self._spec.source,
            "images": {split: len(index_N) for split, (_, index_N) in self._sets.items()},
            "validation_from": "val/" if self._has_folder("val") else "train",
            "image_size": list(self.image_size),
            "channels": self.in_channels,
            "class_names": list(self.class_names),
            "mean": list(self.mean),
            "std": list(self.std),
            "in_memory": self._rests_in_memory(self._training),
            "skipped": self.skipped,
        }

    def patches(self, size: int, count: int, seed: int) -> Tensor:
        """Random windows of the training images, (count, C, size, size) float32 in [0, 1], not normalised.

        Raises ValueError if `size` exceeds the images.
        """
        images, index_N = self._sets["train"]
        return image_sets.patches(images, index_N, size, count, generator_for(seed, Purpose.PATCHES))

    # Loaders

    def to_device(self, device: torch.device | str) -> "ImageData":
        """Let the loaders give batches on `device`. Under a trainer its own device is used instead."""
        self._device = torch.device(device)
        return self

    def train_dataloader(self) -> EpochLoader:
        """Shuffled and augmented, without the last incomplete batch."""
        return self._loader("train", self._batch_size, training=True)

    def val_dataloader(self) -> EpochLoader:
        """In order, all of them, not augmented."""
        return self._loader("validation", self._eval_batch_size, training=False)

    def test_dataloader(self) -> EpochLoader:
        """As validation. Raises UsageError if there is no test split."""
        if not self.has_test:
            where = f"no test/ in {self._root.absolute()}" if self._own is None else "no test split"
            raise UsageError(f"{self.name}: {where}, so there is nothing to test on")
        return self._loader("test", self._eval_batch_size, training=False)

    def loader_of(self, images: TensorImages) -> EpochLoader:
        """Images of another origin, such as corrupted ones: as validation."""
        self._sets["given"] = _all_of(images)
        return self._loader("given", self._eval_batch_size, training=False)

    def _loader(self, split: str, batch_size: int, training: bool) -> EpochLoader:
        assert split in self._sets, f"setup() for {split} comes first"
        trainer, device = self.trainer, self._device
        rank, world_size = 0, 1
        if trainer is not None:
            device, rank, world_size = trainer.strategy.root_device, trainer.global_rank, trainer.world_size
        images, index_N = self._sets[split]
        order = BatchOrder(index_N, batch_size, self.seed, training, rank, world_size)
        augmentation = self._augmentation if training and self._augmentation.is_on else None
        finish = Finish(self._mean_C, self._std_C, augmentation, order)
        if isinstance(images, TensorImages) and self._rests_in_memory(images):
            return InMemoryLoader(self._placed(images, device), order, finish, device)
        return StreamingLoader(images, order, finish, device, self._workers)

    def _rests_in_memory(self, images: Images) -> bool:
        return isinstance(images, TensorImages) and self._in_memory is not False

    def _placed(self, images: TensorImages, device: torch.device) -> TensorImages:
        """The set on the device, moved once, or left where it is if it would fill the device."""
        if self._source is not None:
            return self._source._placed_for_all(images, device)
        here = images.image_NCHW.device
        if here == device or not _has_room(device, images.image_NCHW.nbytes):
            return images
        moved = images.to(device)
        for split, (known, index_N) in self._sets.items():
            if known is images:
                self._sets[split] = (moved, index_N)
        return moved

    def _placed_for_all(self, images: TensorImages, device: torch.device) -> TensorImages:
        if id(images) not in self._placed_once:
            there = images.image_NCHW.device == device or not _has_room(device, images.image_NCHW.nbytes)
            self._placed_once[id(images)] = images, images if there else images.to(device)
        return self._placed_once[id(images)][1]


def _all_of(images: Images) -> tuple[Images, Tensor]:
    return images, torch.arange(len(images))


def _has_room(device: torch.device, size: int) -> bool:
    """Whether `size` bytes fill at most half of what is free on the device."""
    return device.type != "cuda" or size <= torch.cuda.mem_get_info(device)[0] / 2
