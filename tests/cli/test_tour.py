"""The tour as a program: the page, the figures, the notebook, photographs of all kinds, and mistakes."""

import ast
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnnlab.tour.make import setup_lines
from cnnlab.tour.photograph import photograph
from cnnlab.tour.playground import KERNELS, playground, three_by_three
from cnnlab.tour.steps import PARTS, snippet


def pattern(height: int, width: int, channels: int = 3) -> np.ndarray:
    """A picture with edges, colours and some noise, uint8."""
    noise = np.random.default_rng(0).integers(0, 60, (height, width, channels))
    y, x = np.mgrid[:height, :width]
    blocks = 120 * ((y // max(4, height // 7) + x // max(4, width // 5)) % 2)
    return (noise + blocks[..., None] + np.arange(channels) * 30).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def toured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("toured")


def test_a_tour_leaves_the_page_each_figure_and_a_notebook_that_runs(here: Callable, finished: Path) -> None:
    Image.fromarray(pattern(90, 140)).save("my <photo>.png")
    outcome = here("image='my <photo>.png'", f"runs=[{finished}]", "notebook=true", program="tour")
    assert (outcome.status, outcome.err) == (0, "")
    folder = outcome.folder
    assert outcome.out.splitlines()[-2] == str(folder / "index.html")
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["status"], summary["figures"]) == ("completed", len(PARTS))
    assert {path.stem for path in (folder / "figures").iterdir()} == {part.stem for part in PARTS}
    for path in (folder / "figures").iterdir():
        with Image.open(path) as picture:
            assert (picture.format, min(picture.size) > 300) == ("PNG", True)
    page = (folder / "index.html").read_text()
    assert "my &lt;photo&gt;.png" in page
    assert "<photo>" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert not (folder / "runs").exists(), "runs were given, so nothing is trained"
    _run_notebook(folder)


def _run_notebook(folder: Path) -> None:
    """Executed anew, it ends without an error and shows the figures that the program drew."""
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    book = nbformat.read(folder / "tour.ipynb", as_version=4)
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.source.removesuffix("print(figure.caption)\nfigure") for cell in code[1:]] == list(map(snippet, PARTS))
    said = ["".join(one.text for one in cell.outputs if one.output_type == "stream") for cell in code]
    nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    for cell, before in list(zip(code, said, strict=True))[1:]:
        printed = "".join(one.text for one in cell.outputs if one.output_type == "stream" and one.name == "stdout")
        assert printed == before, "the numbers are those that the program measured"
        assert any("image/png" in one.get("data", {}) for one in cell.outputs), cell.source


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.stem)
def test_the_lines_that_are_shown_are_complete(part) -> None:
    """They import every name that they use, or an earlier part left it."""
    tree = ast.parse(snippet(part))
    bound = {"photo_CHW", "runs", "matched"} | set(dir(__builtins__)) | set(__builtins__)
    for earlier in PARTS[: PARTS.index(part) + 1]:
        bound |= {function.__name__ for function in earlier.shown}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert used <= bound, used - bound
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = __import__(node.module, fromlist=["*"])
            assert all(hasattr(module, alias.name) for alias in node.names)


def test_the_setup_lines_name_what_was_given(tmp_path: Path) -> None:
    assert "photograph()" in setup_lines(None, [], Path("runs"), 3, 1)
    assert "train_arms(Path('runs'), epochs=3, seed=1)" in setup_lines(None, [], Path("runs"), 3, 1)
    evil = setup_lines(Path('it\'s\n"x".png'), [Path("a'b")], Path("runs"), 3, 1)
    calls = [node for node in ast.walk(ast.parse(evil)) if isinstance(node, ast.Call)]
    assert {call.args[0].value for call in calls} == {'it\'s\n"x".png', "a'b"}


def _saved(name: str) -> str:
    pixels = pattern(60, 80)
    if name == "grey16.png":
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(name)
    elif name == "cmyk.jpg":
        Image.fromarray(pixels).convert("CMYK").save(name)
    elif name == "alpha.png":
        Image.fromarray(np.dstack([pixels, pixels[..., 0]])).save(name)
    elif name == "panorama.jpg":
        Image.fromarray(np.tile(pattern(500, 600), (1, 20, 1))).save(name)
    elif name == "tower.png":
        Image.fromarray(pattern(900, 40)).save(name)
    else:
        Image.fromarray(pixels[..., 0]).save(name)
    return name


@pytest.mark.parametrize("name", ["grey16.png", "cmyk.jpg", "alpha.png", "panorama.jpg", "tower.png", "grey.png"])
def test_photographs_of_all_kinds_are_brought_to_one_size(name: str) -> None:
    image_CHW = photograph(_saved(name))
    assert image_CHW.shape[0] == 3
    assert min(image_CHW.shape[1:]) == 320
    assert max(image_CHW.shape[1:]) <= 480
    assert (image_CHW.dtype, float(image_CHW.min()) >= 0, float(image_CHW.max()) <= 1) == (torch.float32, True, True)
    assert image_CHW.std() > 0.05


def test_without_scikit_image_the_photograph_is_another_librarys(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from cnnlab.tour.photograph import name_of

    assert name_of() == "scikit-image's astronaut"
    assert photograph().shape == (3, 320, 320)
    monkeypatch.setitem(sys.modules, "skimage", None)
    assert name_of() == "scikit-learn's china.jpg"
    assert photograph().shape == (3, 320, 480)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("image=nowhere.jpg",), "image: there is no file nowhere.jpg"),
        (("image=text.jpg",), "image: text.jpg can't be read"),
        (("image=dot.png",), "has 1 x 1 pixels; the tour needs at least 16 x 16"),
        (("image=even.png",), "shows one even surface"),
        (("image=folder",), "there is no file folder"),
        (("runs=nowhere",), "there is no folder nowhere"),
        (("runs=[folder]",), "folder is not the folder of a run"),
        (("runs=[]",), "runs: the folders of 1 to 6 trainings"),
        (("runs=bare",), "keeps no kernels"),
        (("epochs=0",), "epochs=0: at least 1"),
        (("epochs=many",), "epochs"),
        (("notebook=perhaps",), "notebook"),
        (("imgae=x.jpg",), "did you mean 'image'"),
        (("seed=-1",), "seed"),
    ],
)
def test_a_mistake_is_one_message(here: Callable, arguments: tuple[str, ...], words: str) -> None:
    Path("text.jpg").write_text("not a picture")
    Path("folder").mkdir()
    Path("bare").mkdir()
    Path("bare/config.yaml").write_text("model: {}\ndata: {}\nseed: 0\n")
    Image.new("RGB", (1, 1), "red").save("dot.png")
    Image.new("RGB", (64, 64), "red").save("even.png")
    outcome = here(*arguments, program="tour")
    assert outcome.status == 2
    assert words in outcome.err
    assert outcome.err.count("cnnlab: ") == 1
    assert "Traceback" not in outcome.err
    assert not Path("outputs").exists()


def test_a_notebook_without_nbformat_says_what_installs_it(here: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    from cnnlab.tour.notebook import check_notebook

    with pytest.raises(ValueError, match=r"pip install 'cnnlab\[notebook\]'"):
        check_notebook()


def test_the_playground_has_our_kernels_and_a_small_picture() -> None:
    found = playground(photograph())
    assert [kernel["name"] for kernel in found["kernels"]] == list(KERNELS)
    assert found["kernels"][0]["weights"] == [-1, 0, 1, -2, 0, 2, -1, 0, 1]
    assert three_by_three("shift(dx=1)") == [0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert found["size"] == [144, 144]
