"""A control of one's own, in a package of one's own, is valid for every start: it trains and is on the page."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from cnnlab import UsageError
from cnnlab.studies.controls import CONTROLS
from cnnlab.studies.study import Study

SOURCE = """
from cnnlab.studies.controls import control


@control("every kernel upside down: all stays but the sign of what is along y")
def upside_down(filter_OChw, generator):
    return filter_OChw.flip(2)
"""


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "my_controls.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_controls", raising=False)
    import_module("my_controls")
    yield
    CONTROLS.pop("upside_down")


def study(*arms: str) -> Study:
    return Study(
        arms=arms, seeds=2, train_sizes=[40], epochs=1,
        network={"widths": [4]}, recipe={"trainer": {"accelerator": "cpu"}},
    )  # fmt: skip


@pytest.mark.usefixtures("own_package")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_control_of_ones_own_trains_in_every_process_and_is_on_the_page(tmp_path: Path, workers: int) -> None:
    arms = "kaiming", "jet@frozen", "jet/upside_down@frozen", "sobel/upside_down"
    result = study(*arms).run(tmp_path / "study", workers=workers, replicas=3)
    assert not result.failed
    assert {row["arm"] for row in result.rows} == set(arms)
    # Its bank is compared with it.
    assert ("jet@frozen", "jet/upside_down@frozen") in {(c.arm, c.control) for c in result.contrasts["accuracy"]}
    page = result.page.read_text()
    assert "every kernel upside down: all stays but the sign of what is along y; frozen" in page
    assert "dashdot" in page
    kernels = {row["arm"]: row["kernels"][1] for row in result.rows}
    flipped = [[rows[::-1] for rows in kernel] for kernel in kernels["jet@frozen"]]
    assert kernels["jet/upside_down@frozen"] == flipped


def test_a_control_that_is_not_registered_is_refused_before_anything_trains() -> None:
    with pytest.raises(UsageError, match=r"unknown control 'upside'; valid: permuted, shuffled"):
        study("kaiming", "jet/upside")
