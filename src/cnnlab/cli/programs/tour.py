"""The tour job: the lecture's steps as figures, on one page to play with, and as a notebook."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig

from cnnlab._choices import UsageError
from cnnlab._files import write_text
from cnnlab._parallel import shown, torch_threads
from cnnlab.draw.saving import save_figure
from cnnlab.runs.folder import find_run
from cnnlab.runs.record import RunRecord, recorded
from cnnlab.tour.html import PartPage, StepPage, part_page, render
from cnnlab.tour.networks import first_layers
from cnnlab.tour.notebook import check_notebook, notebook
from cnnlab.tour.photograph import name_of, photograph
from cnnlab.tour.playground import playground
from cnnlab.tour.sheet import WIDE, Sheet
from cnnlab.tour.snippets import snippet
from cnnlab.tour.steps import STEPS, Part
from cnnlab.training.fit import quiet_advice

MOST_RUNS = 6  # more first layers don't fit on a figure


def run(config: DictConfig, folder: Path) -> int:
    """Leave index.html, figures/ and, if asked for, tour.ipynb in `folder`. Prints the page, then the folder."""
    quiet_advice()
    folder = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    if config.epochs < 1:
        raise UsageError(f"epochs={config.epochs}: at least 1")
    if config.notebook:
        check_notebook()
    runs = given_runs(config.runs)
    first_layers(runs)  # what can't be shown is refused before the work
    photograph(config.image)
    image = str(Path(config.image).expanduser().absolute()) if config.image else None
    record = RunRecord(folder, photograph=name_of(image), runs=[str(one) for one in runs], seed=config.seed)
    # One thread: most of the work is drawing, and what isn't is small. Two take half as much time again in all.
    with recorded(record, folder), torch_threads(1):
        setup = setup_lines(image, runs, folder / "runs", config.epochs, config.seed)
        names: dict[str, Any] = {}
        parts = [part for step in STEPS for part in step.parts]
        work = _figures(setup, parts, names, folder / "figures")
        sheets = dict(shown(work, total=len(parts), what="figures"))
        facts = {"photograph": name_of(image), "setup": setup}
        pages = [
            StepPage(one.key, one.title, one.words, [_page(part, sheets[part.stem]) for part in one.parts])
            for one in STEPS
        ]
        write_text(folder / "index.html", render(pages, playground(names["photo_CHW"]), facts))
        if config.notebook:
            lines = setup_lines(image, runs, Path("runs"), config.epochs, config.seed)
            write_text(folder / "tour.ipynb", notebook(lines, sheets))
        record.finish("completed", figures=len(parts))
    print(folder / "index.html")
    print(folder)
    return 0


def given_runs(given: Any) -> list[Path]:
    """`runs=A` or `runs=[A,B]`; [] for none. Raises ValueError for a folder that is no run, or too many of them."""
    if given is None:
        return []
    listed = list(given) if isinstance(given, list | tuple | ListConfig) else [given]
    if not 1 <= len(listed) <= MOST_RUNS or any(not str(one).strip() for one in listed):
        raise UsageError(f"runs: the folders of 1 to {MOST_RUNS} trainings, as in runs=[A,B]; got {len(listed)}")
    return [find_run(one).absolute() for one in listed]


def setup_lines(image: str | None, runs: list[Path], trained: Path, epochs: int, seed: int) -> str:
    """The lines that come before the first step: they make `photo_CHW` and `runs`."""
    lines = ["from pathlib import Path", "", "from cnnlab.tour.photograph import photograph"]
    if not runs:
        lines.append("from cnnlab.tour.training import train_arms")
    lines += ["", f"photo_CHW = photograph({image!r})" if image else "photo_CHW = photograph()"]
    if runs:
        lines.append(f"runs = [{', '.join(f'Path({str(one)!r})' for one in runs)}]")
    else:
        lines.append(f"runs = train_arms(Path({str(trained)!r}), epochs={epochs}, seed={seed})")
    return "\n".join(lines) + "\n"


def _figures(setup: str, parts: list[Part], names: dict[str, Any], folder: Path) -> Iterator[tuple[str, Sheet]]:
    """Run the very text that the page shows, part after part, and keep each figure as a picture."""
    exec(compile(setup, "<the tour's first lines>", "exec"), names)
    for part in parts:
        exec(compile(snippet(part), f"<{part.stem}>", "exec"), names)
        sheet = names["figure"]
        save_figure(sheet.arrange(WIDE), folder / f"{part.stem}.png")
        yield part.stem, sheet


def _page(part: Part, sheet: Sheet) -> PartPage:
    return part_page(part.stem, sheet, snippet(part))
