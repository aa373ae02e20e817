"""docs/adding.md, followed to the letter in an empty folder: its files are written, its Python and its commands run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SECTIONS = re.split(r"^## ", (ROOT / "docs" / "adding.md").read_text(), flags=re.MULTILINE)[1:]
QUICK = ["trainer=cpu", "report=false", "figures=false"]

# A page that is followed from top to bottom, one block after the other, in one Python.
RUNNER = """
import sys
exec(compile(open(sys.argv[1]).read(), "adding.md", "exec"), {"__name__": "adding"})
"""


def test_the_page_has_the_six_additions() -> None:
    titles = [section.splitlines()[0] for section in SECTIONS]
    assert titles == [
        "A filter family", "A network", "Data", "A start or a control of studies", "An edge detector",
        "A section of the report",
    ]  # fmt: skip
    assert all(BLOCK.search(section) for section in SECTIONS)


def test_the_page_can_be_followed(tmp_path: Path) -> None:
    Image.radial_gradient("L").resize((40, 30)).save(_folder(tmp_path / "photographs") / "a.png")
    python, commands = [], []
    for kind, text in (match.groups() for section in SECTIONS for match in BLOCK.finditer(section)):
        if named := re.match(r"# (my_\w+\.py)\n", text):
            (tmp_path / named[1]).write_text(text)
        elif kind == "sh":
            commands += [shlex.split(line) for line in text.splitlines()]
        else:
            python.append(text)
    assert len(commands) == 5
    for command in commands:
        quick = QUICK if "train.py" in command[1] else []
        _run([sys.executable, str(ROOT / command[1]), *command[2:], *quick], tmp_path)
    (tmp_path / "blocks.py").write_text("\n".join(python))
    _run([sys.executable, "-c", RUNNER, "blocks.py"], tmp_path)
    assert (tmp_path / "my_edges" / "a.png").is_file()
    assert (tmp_path / "more_edges" / "a.png").is_file()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, f"{command[1:]}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("section", SECTIONS, ids=[section.splitlines()[0] for section in SECTIONS])
def test_each_addition_has_a_file_of_its_own(section: str) -> None:
    assert re.search(r"^```python\n# my_\w+\.py\n", section, re.MULTILINE)
