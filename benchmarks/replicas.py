"""How many training runs a minute: replicas trained together against one after another, in one process, side by side.

python benchmarks/replicas.py [--data FOLDER] [--rounds N] [--threads N] [--seconds wall|process] [PART ...]

digits  16 replicas (8 seeds x a trainable and a frozen first layer) of the default network on digits
narrow  the same with widths 16, 32: a quarter of the arithmetic
mnist   16 replicas on 1,000 images of MNIST
floor   one step by parts: what the convolutions alone take, and so the most that any stacking can gain
gpu     64 replicas on 10,000 images of MNIST, where there is a GPU

All ways do the same work: the same batches, epochs and schedule, validation after every epoch, the test split at the
end. `bare` is a loop without anything around it, `cnnlab` is ClassificationTask under a Trainer that keeps no files.
With several threads there is one more way on a CPU: the replicas split over as many processes of one thread each, as a
study does it. `--seconds process` counts this process's time instead, for a machine that others use; with one thread.
"""

import argparse
import copy
import logging
import multiprocessing
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import rivals
import torch
import torch.nn.functional as F
from rich import box
from rich.progress import track
from rich.table import Table
from tables import console, print_machine
from torch import Tensor, nn

from cnnlab import ImageData, SmallCNN
from cnnlab.training.fit import fit, quiet_advice
from cnnlab.training.recipe import SGD
from cnnlab.training.replicas.replicated import QUIET, losses_and_hits, train_together
from cnnlab.training.replicas.stacked import StackedNetwork
from cnnlab.training.schedules import OneCycle
from cnnlab.training.tasks.classification import ClassificationTask

MODES = ("trainable", "frozen")
WIDTHS, NARROW = (32, 64, 128), (16, 32)
CLOCKS = {"wall": time.perf_counter, "process": time.process_time}
clock = time.perf_counter


@dataclass(frozen=True)
class Work:
    """What is trained: seeds x a trainable and a frozen first layer of SmallCNN on a data set."""

    root: Path
    seeds: Sequence[int]
    device: str
    epochs: int
    data: Mapping[str, object]  # arguments of ImageData
    network: Mapping[str, object]  # of SmallCNN
    precision: str = "32-true"


class Runs:
    """The same runs in three ways; networks and data are made before the clock starts."""

    def __init__(self, work: Work) -> None:
        self.work, self.device, self.epochs = work, work.device, work.epochs
        self.precision = work.precision
        self.seeds = [seed for seed in work.seeds for _ in MODES]
        modules = {seed: ImageData(root=str(work.root), seed=seed, **work.data) for seed in work.seeds}
        for module in modules.values():
            module.setup()
        self.data = [modules[seed].to_device(work.device) for seed in self.seeds]
        self.networks = [self._network(seed, mode, modules[seed]) for seed in work.seeds for mode in MODES]

    def _network(self, seed: int, mode: str, data: ImageData) -> SmallCNN:
        torch.manual_seed(seed)
        return SmallCNN(
            mode=mode, in_channels=data.in_channels, num_classes=data.num_classes, image_size=data.image_size,
            **self.work.network,
        )  # fmt: skip

    def bare(self) -> None:
        for network, data in zip(copy.deepcopy(self.networks), self.data, strict=True):
            loaders = data.train_dataloader(), data.val_dataloader()
            rivals.bare_loop(network, *loaders, self.epochs, self.device)
            with torch.no_grad():
                sum(int((network(image).argmax(1) == label).sum()) for image, label in data.test_dataloader())

    def cnnlab(self) -> None:
        for seed, network, data in zip(self.seeds, copy.deepcopy(self.networks), self.data, strict=True):
            trainer = pl.Trainer(
                max_epochs=self.epochs, **{**QUIET, "accelerator": "auto", "precision": self.precision}
            )
            task = ClassificationTask(network, list(data.class_names), SGD, OneCycle(), seed, {})
            fit(task, data, trainer, channels_last=True)
            trainer.test(task, datamodule=data, verbose=False)

    def together(self) -> None:
        train_together(
            self.networks, self.data, epochs=self.epochs, seeds=self.seeds, optimizer=SGD, schedule=OneCycle(),
            evaluations={"test": ImageData.test_dataloader}, trainer={"precision": self.precision},
        )  # fmt: skip


@contextmanager
def in_processes(runs: Runs, count: int) -> Iterator[Callable[[], None]]:
    """`runs.together()` split over processes of one thread, which are there with networks and data beforehand."""
    context, pipes, processes = multiprocessing.get_context("spawn"), [], []
    for number in range(count):
        here, there = context.Pipe()
        work = replace(runs.work, seeds=list(runs.work.seeds)[number::count])
        processes.append(context.Process(target=serve, args=(there, work), daemon=True))
        processes[-1].start()
        pipes.append(here)
    for pipe in pipes:
        pipe.recv()

    def together() -> None:
        for pipe in pipes:
            pipe.send(True)
        for pipe in pipes:
            pipe.recv()

    yield together
    for process in processes:
        process.terminate()
        process.join()


def serve(pipe: Connection, work: Work) -> None:
    quiet()
    torch.set_num_threads(1)
    runs = Runs(work)
    pipe.send("ready")
    while pipe.recv():
        runs.together()
        pipe.send("done")


def compare(title: str, runs: Runs, rounds: int) -> None:
    ways: dict[str, Callable[[], None]] = {
        "one after another, bare loop": runs.bare,
        "one after another, cnnlab": runs.cnnlab,
        "together": runs.together,
    }
    count = torch.get_num_threads()
    if runs.device == "cuda" or count == 1 or clock is time.process_time:
        return print_ratios(title, runs, timed(title, runs, ways, rounds))
    with in_processes(runs, count) as together:
        seconds = timed(title, runs, {**ways, f"together, in {count} processes": together}, rounds)
    print_ratios(title, runs, seconds)


