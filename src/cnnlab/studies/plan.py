"""Which runs a study is made of, and which of them train together. No torch here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnlab._choices import UsageError
from cnnlab.studies.arms import Arm

SEARCH_SEEDS = 1000  # the first seed of the search for learning rates: no other number of the study has seen it


@dataclass(frozen=True)
class Condition:
    """train_size: None for all images. lr: None where it is searched for or that of the optimizer."""

    train_size: int | None
    epochs: int
    lr: float | None = None


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


def read_seeds(seeds: Any) -> list[int]:
    """16 means 0 to 15; a list is taken as it is. ValueError for none, or one that is given twice."""
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        if not 1 <= seeds <= SEARCH_SEEDS:
            raise UsageError(f"seeds={seeds}: from 1 to {SEARCH_SEEDS} of them")
        return list(range(seeds))
    if not isinstance(seeds, Sequence) or isinstance(seeds, str) or not seeds:
        raise UsageError(f"seeds={seeds}: a number of them, or a list such as [0,1,2]")
    for seed in seeds:
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < SEARCH_SEEDS:
            raise UsageError(f"seeds: {seed!r} is no whole number from 0 to {SEARCH_SEEDS - 1}")
    if len(set(seeds)) < len(seeds):
        raise UsageError(f"seeds={list(seeds)}: one is given twice")
    return list(seeds)


def read_conditions(train_sizes: Any, epochs: Any, learning_rates: Any) -> list[Condition]:
    """Every combination, in order. train_sizes: numbers or "all". epochs: a number, a list, or either by size.

    learning_rates: None, or numbers of which each is a condition. ValueError for what can't be.
    """
    if not isinstance(train_sizes, Sequence) or isinstance(train_sizes, str) or not train_sizes:
        raise UsageError(f"train_sizes={train_sizes}: a list such as [50,300,all]")
    found = []
    for size in train_sizes:
        if size != "all" and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
            raise UsageError(f"train_sizes: {size!r} is neither a number of images nor all")
        for count in _epochs(size, epochs):
            for lr in learning_rates or [None]:
                found.append(Condition(None if size == "all" else size, count, lr))
    if len(set(found)) < len(found):
        raise UsageError("train_sizes, epochs, learning rates: one condition is given twice")
    return found


def _epochs(size: Any, epochs: Any) -> list[int]:
    if isinstance(epochs, Mapping):
        by_size = {str(key): value for key, value in epochs.items()}
        if str(size) not in by_size:
            raise UsageError(f"epochs: none for train_sizes {size}; there are: {', '.join(by_size)}")
        epochs = by_size[str(size)]
    counts = list(epochs) if isinstance(epochs, Sequence) and not isinstance(epochs, str) else [epochs]
    for count in counts:
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise UsageError(f"epochs: {count!r} for {size} images; a whole number from 1 on")
    return counts


def condition_words(conditions: Sequence[Condition]) -> dict[Condition, str]:
    """Each in words: the images, and of epochs and learning rate what tells two conditions apart."""
    sizes = {one.train_size for one in conditions}
    by_size = {(one.train_size, one.epochs) for one in conditions}
    rates = {one.lr for one in conditions}
    words = {}
    for one in conditions:
        parts = ["all images" if one.train_size is None else f"{one.train_size:,} images"]
        parts += [f"{one.epochs} epochs"] if len(by_size) > len(sizes) else []
        parts += [f"lr {one.lr:g}"] if len(rates) > 1 else []
        words[one] = ", ".join(parts)
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


def _cut(name: str, conditions: Sequence[Condition], at_once: int, runs_of: Any) -> list[Group]:
    """Groups of nearly equal size, at most `at_once`; one seed's arms lie together, since they share their batches."""
    groups = []
    for number, condition in enumerate(conditions):
        runs = runs_of(condition)
        count = -(-len(runs) // at_once)
        for part in range(count):
            chosen = runs[part * len(runs) // count : (part + 1) * len(runs) // count]
            groups.append(Group(f"{name}_{number}_{part:03}", tuple(chosen)))
    return groups
