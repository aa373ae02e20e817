"""The launchers of Hydra's ecosystem: each runs the jobs of a sweep in processes, or on machines, of its own."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hydra
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.plugins import Plugins

from cnnlab.cli.folders import Folders, config_folder, register_resolvers
from cnnlab.cli.hydra_section import check_installed

# A job that trains and one that is refused: the sweep ends with both in its table, and with status 1.
JOBS = (
    "-m", "trainer.max_epochs=1", "trainer.accelerator=cpu", "model.widths=[8]", "figures=false", "report=false",
    'model.bank=sobel,"sobel(size=99)"', "hydra.sweep.dir=sweep",
)  # fmt: skip
PACKAGES = {
    "processes": ("hydra_joblib_launcher", "joblib", ["hydra.launcher.n_jobs=2"]),
    "slurm_local": ("hydra_submitit_launcher", "submitit", []),
    "slurm": ("hydra_submitit_launcher", "submitit", []),
    "ray_cluster": ("hydra_ray_launcher", "ray", ["+hydra.launcher.ray.init.num_cpus=1"]),
}


def test_every_launcher_is_known_here() -> None:
    assert {path.stem for path in (config_folder() / "hydra" / "launcher").glob("*.yaml")} == set(PACKAGES)


@pytest.mark.cli
@pytest.mark.parametrize("name", ["processes", "slurm_local", "ray_cluster"])
def test_a_sweep_runs_with_a_launcher(outside: Callable, name: str) -> None:
    package, _, options = PACKAGES[name]
    pytest.importorskip(f"hydra_plugins.{package}")
    quiet = {"OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled"}
    outcome = outside(*JOBS, f"hydra/launcher={name}", *options, environment=quiet)
    assert outcome.status == 1, outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.folder == Path("sweep")
    assert "job 1: UsageError: sobel: size=99 is not valid" in outcome.out
    jobs = [Path("sweep") / job["folder"] for job in json.loads(Path("sweep/sweep.json").read_text())["jobs"]]
    content = [json.loads((job / "summary.json").read_text()) for job in jobs]
    assert [one["status"] for one in content] == ["completed", "failed"]
    assert f"{content[0]['metrics']['test/accuracy']:.4f}" in outcome.out
    assert (jobs[0] / "checkpoints" / "best.ckpt").is_file()
    assert {path.name for path in Path().iterdir()} == {"sweep"}


@pytest.fixture
def cluster() -> Iterator[dict[str, str]]:
    """A Ray cluster of one node, as `ray start --head` makes it; the environment in which it is found."""
    pytest.importorskip("hydra_plugins.hydra_ray_launcher")
    with tempfile.TemporaryDirectory(prefix="ray_") as folder:  # a short path: Ray makes sockets in it
        own = {"RAY_TMPDIR": folder, "RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1"}
        options = [
            "--head",
            "--block",
            "--port=0",
            "--num-cpus=1",
            "--include-dashboard=false",
            "--disable-usage-stats",
        ]
        ray = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", *options]
        with Path("ray.txt").open("w") as said:
            head = subprocess.Popen(ray, env=os.environ | own, stdout=said, stderr=said, start_new_session=True)
        end = time.monotonic() + 100
        while "Ray runtime started" not in Path("ray.txt").read_text():
            assert head.poll() is None, Path("ray.txt").read_text()
            assert time.monotonic() < end, Path("ray.txt").read_text()
            time.sleep(0.1)
        Path("ray.txt").unlink()
        yield own
        head.terminate()
        head.wait(60)


@pytest.mark.cli
def test_a_sweep_runs_on_a_ray_cluster_that_is_there(outside: Callable, cluster: dict[str, str]) -> None:
    outcome = outside(*JOBS, "hydra/launcher=ray_cluster", "hydra.launcher.ray.init.address=auto", environment=cluster)
    assert outcome.status == 1, outcome.err
    assert "Connected to Ray cluster" in outcome.err
    rows = list(csv.DictReader(Path("sweep/sweep.csv").read_text().splitlines()))
    assert [row["status"] for row in rows] == ["completed", "failed"]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_launcher_is_built_from_its_configuration(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(f"hydra_plugins.{PACKAGES[name][0]}")
    monkeypatch.setattr("shutil.which", lambda program: f"/usr/bin/{program}")  # as on a cluster
    register_resolvers(Folders())
    folder = ["hydra.launcher.submitit_folder=sweep"] if name.startswith("slurm") else []
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", [f"hydra/launcher={name}", *folder], return_hydra_config=True)
    assert Plugins.instance()._instantiate(config.hydra.launcher) is not None


@pytest.mark.parametrize("name", PACKAGES)
def test_a_launcher_that_is_not_installed_is_answered_with_the_line_that_installs_it(
    here: Callable, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    package, extra, _ = PACKAGES[name]
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda one, *rest: None if package in one else find(one, *rest))
    outcome = here("-m", f"hydra/launcher={name}", "seed=0,1")
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1
    assert f"{package} is not installed; it comes with: pip install 'cnnlab[{extra}]'" in outcome.err
    assert not Path("outputs").exists()


def test_slurm_off_a_cluster_is_answered(here: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    monkeypatch.setenv("PATH", "/nowhere")
    outcome = here("-m", "hydra/launcher=slurm", "seed=0,1")
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1
    assert "there is no srun here" in outcome.err
    assert "slurm_local" in outcome.err
    assert not Path("outputs").exists()


def test_hydras_internals_are_those_that_were_tried() -> None:
    """All of them are in cli/hydra_internals.py. After an upgrade: run the suite, then name the new version here."""
    assert hydra.__version__ == "1.3.8"


def test_hydras_own_launcher_needs_nothing() -> None:
    check_installed({"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"})
    check_installed(None)
