"""Built as a wheel, cnnlab carries its configurations and runs anywhere."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.cli
def test_the_wheel_carries_its_configs_and_trains_in_an_empty_folder(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="the wheel is built without a network, with the backend that is here")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = (tmp_path / "dist").glob("cnnlab-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    packed = {
        path.relative_to(tmp_path / "site/cnnlab/configs") for path in (tmp_path / "site").rglob("configs/**/*.yaml")
    }
    assert packed == {path.relative_to(ROOT / "configs") for path in (ROOT / "configs").rglob("*.yaml")}
    entry_points = next((tmp_path / "site").glob("*.dist-info/entry_points.txt")).read_text()
    for program in (ROOT / "scripts").glob("*.py"):
        assert f"cnnlab-{program.stem.replace('_', '-')} = cnnlab.cli.entry:{program.stem}" in entry_points

    (tmp_path / "empty").mkdir()
    program = "import sys; from cnnlab.cli.entry import train; sys.argv[0] = 'cnnlab-train'; train()"
    command = [sys.executable, "-c", program, "model=edge_init", "trainer.max_epochs=1", "trainer.accelerator=cpu"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(command, cwd=tmp_path / "empty", env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "empty" / done.stdout.splitlines()[-1]
    assert (folder / "checkpoints" / "best.ckpt").is_file()
    assert "site/cnnlab/configs" in (folder / ".hydra" / "hydra.yaml").read_text()
