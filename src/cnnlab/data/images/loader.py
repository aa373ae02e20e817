"""Loaders: batches of (image_BCHW float32 normalised, label_B int64) on the device. N images, B batch.

Both kinds of loader give the same batches; they differ in where the images rest. A batch is a pure function
of (seed, epoch, batch, rank): no state is carried from batch to batch, so a resumed run sees what an
uninterrupted one would have seen.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from cnnlab.data.images.augmentation import Augmentation
from cnnlab.data.images.images import Images, TensorImages
from cnnlab.data.images.order import BatchOrder, Purpose, generator_for


class Finish:
    """uint8 batch -> normalised float32 batch, augmented where there is an augmentation."""

    def __init__(self, mean_C: Tensor, std_C: Tensor, augmentation: Augmentation | None, order: BatchOrder) -> None:
        """mean_C, std_C: (C,) of images in [0, 1]."""
        # (x / 255 - mean) / std as one product and one sum.
        self._scale_C11 = (1 / (255 * std_C)).float()[:, None, None]
        self._shift_C11 = (-mean_C / std_C).float()[:, None, None]
        self._augmentation = augmentation
        self._order = order

    def to(self, device: torch.device) -> None:
        """Move the two constants."""
        self._scale_C11 = self._scale_C11.to(device)
        self._shift_C11 = self._shift_C11.to(device)

    def __call__(self, image_BCHW: Tensor, epoch: int, batch: int) -> Tensor:
        image_BCHW = image_BCHW.float().mul_(self._scale_C11).add_(self._shift_C11)
        if self._augmentation is None:
            return image_BCHW
        # Every rank draws its own: the batches of one step are numbered across the ranks.
        number = batch * self._order.world_size + self._order.rank
        generator = generator_for(self._order.seed, Purpose.AUGMENTATION, epoch, number)
        return self._augmentation(image_BCHW, generator)


class EpochLoader:
    """What all loaders share: passes are epochs, numbered from 0, and can be entered at any batch.

    Iterating gives epoch 0, then 1, and so on; `set_epoch` chooses the next one. Lightning calls it, and
    saves and loads the state, so that a resumed fit goes on at the next batch.
    """

    batch_sampler = None  # Lightning looks for it beside `sampler`

    def __init__(self, order: BatchOrder, device: torch.device) -> None:
        self.order = order
        self.device = device
        self._epoch = 0
        self._position = (0, 0)  # epoch, batches given
        self._restored = False

    @property
    def sampler(self) -> "EpochLoader":
        """Itself: Lightning calls `loader.sampler.set_epoch(epoch)` at the start of each epoch."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next pass."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self.order)

    def state_dict(self) -> dict[str, int]:
        """The epoch of the running or last pass, and how many of its batches were given."""
        return {"epoch": self._position[0], "batch": self._position[1]}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where `state_dict` was taken: in the same epoch, after the batches given."""
        self._position = (state["epoch"], state["batch"])
        self._epoch = state["epoch"]
        self._restored = True

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch = self._epoch
        start = self._position[1] if self._restored and self._position[0] == epoch else 0
        self._restored = False
        self._epoch = epoch + 1
        self._position = (epoch, start)
        for batch, pair in enumerate(self._finished(epoch, start), start):
            self._position = (epoch, batch + 1)
            yield pair

    def _finished(self, epoch: int, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Finished batches on the device, from batch `start` on."""
        raise AssertionError("each kind of loader reads its own batches")


class LabelledLoader(EpochLoader):
    """What the loaders of labelled images share: the batches at rest, and what finishes them."""

    def __init__(self, order: BatchOrder, finish: Finish, device: torch.device) -> None:
        super().__init__(order, device)
        self._finish = finish
        self._finish.to(device)

    def _finished(self, epoch: int, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        for batch, (image_BCHW, label_B) in enumerate(self._raw_batches(epoch, start), start):
            yield self._finish(image_BCHW, epoch, batch), label_B

    def _raw_batches(self, epoch: int, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(uint8, int64) batches on the device, from batch `start` on."""
        raise AssertionError("each kind of loader reads its own batches")


class InMemoryLoader(LabelledLoader):
    """Batches selected from one tensor; if that is not on `device`, each batch is moved there."""

    def __init__(self, images: TensorImages, order: BatchOrder, finish: Finish, device: torch.device) -> None:
        super().__init__(order, finish, device)
        self._image_NCHW, self._label_N = images.image_NCHW, images.label_N

    def _raw_batches(self, epoch: int, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        for index_B in self.order.batches(epoch, self._image_NCHW.device)[start:]:
            # index_select, not [index]: an eighth of the time on a CPU.
            image_BCHW = self._image_NCHW.index_select(0, index_B)
            yield image_BCHW.to(self.device), self._label_N.index_select(0, index_B).to(self.device)


class StreamingLoader(LabelledLoader):
    """Batches read by worker processes while the device works; the same batches as in memory."""

    def __init__(self, images: Images, order: BatchOrder, finish: Finish, device: torch.device, workers: int) -> None:
        super().__init__(order, finish, device)
        self._batches: list[list[int]] = []
        self._loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
            images,  # type: ignore[arg-type]  # a map-style dataset, as torch's Dataset has it, without its base class
            batch_sampler=self._batches,  # filled in anew for each pass, in this process
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # its own, else each pass would advance torch's global one
        )

    def _raw_batches(self, epoch: int, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        self._batches[:] = [index_B.tolist() for index_B in self.order.batches(epoch)[start:]]
        for image_BCHW, label_B in self._loader:
            yield image_BCHW.to(self.device, non_blocking=True), label_B.to(self.device, non_blocking=True)
