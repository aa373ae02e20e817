"""A detector in a package of one's own: in Python, in the benchmark, and on the command line if it is trusted."""

import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from PIL import Image

from cnnlab import Detector, UsageError, benchmark_edges, detect_folder, validate_detector
from cnnlab.cli.entry import main

SOURCE = '''
import torch
from cnnlab import Detector
from cnnlab.edges.contract import Edges


class Differences(Detector):
    """Differences along x and y, thinned by a comparison with both neighbours: no module, and no base class of ours."""

    full_scale, reach = 1.0, 1

    def __init__(self, gain=1.0):
        self.gain = gain

    @property
    def settings(self):
        return {**super().settings, "gain": self.gain}

    def __call__(self, image_BCHW):
        image = image_BCHW / 255 if image_BCHW.dtype == torch.uint8 else image_BCHW
        grey = image.mean(1, keepdim=True)
        dx = torch.nn.functional.pad(grey.diff(dim=3), (1, 0))
        dy = torch.nn.functional.pad(grey.diff(dim=2), (0, 0, 1, 0))
        orientation = torch.where(dy.abs() > dx.abs(), torch.pi / 2, 0.0)
        return Edges((self.gain * torch.hypot(dx, dy)).clamp(max=1), orientation)

    def thinned(self, image_BCHW):
        strength = self(image_BCHW).strength
        beside = torch.nn.functional.max_pool2d(strength, (1, 3), 1, (0, 1))
        return torch.where(strength == beside, strength, 0)


def differences(gain=1.0):
    return Differences(gain)


def noisy():
    import types

    detector = Differences()
    return types.SimpleNamespace(full_scale=1.0, reach=1, thinned=detector.thinned)
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a package in the working folder, and of no other test's."""
    (tmp_path / "my_dets.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    yield "my_dets"
    sys.modules.pop("my_dets", None)


@pytest.fixture
def detector(own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Detector:
    monkeypatch.syspath_prepend(str(tmp_path))
    import my_dets

    return my_dets.differences()


def run(program: str, *arguments: str) -> int:
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None
    sys.argv[1:] = list(arguments)
    with pytest.raises(SystemExit) as ended:
        main(program)
    return ended.value.code


def test_it_is_checked_and_used_in_python(detector: Detector, photo: Callable, berkeley: Callable) -> None:
    validate_detector(detector)
    photo("in/a.png")
    found = detect_folder("in", "out", detector)
    assert [path.name for path in found.made] == ["a.png"]
    assert found.settings["detector"] == {"_target_": "my_dets.Differences", "gain": 1.0}
    assert len(detect_folder("in", "out", detector).done_before) == 1
    detector.gain = 2.0
    with pytest.raises(UsageError, match=r"detector.gain 1.0 there, 2.0 now"):
        detect_folder("in", "out", detector)
    results = benchmark_edges(
        berkeley(val=2), {"mine": detector}, thresholds=5, resamples=10, processes=1, cache=None, people=False
    )
    assert 0.2 < results["mine"].scores.ods.f <= 1
    with pytest.raises(UsageError, match=r"unknown detector 'mime' \(did you mean 'mine'\?\)"):
        results["mime"]


def test_on_the_command_line_it_must_be_trusted(
    own: str, photo: Callable, berkeley: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["detect_edges.py"])
    photo("in/a.png")
    asked = ("detector=module", "detector.factory=my_dets:differences")
    assert run("detect_edges", "input=in", "output=out", *asked) == 2
    assert "my_dets" not in sys.modules
    assert "add trust=my_dets" in capsys.readouterr().err
    assert run("detect_edges", "input=in", "output=out", *asked, "trust=my_dets", "+detector.arguments.gain=0.5") == 0
    with Image.open("out/a.png") as map_HW:
        assert map_HW.getextrema()[1] > 1000
    quick = ("thresholds=5", "resamples=10", "processes=1", "cache=null", "people=false")
    assert run("benchmark_edges", f"data.root={berkeley(val=2)}", *asked, "trust=my_dets", *quick) == 0
    folder = Path(capsys.readouterr().out.splitlines()[-1])
    rows = list(csv.DictReader((folder / "benchmark.csv").read_text().splitlines()))
    assert {row["detector"] for row in rows} == {"module"}


def test_what_keeps_a_law_not_is_refused_before_anything_is_read(
    own: str, photo: Callable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["detect_edges.py"])
    photo("in/a.png")
    asked = ("input=in", "output=out", "detector=module", "trust=my_dets")
    assert run("detect_edges", *asked, "detector.factory=my_dets:noisy") == 2
    assert "SimpleNamespace has no __call__; a detector has it, or is a subclass" in capsys.readouterr().err
    assert run("detect_edges", *asked, "detector.factory=my_dets:differences", "+detector.arguments.gian=2") == 2
    assert "unexpected keyword argument 'gian'" in capsys.readouterr().err
    assert not Path("out").exists()
    assert torch.is_grad_enabled()
