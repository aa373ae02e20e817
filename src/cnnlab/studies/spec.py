"""What a study is asked, read from its configuration and checked before anything is trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from cnnlab._choices import UsageError, nearest
from cnnlab.studies.arms import Arm, read_arm
from cnnlab.studies.claims import Hypothesis, read_hypotheses
from cnnlab.studies.plan import Condition, read_conditions, read_seeds

# What of the configuration makes the numbers: a study goes on only where this is the same.
PLANNED = (
    "arms", "reference", "filters", "kernel_size", "match", "seeds", "train_sizes", "epochs", "learning_rates",
    "search_seeds", "curve_points", "corruptions", "severities", "corruption_images", "model", "data", "optimizer",
    "schedule", "task", "trainer",
)  # fmt: skip


@dataclass(frozen=True)
class Study:
    """`rates`: the learning rates that are searched, () without a search. `corruptions`: (name, severity)."""

    arms: tuple[Arm, ...]
    reference: Arm
    conditions: tuple[Condition, ...]
    seeds: tuple[int, ...]
    rates: tuple[float, ...]
    search_seeds: int
    corruptions: tuple[tuple[str, int], ...]
    hypotheses: tuple[Hypothesis, ...]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(arm, control): every arm against the reference, every bank against its own controls of the same mode."""
        against = [(arm.name, self.reference.name) for arm in self.arms if arm != self.reference]
        banks = [arm for arm in self.arms if arm.control is None]
        twins = [
            (bank.name, arm.name)
            for bank in banks
            for arm in self.arms
            if arm.control and (arm.start, arm.mode, arm.release_epoch) == (bank.start, bank.mode, bank.release_epoch)
        ]
        return against + twins


def read_study(config: DictConfig) -> Study:
    """ValueError, in a message that says what is valid, for whatever can't be."""
    values: dict[str, Any] = OmegaConf.to_container(config, resolve=True)
    _check_parts(config)
    arms = _arms(values["arms"])
    names = [arm.name for arm in arms]
    if values["reference"] not in names:
        near = nearest(values["reference"], names)
        raise UsageError(f"reference: {values['reference']!r} is no arm of the study{near}; arms: {', '.join(names)}")
    for name in ("filters", "kernel_size", "curve_points", "corruption_images"):
        if values[name] < 1:
            raise UsageError(f"{name}={values[name]}: at least 1")
    rates, searched = values["learning_rates"] or [], values["search_seeds"]
    if searched < 0 or any(not rate > 0 for rate in rates):
        raise UsageError(f"learning_rates={rates}, search_seeds={searched}: rates above 0, seeds from 0 on")
    if not 0 < values["threshold"] <= 1:
        raise UsageError(f"threshold={values['threshold']}: a share of the reference's accuracy, above 0 and at most 1")
    search = bool(searched) and len(rates) > 1
    conditions = read_conditions(values["train_sizes"], values["epochs"], None if search else rates)
    _check_releases(arms, conditions)
    hypotheses = read_hypotheses(values["hypotheses"], names, [_size(one) for one in conditions])
    return Study(
        arms=tuple(arms),
        reference=arms[names.index(values["reference"])],
        conditions=tuple(conditions),
        seeds=tuple(read_seeds(values["seeds"])),
        rates=tuple(rates) if search else (),
        search_seeds=searched,
        corruptions=tuple(_corruptions(values["corruptions"], values["severities"])),
        hypotheses=tuple(hypotheses),
    )


def _check_parts(config: DictConfig) -> None:
    """What a study trains has classes, and a first layer that an arm can be written into."""
    if "train_size" not in config.data:
        raise UsageError(
            f"data: a study compares classifiers, and {config.data._target_} has no classes; take data=digits"
        )
    if "rectify" not in config.model or "widths" not in config.model or "stem_norm" not in config.model:
        raise UsageError(
            f"model: an arm is the first layer of small_cnn, and {config.model._target_} has no such layer"
        )


def _size(condition: Condition) -> int | str:
    return "all" if condition.train_size is None else condition.train_size


def _arms(texts: Any) -> list[Arm]:
    if not isinstance(texts, Sequence) or isinstance(texts, str) or not texts:
        raise UsageError(f"arms={texts}: a list such as [kaiming,jet,jet/permuted]")
    arms = [read_arm(text) for text in texts]
    twice = [arm.name for number, arm in enumerate(arms) if arm in arms[:number]]
    if twice:
        raise UsageError(f"arms: {twice[0]!r} is given twice")
    return arms


def _check_releases(arms: Sequence[Arm], conditions: Sequence[Condition]) -> None:
    """An arm that is released after the last epoch is a frozen one by another name."""
    for arm in arms:
        late = [one for one in conditions if arm.mode == "released" and arm.release_epoch >= one.epochs]
        if late:
            raise UsageError(
                f"arm {arm.name!r} is never released in the {late[0].epochs} epochs of {_size(late[0])} images: an "
                f"epoch below {late[0].epochs}, or {arm.name.split('@')[0]}@frozen"
            )


def _corruptions(names: Any, severities: Any) -> list[tuple[str, int]]:
    """`all` stays a name: which ones there are depends on the channels of the data."""
    names = [names] if isinstance(names, str) else list(names)
    if any(not isinstance(one, int) or not 1 <= one <= 5 for one in severities):
        raise UsageError(f"severities={list(severities)}: whole numbers from 1 to 5")
    return [(name, severity) for name in names for severity in dict.fromkeys(severities)]
