"""A start of one's own, in a package of one's own, is an arm like any other: it trains and is on the page."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from cnnlab import UsageError
from cnnlab.studies.arms import read_arm
from cnnlab.studies.starts import STARTS, Layer, start
from cnnlab.studies.study import Study

SOURCE = """
import torch
from cnnlab.studies.starts import start


@start("one pixel of every kernel")
def pixels(layer):
    height, width = layer.shape[2:]
    return torch.eye(height * width, dtype=torch.float64).reshape(-1, height, width)
"""


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "my_starts.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_starts", raising=False)
    import_module("my_starts")
    yield
    STARTS.pop("pixels")


@pytest.mark.usefixtures("own_package")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_start_of_ones_own_trains_in_every_process_and_is_on_the_page(tmp_path: Path, workers: int) -> None:
    study = Study(
        arms=["kaiming", "pixels", "pixels/permuted@frozen"], seeds=2, train_sizes=[40], epochs=1,
        network={"widths": [4]}, recipe={"trainer": {"accelerator": "cpu"}},
    )  # fmt: skip
    result = study.run(tmp_path / "study", workers=workers, replicas=3)
    assert not result.failed
    assert {row["arm"] for row in result.rows} == set(study.arms)
    page = result.page.read_text()
    assert "one pixel of every kernel; trainable" in page
    assert "one pixel of every kernel; its pixels in another order" in page
    frozen = next(row["kernels"] for row in result.rows if row["arm"] == "pixels/permuted@frozen")
    assert frozen[0] == frozen[1]
    assert sorted(value for kernel in frozen[0] for line in kernel[0] for value in line) == [0.0] * 72 + [1.41421] * 9


def test_a_start_that_is_not_registered_is_refused_before_anything_trains() -> None:
    with pytest.raises(UsageError, match="arm 'pixls': unknown start 'pixls'"):
        Study(arms=["kaiming", "pixls"])


def test_a_name_is_taken_once() -> None:
    with pytest.raises(UsageError, match=r"'jet' is there already, in cnnlab\.studies\.starts"):

        @start("another jet")
        def jet(layer: Layer) -> None: ...


@pytest.mark.usefixtures("own_package")
def test_filters_of_another_shape_are_refused_with_the_name_of_the_arm(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="arm 'pixels': it has 9 kernels, and the first layer has 4"):
        Study(arms=["kaiming", "pixels"], filters=4, network={"widths": [4]}).run(tmp_path / "study")
    assert read_arm("pixels").modules == {"my_starts"}
