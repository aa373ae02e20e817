"""The data under a real Lightning trainer. B batch."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from cnnlab.data.images.module import ImageData

# Lightning 2.6 under torch 2.12 and later.
pytestmark = pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.*:FutureWarning")
Maker = Callable[..., ImageData]


class Recorder(LightningModule):
    """Trains one layer and keeps every batch it was given; `stop_at` ends the fit there, as a crash would."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)
        self.seen: list[tuple[int, int, Tensor]] = []
        self.stop_at = stop_at

    def training_step(self, batch: tuple[Tensor, Tensor], number: int) -> Tensor:
        image_BCHW, label_B = batch
        if self.global_step == self.stop_at:
            raise KeyboardInterrupt
        self.seen.append((self.current_epoch, number, image_BCHW.clone()))
        return nn.functional.cross_entropy(self.layer(image_BCHW.flatten(1)), label_B)

    def validation_step(self, batch: tuple[Tensor, Tensor], number: int) -> None:
        self.layer(batch[0].flatten(1))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Saver(Callback):
    """Saves when Lightning's ModelCheckpoint may: in the middle of an epoch, after it, after validation."""

    def __init__(self, path: Path, when: int | str) -> None:
        self.path, self.when = path, when

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        if isinstance(self.when, int) and trainer.global_step % self.when == 0:
            trainer.save_checkpoint(self.path)

    def on_train_epoch_end(self, trainer: Trainer, *_: object) -> None:
        if self.when == "epoch":
            trainer.save_checkpoint(self.path)

    def on_validation_end(self, trainer: Trainer, *_: object) -> None:
        if self.when == "validation":
            trainer.save_checkpoint(self.path)


def trainer(*callbacks: Callback) -> Trainer:
    return Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=3,
        logger=False,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )


@pytest.fixture
def values() -> dict[str, object]:
    return {"train_size": 96, "batch_size": 16, "shift": 1, "rotation": 10}


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize(
    ("when", "crash", "saved"),
    [(4, 10, 8), (5, 13, 10), (6, 15, 12), ("epoch", 13, 12), ("validation", 8, 6)],
)
def test_a_resumed_fit_sees_the_batches_of_an_uninterrupted_one(
    make_data: Maker,
    values: dict[str, object],
    tmp_path: Path,
    in_memory: bool,
    when: int | str,
    crash: int,
    saved: int,
) -> None:
    values["in_memory"], path = in_memory, tmp_path / "last.ckpt"
    torch.manual_seed(0)
    whole = Recorder()
    trainer().fit(whole, datamodule=make_data(None, **values))
    assert len(whole.seen) == 18
    assert len({image_BCHW.numpy().tobytes() for _, _, image_BCHW in whole.seen}) == 18

    torch.manual_seed(0)
    crashed = Recorder(stop_at=crash)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        trainer(Saver(path, when)).fit(crashed, datamodule=make_data(None, **values))
    resumed = Recorder()
    trainer().fit(resumed, datamodule=make_data(None, **values), ckpt_path=path)
    expected = whole.seen[saved:]
    assert [seen[:2] for seen in resumed.seen] == [seen[:2] for seen in expected]
    for (*_, image_BCHW), (*_, expected_BCHW) in zip(resumed.seen, expected, strict=True):
        assert torch.equal(image_BCHW, expected_BCHW)
    torch.testing.assert_close(resumed.layer.weight, whole.layer.weight, atol=0, rtol=0)


def test_a_trainer_puts_the_batches_on_its_device_and_shares_them_among_its_ranks(
    make_data: Maker, values: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_data(**values)
    whole = [image_BCHW for image_BCHW, _ in data.train_dataloader()]
    data.trainer = trainer()
    monkeypatch.setattr(Trainer, "world_size", 2)
    seen = []
    for rank in range(2):
        monkeypatch.setattr(Trainer, "global_rank", rank)
        loader = data.train_dataloader()
        assert (loader.order.rank, loader.order.world_size, len(loader)) == (rank, 2, 3)
        seen += [index for index_B in loader.order.batches(0) for index in index_B.tolist()]
    assert len(set(seen)) == 96 == sum(map(len, whole))
