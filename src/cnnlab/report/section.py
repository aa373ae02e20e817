"""What a section of the page is, and what it gets of a run. Sections are registered where they are defined."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from torch import Tensor, nn

from cnnlab._choices import UsageError
from cnnlab.data.contract import Data
from cnnlab.nn.predictions import Predictions

Shown: TypeAlias = Mapping[str, object]
Collect: TypeAlias = Callable[["ReportedRun", int], Shown | str | None]
Together: TypeAlias = Callable[[Sequence["ReportedRun"], Sequence[Shown]], Shown]


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
    """See `report_section`. `key` is its anchor, and the class of the element around each run's part."""

    key: str
    title: str
    place: int
    collect: Collect
    template: str
    script: str
    together: Together | None
    drawn: Sequence[str]


_SECTIONS: dict[str, Section] = {}


def report_section(
    title: str,
    place: int,
    template: str | None = None,
    script: str | None = None,
    *,
    together: Together | None = None,
    drawn: Sequence[str] = (),
) -> Callable[[Collect], Collect]:
    """Decorator: makes a function a section of the report, called by the function's name, from now on.

    The function takes a `ReportedRun` and a number, and returns what the template shows of the run; or a sentence that
    stands in its place; or None where the section is not about such a run. A UsageError becomes a sentence too.
    Pictures and numbers for the script should take at most as many characters as the number says.

    Args:
        title: The heading.
        place: Sections stand in this order; the package's own are at 10, 20 ... 60.
        template: Jinja, every value is escaped. It shows one run, and sees `run`, `number` (of the run, from 0), `many`
            (whether the page has several) and `shown`, what the function returned. By default the file beside the
            function's, with the ending .html.j2.
        script: JavaScript, which may call `page.section(name, (root, drawn) => ...)` to be called with each run's part
            of the page. By default the file beside the function's, with the ending .js, where there is one.
        together: For a section that shows all runs in one table or picture: gets the runs and what was collected of
            each, {} where there is nothing; what it returns is `shown`, and the template sees `runs`.
        drawn: The entries of what was collected that the script gets.

    Returns:
        The decorator, which leaves the function as it is.

    Raises:
        UsageError: By the decorator: a name that another module has taken.

    >>> from cnnlab import report_section
    >>> @report_section("Weights", 55, "<p>{{ shown.count }} weights</p>")
    ... def weights(run, largest):
    ...     return {"count": sum(weight.numel() for weight in run.network.parameters())} if run.network else None
    """

    def register(collect: Collect) -> Collect:
        name, file = collect.__name__, Path(inspect.getfile(collect))
        if name in _SECTIONS and _SECTIONS[name].collect.__module__ != collect.__module__:
            raise UsageError(f"the report has a section {name!r} already; take another name")
        beside = file.with_suffix(".js")
        code = script if script is not None else beside.read_text(encoding="utf-8") if beside.is_file() else ""
        text = file.with_suffix(".html.j2").read_text(encoding="utf-8") if template is None else template
        _SECTIONS[name] = Section(name, title, place, collect, text, code, together, drawn)
        return collect

    return register


def report_sections() -> list[Section]:
    """In the order of the page."""
    return sorted(_SECTIONS.values(), key=lambda section: section.place)