def timed(title: str, runs: Runs, ways: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in track(range(rounds), description=title, transient=True):
        for name, way in ways.items():
            start = clock()
            way()
            if runs.device == "cuda":
                torch.cuda.synchronize()
            seconds[name].append(clock() - start)
    return seconds


def print_ratios(title: str, runs: Runs, seconds: dict[str, list[float]]) -> None:
    """The last way against each of the others."""
    *_, last = seconds
    table = Table(title=title, box=box.SIMPLE, title_justify="left")
    for name in ("", "best s", "runs a minute", "the last is faster: best to best", "median", "least", "most"):
        table.add_column(name, justify="left" if name == "" else "right")
    for name, times in seconds.items():
        ratios = sorted(theirs / our for theirs, our in zip(times, seconds[last], strict=True))
        best = min(times)
        numbers = best, 60 * len(runs.networks) / best, best / min(seconds[last])
        spread = statistics.median(ratios), ratios[0], ratios[-1]
        table.add_row(name, *(f"{number:.2f}" for number in (*numbers, *spread)))
    console.print(table)


def on_digits(root: Path, widths: Sequence[int]) -> Runs:
    return Runs(Work(root, range(8), "cpu", 5, {"name": "digits", "batch_size": 64}, {"widths": widths}))


def digits(root: Path, rounds: int, widths: Sequence[int] = WIDTHS) -> None:
    compare(f"digits, 16 replicas, 5 epochs, widths {list(widths)}", on_digits(root, widths), rounds)


def narrow(root: Path, rounds: int) -> None:
    digits(root, rounds, NARROW)


def mnist(root: Path, rounds: int) -> None:
    data = {"name": "mnist", "train_size": 1000, "validation": 0.02}
    title = "MNIST, 1,000 images, 16 replicas, 4 epochs, 1,200 images to validate, 10,000 to test"
    compare(title, Runs(Work(root, range(8), "cpu", 4, data, {})), rounds)


def gpu(root: Path, rounds: int) -> None:
    if not torch.cuda.is_available():
        console.print("gpu: torch finds none here")
        return
    work = Work(root, range(32), "cuda", 3, {"name": "mnist", "train_size": 10_000}, {}, "bf16-mixed")
    compare("MNIST, 10,000 images, 64 replicas, 3 epochs, GPU", Runs(work), rounds)


def floor(root: Path, rounds: int) -> None:
    """Milliseconds a replica of one step on digits: the least over many turns."""
    for widths in (WIDTHS, NARROW):
        runs = on_digits(root, widths)
        steps = step_ways(runs)
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(3 * rounds):
            for name, step in steps.items():
                start = clock()
                step()
                seconds[name].append((clock() - start) / len(runs.networks))
        best = {name: min(times[1:]) * 1e3 for name, times in seconds.items()}
        title = f"ms a step and replica, widths {list(widths)}"
        alone = best["separate steps"]
        console.print(title + ": " + "; ".join(f"{k} {v:.2f} ({alone / v:.2f}x)" for k, v in best.items()))


def step_ways(runs: Runs) -> dict[str, Callable[[], None]]:
    """Forward, backward and the optimizer's step, each network alone and all together; the convolutions alone."""
    networks = [n.to(memory_format=torch.channels_last) for n in copy.deepcopy(runs.networks)]
    batches = [next(iter(data.train_dataloader())) for data in runs.data]
    image_RBCHW, label_RB = (torch.stack(parts) for parts in zip(*batches, strict=True))
    stack = StackedNetwork(runs.networks)
    options = {"lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    optimizers = [torch.optim.SGD(net.parameters(), **options) for net in networks]
    whole = torch.optim.SGD(stack.parameters(), **options)
    calls = convolutions(networks[0], batches[0][0])

    def separate() -> None:
        for network, optimizer, (image, label) in zip(networks, optimizers, batches, strict=True):
            optimizer.zero_grad()
            F.cross_entropy(network(image), label).backward()
            optimizer.step()

    def stacked() -> None:
        whole.zero_grad()
        losses_and_hits(stack(image_RBCHW), label_RB)[0].sum().backward()
        whole.step()

    def bound() -> None:
        for _ in networks:
            for layer, value, gradient in calls:
                torch.autograd.grad(layer(value), (value, layer.weight), gradient)

    return {"separate steps": separate, "stacked step": stacked, "the convolutions of the separate steps": bound}


def convolutions(network: nn.Module, image_BCHW: Tensor) -> list[tuple[nn.Module, Tensor, Tensor]]:
    """Every convolution of the trunk with an input and a gradient of its shape."""
    calls: list[tuple[nn.Module, Tensor, Tensor]] = []

    def note(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        calls.append((layer, inputs[0].detach().clone().requires_grad_(), torch.randn_like(output)))

    hooks = [m.register_forward_hook(note) for m in network.modules() if isinstance(m, nn.Conv2d)]
    network(image_BCHW)
    for hook in hooks:
        hook.remove()
    return calls


def quiet() -> None:
    quiet_advice()
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning").setLevel(logging.ERROR)


def main() -> None:
    global clock
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"digits": digits, "narrow": narrow, "mnist": mnist, "floor": floor, "gpu": gpu}
    parser.add_argument("parts", nargs="*", help=", ".join(parts))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("CNNLAB_DATA", "data")))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--seconds", choices=CLOCKS, default="wall")
    arguments = parser.parse_args()
    clock = CLOCKS[arguments.seconds]
    quiet()
    torch.set_num_threads(arguments.threads)
    print_machine()
    for name in arguments.parts or parts:
        parts[name](arguments.data.resolve(), arguments.rounds)


if __name__ == "__main__":
    main()
