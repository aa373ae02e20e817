"""What a study is asked: everything that a resumed one must repeat, checked before anything is trained."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property

import torch
from typing_extensions import Self

from cnnlab._choices import UsageError, check_choice
from cnnlab._targets import current_text
from cnnlab.studies.arms import MATCHES, Arm, read_arm
from cnnlab.studies.claims import Hypothesis, read_hypotheses
from cnnlab.studies.plan import Condition, read_conditions, read_seeds
from cnnlab.studies.records import (
    Recipe,
    Record,
    data_record,
    full_recipe,
    learning_rate,
    make_optimizer,
    make_schedule,
    network_record,
    records_of,
)

DIGITS = {"target": "cnnlab.data.images.module.ImageData", "arguments": {"name": "digits"}}
OF_THE_PAGE = ("name", "question", "hypotheses", "threshold", "relevant")  # asked of the rows, whatever made them


@dataclass(frozen=True)
class StudyDesign:
    """The fields of a `Study`, which explains them, and what follows from them. Raises UsageError for what is invalid.

    Once it is made, `network`, `data` and `recipe` are whole: what was left out stands there with its default.
    """

    arms: Sequence[str]
    reference: str = "kaiming"
    filters: int = 9
    kernel_size: int = 3
    match: str = "norm"
    seeds: int | Sequence[int] = 16
    train_sizes: Sequence[int | str] = ("all",)
    epochs: int | Sequence[int] | Mapping[str, int | Sequence[int]] = 20
    learning_rates: Sequence[float] | None = None
    search_seeds: int = 3
    curve_points: int = 12
    threshold: float = 0.9
    corruptions: Sequence[str] | str = ()
    severities: Sequence[int] = (3,)
    corruption_images: int = 1000
    network: Mapping[str, object] = field(default_factory=dict)
    data: Mapping[str, object] = field(default_factory=lambda: DIGITS)
    recipe: Mapping[str, object] = field(default_factory=dict)
    name: str = ""
    question: str = ""
    hypotheses: Sequence[Mapping[str, object]] = ()
    relevant: float = 1.0

    def __post_init__(self) -> None:
        self._check_numbers()
        check_choice("match", self.match, MATCHES)
        check_choice("reference", self.reference, [arm.name for arm in self.parsed_arms])
        self._check_unfreezing()
        # Each of these checks what it reads.
        self.all_seeds, self.corrupted, self.claims  # noqa: B018
        make_optimizer(self.full_recipe), make_schedule(self.full_recipe), learning_rate(self.full_recipe)
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        values |= {"network": self.full_network, "data": self.full_data, "recipe": self.full_recipe}
        for name, value in json.loads(json.dumps(values, default=str)).items():
            object.__setattr__(self, name, value)

    def to_json(self) -> dict[str, object]:
        """As plan.json has it, and a process of its own receives it."""
        return asdict(self)

    @classmethod
    def from_json(cls, asked: Mapping[str, object]) -> Self:
        """The other way. In place of `network`, `data` and `recipe` there may be the groups of a configuration."""
        asked = json.loads(current_text(json.dumps(asked)))
        known = [one.name for one in fields(cls)]
        records = records_of(asked) if "model" in asked else {}
        make: Callable[..., Self] = cls
        return make(**{name: value for name, value in {**asked, **records}.items() if name in known})

    def differences(self, other: "StudyDesign") -> list[str]:
        """The fields that make other numbers."""
        ours, theirs = self.to_json(), other.to_json()
        return [name for name in ours if name not in OF_THE_PAGE and ours[name] != theirs[name]]

    @cached_property
    def parsed_arms(self) -> tuple[Arm, ...]:
        if not isinstance(self.arms, Sequence) or isinstance(self.arms, str) or not self.arms:
            raise UsageError(f"arms={self.arms}: a list such as [kaiming,jet,jet/permuted]")
        arms = tuple(read_arm(text) for text in self.arms)
        twice = [arm.name for number, arm in enumerate(arms) if arm in arms[:number]]
        if twice:
            raise UsageError(f"arms: {twice[0]!r} is given twice")
        return arms

    @property
    def reference_arm(self) -> Arm:
        return next(arm for arm in self.parsed_arms if arm.name == self.reference)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(arm, control): every arm against the reference, every bank against its own controls of the same mode."""
        arms, reference = self.parsed_arms, self.reference_arm
        return [(arm.name, reference.name) for arm in arms if arm != reference] + [
            (bank.name, arm.name)
            for bank in arms
            for arm in arms
            if bank.control is None
            and arm.control
            and (arm.start, arm.mode, arm.unfreeze_epoch) == (bank.start, bank.mode, bank.unfreeze_epoch)
        ]

    @property
    def searched_rates(self) -> tuple[float, ...]:
        """The learning rates among which each arm's is searched; () where each is a condition, or there is one."""
        rates = tuple(self.learning_rates or ())
        return rates if self.search_seeds and len(rates) > 1 else ()

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        rates = None if self.searched_rates else self.learning_rates
        return read_conditions(self.train_sizes, self.epochs, rates)

    @cached_property
    def all_seeds(self) -> tuple[int, ...]:
        return read_seeds(self.seeds)

    @cached_property
    def corrupted(self) -> list[tuple[str, int]]:
        """(corruption, severity). `all` stays a name: which ones there are depends on the channels of the data."""
        names = [self.corruptions] if isinstance(self.corruptions, str) else list(self.corruptions)
        if any(not isinstance(severity, int) or not 1 <= severity <= 5 for severity in self.severities):
            raise UsageError(f"severities={list(self.severities)}: integers from 1 to 5")
        return [(name, severity) for name in names for severity in dict.fromkeys(self.severities)]

    @cached_property
    def claims(self) -> list[Hypothesis]:
        names, sizes = [arm.name for arm in self.parsed_arms], [condition.size for condition in self.conditions]
        return read_hypotheses(self.hypotheses, names, sizes)

    @cached_property
    def full_network(self) -> Record:
        return network_record(self.network)

    @cached_property
    def full_data(self) -> Record:
        return data_record(self.data)

    @cached_property
    def full_recipe(self) -> Recipe:
        return full_recipe(self.recipe)

    @property
    def on_gpu(self) -> bool:
        return torch.cuda.is_available() and self.full_recipe["trainer"].get("accelerator") != "cpu"

    def _check_numbers(self) -> None:
        for name in ("filters", "kernel_size", "curve_points", "corruption_images"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: at least 1")
        rates, searched = list(self.learning_rates or ()), self.search_seeds
        if searched < 0 or any(not rate > 0 for rate in rates):
            raise UsageError(f"learning_rates={rates}, search_seeds={searched}: rates above 0, seeds from 0 on")
        if not 0 < self.threshold <= 1:
            raise UsageError(
                f"threshold={self.threshold}: a fraction of what the reference reaches, above 0 and at most 1"
            )

    def _check_unfreezing(self) -> None:
        """An arm that is unfrozen after the last epoch is a frozen one by another name."""
        for arm in self.parsed_arms:
            late = [one for one in self.conditions if arm.mode == "unfrozen" and arm.unfreeze_epoch >= one.epochs]
            if late:
                raise UsageError(
                    f"arm {arm.name!r} is never unfrozen in the {late[0].epochs} epochs of {late[0].size} images: an "
                    f"epoch below {late[0].epochs}, or {arm.name.split('@')[0]}@frozen"
                )
