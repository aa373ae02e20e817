"""A new folder for every run, also where several begin in the same instant."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cnnlab.cli.folders import Folders, config_folder, what


def test_many_at_once_never_share_a_folder(tmp_path: Path) -> None:
    wanted = str(tmp_path / "outputs" / "run")
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: Folders().new(wanted), range(64)))
    assert len(set(made)) == 64
    assert set(made) == {wanted, *(f"{wanted}_{number}" for number in range(2, 65))}
    assert all(Path(path).is_dir() for path in made)


def test_a_file_in_the_way_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(FileExistsError):
        Folders().new(str(tmp_path / "run"))
    assert (tmp_path / "run").read_text() == "mine"


def test_refused_folders_go_and_worked_in_folders_stay(tmp_path: Path) -> None:
    folders = Folders()
    refused, worked = (Path(folders.new(str(tmp_path / "new" / name))) for name in ("refused", "worked"))
    for folder in (refused, worked):
        (folder / ".hydra").mkdir()
        (folder / ".hydra" / "config.yaml").touch()
        (folder / "summary.json").touch()
    (worked / "metrics.csv").touch()
    folders.remove_refused()
    assert not refused.exists()
    assert (worked / "summary.json").exists()
    assert (worked / "metrics.csv").exists()


def test_folders_that_were_there_stay(tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    folders = Folders()
    folders.new(str(tmp_path / "outputs" / "deep" / "run"))
    folders.remove_refused()
    assert (tmp_path / "outputs").is_dir()
    assert not (tmp_path / "outputs" / "deep").exists()


@pytest.mark.parametrize("name", ["config.yaml", "summary.json", "metrics.csv", "multirun.yaml", "checkpoints"])
def test_a_folder_that_holds_a_run_is_not_free(tmp_path: Path, name: str) -> None:
    folders = Folders()
    folders.check_free(tmp_path, "hydra.run.dir")
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match=f"hydra.run.dir: .* holds a run already .{name}."):
        Folders().check_free(tmp_path, "hydra.run.dir")
    folders.check_free(tmp_path, "hydra.run.dir")  # the same launch may look again


def test_what_a_run_is_is_fit_for_a_folder_name() -> None:
    assert what({"model": "edge_init", "data": "mnist", "trainer": "auto"}) == "edge_init_mnist"
    assert what({"model": "a/b c:d", "data": None}) == "a_b_c_d"
    assert what({}) == "run"


def test_the_configurations_are_where_they_are_expected() -> None:
    assert (config_folder() / "train.yaml").is_file()
