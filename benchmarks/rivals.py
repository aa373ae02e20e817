"""What cnnlab's training is measured against: a bare loop, and Lightning as popular templates use it."""

import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from torchmetrics import MaxMetric, MeanMetric
from torchmetrics.classification import MulticlassAccuracy
from torchvision import transforms
from torchvision.datasets import MNIST

MEAN, STD = (0.1307,), (0.3081,)


def conv_8_16_32() -> nn.Module:
    """The network of all ways in the epoch benchmark."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 8), (8, 16), (16, 32)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 9, 10))


def linear() -> nn.Module:
    """A trivial model: what is left is the loop around it."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def classic() -> nn.Module:
    """The network of PyTorch's own MNIST example: conv 32, conv 64, pool, dropout, dense 128, dropout."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.25),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
    )  # fmt: skip


def sgd(parameters: Any, steps: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps)


def bare_loop(network: nn.Module, train: Any, validation: Any, epochs: int, device: str = "cpu") -> list[float]:
    """Seconds of each epoch, validation included, of a loop without anything around it."""
    network.to(device, memory_format=torch.channels_last)
    optimizer, schedule = sgd(network.parameters(), epochs * len(train))
    seconds = []
    for epoch in range(epochs):
        start = time.perf_counter()
        network.train()
        train.set_epoch(epoch)
        for image_BCHW, label_B in train:
            optimizer.zero_grad()
            F.cross_entropy(network(image_BCHW), label_B).backward()
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            hits = sum(int((network(image).argmax(1) == label).sum()) for image, label in validation)
        assert hits > 0
        seconds.append(time.perf_counter() - start)
    return seconds


class TemplateModule(pl.LightningModule):
    """A classifier as the popular Lightning + Hydra templates write it: metrics and logs in every step."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.train_accuracy, self.val_accuracy = MulticlassAccuracy(10), MulticlassAccuracy(10)
        self.train_loss, self.val_loss, self.best = MeanMetric(), MeanMetric(), MaxMetric()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        logits = self.network(batch[0])
        loss = F.cross_entropy(logits, batch[1])
        self.train_loss(loss)
        self.train_accuracy(logits.argmax(1), batch[1])
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True, prog_bar=True)
        self.log("train/acc", self.train_accuracy, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        logits = self.network(batch[0])
        self.val_loss(F.cross_entropy(logits, batch[1]))
        self.val_accuracy(logits.argmax(1), batch[1])
        self.log("val/loss", self.val_loss, on_step=False, on_epoch=True, prog_bar=True)
        self.log("val/acc", self.val_accuracy, on_step=False, on_epoch=True, prog_bar=True)

    def on_validation_epoch_end(self) -> None:
        self.best(self.val_accuracy.compute())
        self.log("val/acc_best", self.best.compute(), prog_bar=True)

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer, schedule = sgd(self.parameters(), int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class EpochClock(pl.Callback):
    """Seconds from the start of each epoch to the start of the next, or to the end of the fit."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def on_train_epoch_start(self, *args: Any) -> None:
        self.starts.append(time.perf_counter())

    def on_train_end(self, *args: Any) -> None:
        self.starts.append(time.perf_counter())

    def seconds(self) -> list[float]:
        return [end - start for start, end in zip(self.starts, self.starts[1:], strict=False)]


def template_data(root: Path, workers: int, train_index: list[int], val_index: list[int]) -> list[DataLoader]:
    """Per-image transforms and a DataLoader, over the same images as cnnlab's."""
    normalise = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    images = MNIST(str(root), train=True, transform=normalise)
    return [
        DataLoader(Subset(images, train_index), 128, shuffle=True, drop_last=True, num_workers=workers),
        DataLoader(Subset(images, val_index), 128, num_workers=workers),
    ]


def template_fit(network: nn.Module, loaders: list[DataLoader], epochs: int, folder: Path) -> list[float]:
    clock = EpochClock()
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", num_sanity_val_steps=0, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, logger=CSVLogger(folder),
        callbacks=[clock, ModelCheckpoint(folder, monitor="val/acc", mode="max", save_last=True)],
    )  # fmt: skip
    trainer.fit(TemplateModule(network), *loaders)
    return clock.seconds()


def classic_seconds_to(goal: float, root: Path, seed: int, most_epochs: int) -> tuple[float, float]:
    """Seconds of training until the test accuracy is at `goal` after an epoch, and that accuracy.

    The recipe of PyTorch's MNIST example: batch 64, Adadelta with lr 1, times 0.7 an epoch, per-image transforms.
    Testing is not counted.
    """
    torch.manual_seed(seed)
    normalise = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    train = DataLoader(MNIST(str(root), train=True, transform=normalise), 64, shuffle=True)
    test = DataLoader(MNIST(str(root), train=False, transform=normalise), 1000)
    network = classic()
    optimizer = torch.optim.Adadelta(network.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.7)
    seconds, accuracy = 0.0, 0.0
    for _ in range(most_epochs):
        start = time.perf_counter()
        network.train()
        for image_BCHW, label_B in train:
            optimizer.zero_grad()
            F.cross_entropy(network(image_BCHW), label_B).backward()
            optimizer.step()
        schedule.step()
        seconds += time.perf_counter() - start
        network.eval()
        with torch.no_grad():
            accuracy = sum(int((network(image).argmax(1) == label).sum()) for image, label in test) / 10_000
        if accuracy >= goal:
            break
    return seconds, accuracy
