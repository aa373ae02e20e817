"""What a section of the page is, and what it gets of a run. Sections are registered where they are defined."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.data.contract import Data
from cnnlab.nn.predictions import Predictions

Shown: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, eq=False)
class ReportedRun:
    """What a page needs of one run. A part that is not there is empty, and `missing` says in a sentence why."""

    name: str  # the folder's name
    folder: str  # as shown
    summary: Mapping[str, object]  # summary.json
    rows: Sequence[Mapping[str, str]]  # of metrics.csv
    snapshots: Mapping[int, Tensor]  # epoch -> first-layer kernels (K, C, h, w)
    network: nn.Module | None = None  # in evaluation mode, weights of the best epoch
    about: Mapping[str, object] | None = None  # the checkpoint's "network" entry
    data: Data | None = None  # normalised as in training, on the device that the network runs on
    predictions: Predictions | None = None  # of the test split by `network`, where it was just tested
    missing: Mapping[str, str] = field(default_factory=dict)  # name of a field above -> why it is not there

    def reason(self, *parts: str) -> str:
        """The sentence of the first of these fields that has one."""
        return next((self.missing[part] for part in parts if part in self.missing), "There is nothing to show.")


@dataclass(frozen=True)
class Section:
    """One section of the page.

    key: its anchor, and the class of the element around each run's part. place: sections stand in this order.
    collect(run, largest): what the template shows of a run; or a sentence that stands in its place; or None where the
        section is not about such a run. A UsageError becomes a sentence too. Pictures and numbers for the script should
        take at most `largest` characters.
    template: Jinja, as text or as a file, escaped as all values are. It shows one run and sees `run` (ReportedRun),
        `number` (of the run, from 0), `many` (whether the page has several) and `shown`, what was collected.
    together(runs, shown): for sections that show all runs in one table or picture, once. What it makes of all that was
        collected, {} of a run without the section, is then `shown`, and the template sees `runs` in place of `run`.
    script: JavaScript, as text or as a file. `page.section(key, (root, drawn) => ...)` is called for each run's part.
    drawn: the entries of what was collected that the script gets.
    """

    key: str
    title: str
    place: int
    collect: Callable[[ReportedRun, int], Shown | str | None]
    template: str | Path
    together: Callable[[Sequence[ReportedRun], Sequence[Shown]], Shown] | None = None
    script: str | Path = ""
    drawn: tuple[str, ...] = ()


_SECTIONS: dict[str, Section] = {}


def register(section: Section) -> None:
    """From now on it is on every page. Raises UsageError for a key that another section has."""
    if _SECTIONS.setdefault(section.key, section) != section:
        raise UsageError(f"the report has a section {section.key!r} already")


def registered() -> list[Section]:
    """In the order of the page."""
    return sorted(_SECTIONS.values(), key=lambda section: section.place)


def text_of(source: str | Path) -> str:
    """A template or a script."""
    return source.read_text(encoding="utf-8") if isinstance(source, Path) else source
