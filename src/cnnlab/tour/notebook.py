"""The tour as a notebook: the same words and the same code, with the figures that the program computed."""

import base64
import importlib.util
import io
from collections.abc import Mapping
from typing import Any

from cnnlab._choices import UsageError
from cnnlab.tour.sheet import WIDE, Sheet
from cnnlab.tour.steps import STEPS, snippet

DENSITY = 100  # pixels an inch of the figures that the notebook holds until it is run


def check_notebook() -> None:
    """Raises ValueError, with the line that installs it, if nbformat isn't there."""
    if importlib.util.find_spec("nbformat") is None:
        raise UsageError("notebook=true: nbformat is not installed; it comes with: pip install 'cnnlab[notebook]'")


def notebook(setup: str, sheets: Mapping[str, Sheet]) -> str:
    """The text of tour.ipynb. setup: the lines that make `photo_CHW` and `runs`. sheets: stem -> the figure."""
    import nbformat
    from nbformat import v4

    cells: list[Any] = [
        v4.new_markdown_cell(
            "# A tour of convolution\n\nEvery figure is computed by the cell above it. Change it and run it again."
        ),
        v4.new_code_cell(f"%matplotlib inline\n{setup}"),
    ]
    for number, step in enumerate(STEPS, start=1):
        cells.append(v4.new_markdown_cell("\n\n".join([f"## {number}. {step.title}", *step.words])))
        for part in step.parts:
            code = f"{snippet(part)}print(figure.caption)\nfigure"
            cells.append(v4.new_code_cell(code, outputs=_outputs(sheets[part.stem])))
    for number, cell in enumerate(cells):
        cell["id"] = f"tour-{number}"  # one tour makes one file
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})
    nbformat.validate(book)
    return nbformat.writes(book)


def _outputs(sheet: Sheet) -> list[Any]:
    """What running the cell shows: the caption and the figure."""
    from nbformat import v4

    content = io.BytesIO()
    sheet.arrange(WIDE).savefig(content, format="png", dpi=DENSITY)
    data = {"image/png": base64.b64encode(content.getvalue()).decode(), "text/plain": "<figure>"}
    printed = v4.new_output("stream", name="stdout", text=f"{sheet.caption}\n")
    return [printed, v4.new_output("display_data", data=data)]
