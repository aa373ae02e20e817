"""Which runs a study is made of, which of them train together, and the file that holds a group's results."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, TypeGuard

from cnnlab._choices import UsageError
from cnnlab._files import write_text
from cnnlab._targets import current_text
from cnnlab.studies.arms import Arm

SEARCH_SEEDS = 1000  # the first seed of the search for learning rates: no other number of the study has seen it


@dataclass(frozen=True)
class Condition:
    """train_size: None for all images. lr: None where it is searched for or that of the optimizer."""

    train_size: int | None
    epochs: int
    lr: float | None = None

    @property
    def size(self) -> int | str:
        """The number of images, or "all"."""
        return "all" if self.train_size is None else self.train_size


@dataclass(frozen=True)
class Run:
    """One network to be trained. lr: None for that of the optimizer."""

    arm: Arm
    condition: Condition
    seed: int
    lr: float | None


@dataclass(frozen=True)
class Group:
    """Runs of one condition that train together; `name` is that of the file that holds its results."""

    name: str
    runs: tuple[Run, ...]


def read_seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """16 means 0 to 15; a list is taken as it is. UsageError for none, or one that is given twice."""
    if _is_integer(seeds):
        if not 1 <= seeds <= SEARCH_SEEDS:
            raise UsageError(f"seeds={seeds}: from 1 to {SEARCH_SEEDS} of them")
        return tuple(range(seeds))
    if not isinstance(seeds, list | tuple | range) or not seeds:
        raise UsageError(f"seeds={seeds}: a number of them, or a list such as [0,1,2]")
    for seed in seeds:
        if not _is_integer(seed) or not 0 <= seed < SEARCH_SEEDS:
            raise UsageError(f"seeds: {seed!r} is not an integer from 0 to {SEARCH_SEEDS - 1}")
    if len(set(seeds)) < len(seeds):
        raise UsageError(f"seeds={list(seeds)}: one is given twice")
    return tuple(seeds)


def read_conditions(
    train_sizes: Sequence[int | str],
    epochs: int | Sequence[int] | Mapping[str, int | Sequence[int]],
    learning_rates: Sequence[float] | None,
) -> tuple[Condition, ...]:
    """Every combination, in order. train_sizes: numbers or "all". epochs: a number, a list, or either by size.

    learning_rates: None, or numbers of which each is a condition. UsageError for what is invalid.
    """
    if not isinstance(train_sizes, list | tuple) or not train_sizes:
        raise UsageError(f"train_sizes={train_sizes}: a list such as [50,300,all]")
    conditions = []
    for size in train_sizes:
        if size != "all" and not (_is_integer(size) and size >= 1):
            raise UsageError(f"train_sizes: {size!r} is neither a number of images nor all")
        for count in _epochs(size, epochs):
            for lr in learning_rates or (None,):
                conditions.append(Condition(None if isinstance(size, str) else size, count, lr))
    if len(set(conditions)) < len(conditions):
        raise UsageError("train_sizes, epochs, learning rates: one condition is given twice")
    return tuple(conditions)


def _epochs(size: int | str, epochs: int | Sequence[int] | Mapping[str, int | Sequence[int]]) -> list[int]:
    if isinstance(epochs, Mapping):
        by_size = {str(key): value for key, value in epochs.items()}
        if str(size) not in by_size:
            raise UsageError(f"epochs: none for train_sizes {size}; valid: {', '.join(by_size)}")
        epochs = by_size[str(size)]
    counts = list(epochs) if isinstance(epochs, Sequence) else [epochs]
    for count in counts:
        if not _is_integer(count) or count < 1:
            raise UsageError(f"epochs: {count!r} for {size} images; an integer from 1 on")
    return counts


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def condition_words(conditions: Sequence[Condition]) -> dict[Condition, str]:
    """Each in words: the images, and of epochs and learning rate what tells two conditions apart."""
    sizes = {condition.train_size for condition in conditions}
    by_size = {(condition.train_size, condition.epochs) for condition in conditions}
    rates = {condition.lr for condition in conditions}
    words = {}
    for condition in conditions:
        parts = ["all images" if condition.train_size is None else f"{condition.train_size:,} images"]
        parts += [f"{condition.epochs} epochs"] if len(by_size) > len(sizes) else []
        parts += [f"lr {condition.lr:g}"] if len(rates) > 1 else []
        words[condition] = ", ".join(parts)
    return words


def search_groups(
    arms: Sequence[Arm], conditions: Sequence[Condition], rates: Sequence[float], seeds: int, at_once: int
) -> list[Group]:
    """The search for a learning rate, the same for every arm and condition."""
    seed_range = range(SEARCH_SEEDS, SEARCH_SEEDS + seeds)
    return _cut(
        "search", conditions, at_once, lambda c: [Run(a, c, s, lr) for s in seed_range for a in arms for lr in rates]
    )


def run_groups(
    arms: Sequence[Arm], conditions: Sequence[Condition], seeds: Sequence[int],
    rates: Mapping[tuple[str, Condition], float], at_once: int,
) -> list[Group]:  # fmt: skip
    """The runs that count. rates: what the search chose, by name of the arm and condition; {} without one."""

    def runs(condition: Condition) -> list[Run]:
        return [Run(a, condition, s, rates.get((a.name, condition), condition.lr)) for s in seeds for a in arms]

    return _cut("runs", conditions, at_once, runs)


def _cut(
    name: str, conditions: Sequence[Condition], at_once: int, runs_of: Callable[[Condition], list[Run]]
) -> list[Group]:
    """Groups of nearly equal size, at most `at_once`; one seed's arms lie together, since they share their batches."""
    groups = []
    for number, condition in enumerate(conditions):
        runs = runs_of(condition)
        count = -(-len(runs) // at_once)
        for part in range(count):
            chosen = runs[part * len(runs) // count : (part + 1) * len(runs) // count]
            groups.append(Group(f"{name}_{number}_{part:03}", tuple(chosen)))
    return groups


@dataclass(frozen=True)
class Plan:
    """What is measured before the first run, and then stays: other memory or another machine would make other groups.

    at_once: runs of a group. variances: of the principal components of training patches, falling. corruptions: (name,
    severity), all spelt out. data: as they describe themselves, before subsets.
    """

    at_once: int
    variances: list[float]
    corruptions: list[tuple[str, int]]
    data: dict[str, Any]


class Drift(TypedDict, total=False):
    """The kernels after `epoch` epochs: cosine with the start and distance from it, and the energy profile (D,).

    likeness, whitening: correlation of the profile with the reference's last one, and with whitening; added later.
    """

    epoch: int
    cosine: float | None
    distance: float | None
    profile: list[float]
    likeness: float
    whitening: float


class SearchPart(TypedDict):
    """What is left of a run of the search. diverged: the first epoch without a finite loss."""

    arm: str
    seed: int
    lr: float
    val_accuracy: float
    val_loss: float
    diverged: int | None
    seconds: float


class Part(SearchPart):
    """And of a run that counts. curve: (step, validation accuracy). kernels: before and after, (O, C, h, w)."""

    accuracy: float
    loss: float
    train_loss: float
    curve: list[tuple[int, float]]
    corrupted: dict[str, float]  # NAME/SEVERITY -> accuracy
    drift: list[Drift]
    kernels: list[list[object]]


def write_part(path: Path, parts: Sequence[SearchPart]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(parts) + "\n")


def missing(groups: Sequence[Group], folder: Path) -> list[Group]:
    """Those that are still to be trained."""
    return [group for group in groups if not (folder / f"{group.name}.json").is_file()]


def read_parts(groups: Sequence[Group], folder: Path) -> list[tuple[Run, Part]]:
    """Every run of the groups that are there. UsageError for a file of other runs or rates.

    Those of a search have no more than a SearchPart.
    """
    found: list[tuple[Run, Part]] = []
    for group in groups:
        path = folder / f"{group.name}.json"
        if not path.is_file():
            continue
        try:
            parts = json.loads(current_text(path.read_text()))
            same = len(parts) == len(group.runs) and all(map(_is_of, parts, group.runs))
        except (ValueError, KeyError, TypeError):
            same = False
        if not same:
            raise UsageError(f"{path} holds other runs than the study asks for; remove it and resume")
        found += zip(group.runs, parts, strict=True)
    return found


def _is_of(part: Part, run: Run) -> bool:
    return (part["arm"], part["seed"]) == (run.arm.name, run.seed) and run.lr in (None, part["lr"])
