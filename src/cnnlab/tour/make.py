"""The tour, made: its figures, one page to play with, and a notebook."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import Tensor

from cnnlab._choices import UsageError
from cnnlab._files import write_text
from cnnlab._parallel import shown, torch_threads
from cnnlab.draw.saving import save_figure
from cnnlab.runs.folder import find_run
from cnnlab.runs.record import RunRecord, recorded
from cnnlab.tour.html import part_page, render
from cnnlab.tour.learned import first_layers
from cnnlab.tour.notebook import check_notebook, notebook
from cnnlab.tour.photograph import name_of, photograph
from cnnlab.tour.playground import playground
from cnnlab.tour.sheet import WIDE, Sheet
from cnnlab.tour.steps import PARTS, STEPS, snippet
from cnnlab.training.fit import quiet_advice

MOST_RUNS = 6  # more first layers don't fit on a figure


def make_tour(
    folder: Path,
    image: Path | None = None,
    runs: Sequence[Path] = (),
    epochs: int = 10,
    seed: int = 0,
    notebook: bool = False,
) -> Path:
    """Leave index.html, figures/, summary.json and, if asked for, tour.ipynb in `folder`. Returns the page.

    The figures are computed on the photograph `image` (None: one that comes with a library) and, in the last step, of
    the trainings in `runs`; without any, three networks are trained for so many `epochs` on digits. UsageError for a
    photograph or a run that can't be shown.
    """
    if epochs < 1:
        raise UsageError(f"epochs={epochs}: at least 1")
    if len(runs) > MOST_RUNS:
        raise UsageError(f"runs: the folders of 1 to {MOST_RUNS} trainings, as in runs=[A,B]; got {len(runs)}")
    if notebook:
        check_notebook()
    quiet_advice()
    runs = [find_run(run).absolute() for run in runs]
    first_layers(runs)  # what can't be shown is refused before the work
    photograph(image)
    image = image.expanduser().absolute() if image else None
    folder.mkdir(parents=True, exist_ok=True)
    record = RunRecord(folder, photograph=name_of(image), runs=[str(run) for run in runs], seed=seed)
    # One thread: most of the work is drawing, and what isn't is small. Two take half as much time again in all.
    with recorded(record, folder), torch_threads(1):
        _make(folder, image, runs, epochs, seed, notebook)
        record.finish("completed", figures=len(PARTS))
    return folder / "index.html"


def _make(folder: Path, image: Path | None, runs: Sequence[Path], epochs: int, seed: int, as_notebook: bool) -> None:
    setup = setup_lines(image, runs, folder / "runs", epochs, seed)
    names: dict[str, object] = {}
    sheets = dict(shown(_figures(setup, names, folder / "figures"), total=len(PARTS), what="figures"))
    photo_CHW = names["photo_CHW"]
    assert isinstance(photo_CHW, Tensor)
    pages = {part.stem: part_page(sheets[part.stem], snippet(part)) for part in PARTS}
    facts = {"photograph": name_of(image), "setup": setup}
    write_text(folder / "index.html", render(STEPS, pages, playground(photo_CHW), facts))
    if as_notebook:
        lines = setup_lines(image, runs, Path("runs"), epochs, seed)
        write_text(folder / "tour.ipynb", notebook(lines, sheets))


def setup_lines(image: Path | None, runs: Sequence[Path], trained: Path, epochs: int, seed: int) -> str:
    """The lines that come before the first step: they make `photo_CHW` and `runs`."""
    lines = ["from pathlib import Path", ""]
    if not runs:
        lines.append("from cnnlab.tour.learned import train_arms")
    lines += ["from cnnlab.tour.photograph import photograph", ""]
    lines.append(f"photo_CHW = photograph({str(image)!r})" if image else "photo_CHW = photograph()")
    if runs:
        lines.append(f"runs = [{', '.join(f'Path({str(run)!r})' for run in runs)}]")
    else:
        lines.append(f"runs = train_arms(Path({str(trained)!r}), epochs={epochs}, seed={seed})")
    return "\n".join(lines) + "\n"


def _figures(setup: str, names: dict[str, object], folder: Path) -> Iterator[tuple[str, Sheet]]:
    """Run the very text that the page shows, part after part, and keep each figure as a picture."""
    exec(compile(setup, "<the tour's first lines>", "exec"), names)
    for part in PARTS:
        exec(compile(snippet(part), f"<{part.stem}>", "exec"), names)
        sheet = names["figure"]
        assert isinstance(sheet, Sheet)
        save_figure(sheet.arrange(WIDE), folder / f"{part.stem}.png")
        yield part.stem, sheet
