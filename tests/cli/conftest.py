"""Programs as a user runs them: in this process, where it is quick, or in one of their own, where it must be real."""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from cnnlab.cli import entry as programs

SCRIPTS = Path(__file__).parents[2] / "scripts"
# What a kill and a resume repeat: augmented, several epochs, a model of a few hundred parameters.
SMALL = ("trainer.max_epochs=4", "trainer.accelerator=cpu", "data.rotation=10", "data.shift=1", "model.widths=[8]")
PRELOADED = [
    "cnnlab.cli.programs.train",
    "cnnlab.data.images.module",
    "cnnlab.nn.small_cnn",
    "sklearn.datasets",
    "torchvision",
]


@dataclass(frozen=True)
class Outcome:
    """How a program ended."""

    status: int
    out: str
    err: str

    @property
    def folder(self) -> Path:
        """The run folder, which a program prints last."""
        return Path(self.out.splitlines()[-1])


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test works in an empty folder and leaves this process as it found it."""
    monkeypatch.chdir(tmp_path)
    for name in ("HYDRA_FULL_ERROR", "PL_GLOBAL_SEED", "PL_SEED_WORKERS"):
        monkeypatch.setenv(name, "0")  # so that what a program sets is undone
        monkeypatch.delenv(name)
    monkeypatch.delenv("CNNLAB_DEBUG", raising=False)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run a program in this process: `here("model=edge_fixed", program="train")`."""

    def run(*arguments: object, program: str = "train") -> Outcome:
        monkeypatch.setattr(sys, "argv", [f"{program}.py", *map(str, arguments)])
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = None
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            getattr(programs, program)()
        text = capsys.readouterr()
        return Outcome(ended.value.code, text.out, text.err)

    return run


@pytest.fixture
def outside() -> Callable[..., Outcome]:
    """Run a program in a process of its own, to its end."""

    def run(*arguments: object, program: str = "train", environment: dict[str, str] | None = None) -> Outcome:
        command = [sys.executable, str(SCRIPTS / f"{program}.py"), *map(str, arguments)]
        kept = os.environ | (environment or {})
        done = subprocess.run(command, cwd=Path.cwd(), env=kept, capture_output=True, text=True, timeout=120)
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


class Background:
    """A program in a process of its own, to be waited for or killed. Real, but with torch loaded beforehand.

    A write beyond `largest_file` bytes fails as on a full disk.
    """

    def __init__(self, *arguments: object, program: str = "train", largest_file: int = 0) -> None:
        self.out, self.err = (Path(f"{name}_{time.monotonic_ns()}.txt").absolute() for name in ("out", "err"))
        asked = {
            "ARGUMENTS": [f"{program}.py", *map(str, arguments)],
            "PROGRAM": program,
            "LARGEST_FILE": largest_file,
            "OUT": self.out,
            "ERR": self.err,
            "CWD": Path.cwd(),
        }
        context = multiprocessing.get_context("forkserver")
        jobs = ["cnnlab.cli.programs.train", "cnnlab.cli.programs.detect_edges"]
        context.set_forkserver_preload([*jobs, "cnnlab.data.images.module", "cnnlab.nn.small_cnn", "sklearn.datasets"])
        child = str(Path(__file__).parent / "child.py")
        self.process = context.Process(target=runpy.run_path, args=(child, asked, "child"))
        self.process.start()

    def when(self, happened: Callable[[], object], seconds: float = 60) -> "Background":
        """Wait until something is so. Fails if the process ends before, or takes too long."""
        end = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < end, f"waited in vain: {self.err.read_text()}"
            assert self.process.is_alive(), f"ended before: {self.out.read_text()} {self.err.read_text()}"
            time.sleep(0.002)
        return self

    def send(self, number: int) -> Outcome:
        os.kill(self.process.pid, number)
        return self.wait()

    def wait(self) -> Outcome:
        self.process.join(timeout=120)
        assert self.process.exitcode is not None, "still running"
        return Outcome(self.process.exitcode, self.out.read_text(), self.err.read_text())


@pytest.fixture
def background() -> Iterator[Callable[..., Background]]:
    """Start a program: `background("seed=3")`. What still runs at the end of the test is killed."""
    started: list[Background] = []

    def start(*arguments: object, **options: Any) -> Background:
        started.append(Background(*arguments, **options))
        return started[-1]

    yield start
    for one in started:
        if one.process.is_alive():
            one.process.kill()
            one.process.join()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a completed run of SMALL. Tests read it and change nothing."""
    home = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as monkeypatch, redirect_stdout(StringIO()), warnings.catch_warnings():
        monkeypatch.chdir(home)
        monkeypatch.setattr(sys, "argv", ["train.py", *SMALL, "hydra.run.dir=run"])
        with pytest.raises(SystemExit) as ended:
            programs.train()
    assert ended.value.code == 0
    return home / "run"
