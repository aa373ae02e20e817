"""Sweeps: listed before they begin, unharmed by what happens to a job, and taken up again where they stopped."""

import csv
import json
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from rich.console import Console

from cnnlab._files import held
from cnnlab.cli import entry as programs
from cnnlab.cli.check import check
from cnnlab.cli.folders import Folders, config_folder, register_resolvers
from cnnlab.cli.jobs.progress import SweepProgress

QUICK = ("trainer.max_epochs=1", "trainer.accelerator=cpu", "model.widths=[8]", "figures=false", "report=false")
SMALL = (*QUICK, "trainer.max_epochs=2", "data.rotation=10")
JOBS = ("-m", *SMALL, "seed=0,1,2", "hydra.sweep.dir=sweep")
NAMED = sorted(path.stem for path in (config_folder() / "sweep").glob("*.yaml"))
SWEEP = Path("sweep")


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def table(folder: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader((folder / "sweep.csv").read_text().splitlines()))
    return [{name: cell for name, cell in row.items() if name != "seconds"} for row in rows]


def jobs_of(folder: Path) -> list[Path]:
    return [folder / job["folder"] for job in json.loads((folder / "sweep.json").read_text())["jobs"]]


def assert_same_sweep(one: Path, other: Path) -> None:
    assert table(one) == table(other)
    for mine, yours in zip(jobs_of(one), jobs_of(other), strict=True):
        ours, theirs = weights(mine), weights(yours)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep of JOBS that nothing happened to."""
    home = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as monkeypatch, redirect_stdout(StringIO()):
        monkeypatch.chdir(home)
        monkeypatch.setattr("sys.argv", ["train.py", *JOBS])
        with pytest.raises(SystemExit) as ended:
            programs.train()
    assert ended.value.code == 0
    return home / SWEEP


@pytest.mark.parametrize("name", NAMED)
def test_every_job_of_a_named_sweep_composes(name: str) -> None:
    register_resolvers(Folders())
    text = (config_folder() / "sweep" / f"{name}.yaml").read_text()
    for word in ("Question", "Command", "Hardware", "Time", "Expected"):
        assert f"\n# {word}:" in text
    assert f"+sweep={name}" in text
    params = yaml.safe_load(text)["hydra"]["sweeper"]["params"]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        swept = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
        for one in swept:
            key = one.get_key_element()
            values = one.sweep_string_iterator() if one.is_sweep_override() else [one.get_value_element_as_str()]
            for value in values:
                config = compose("train", [f"+sweep={name}", f"{key}={value}"], return_hydra_config=True)
                assert config.hydra.mode.name == "MULTIRUN"
                OmegaConf.set_struct(config, False)
                del config["hydra"]
                check(config, "cnnlab.cli.programs.train")


def test_a_sweep_of_ones_own_needs_no_flag_and_goes_on_with_its_configurations(here: Callable) -> None:
    Path("mine/sweep").mkdir(parents=True)
    Path("mine/sweep/tiny.yaml").write_text(
        "# @package _global_\nhydra: {mode: MULTIRUN, sweep: {dir: sweep}, sweeper: {params: {seed: 'range(2)'}}}\n"
    )
    outcome = here("--config-dir", "mine", "+sweep=tiny", *QUICK)
    assert (outcome.status, outcome.err) == (0, "")
    command = summary(jobs_of(SWEEP)[1])["command"]
    assert "seed=1" in command
    assert "hydra.mode=RUN" in command
    (jobs_of(SWEEP)[1] / "summary.json").unlink()
    before = summary(jobs_of(SWEEP)[0])
    refused = here(f"resume={SWEEP}")
    assert refused.status == 2
    assert "if you trust them: resume=sweep --config-dir=" in refused.err
    again = here(f"resume={SWEEP}", "--config-dir", "mine")
    assert (again.status, again.err) == (0, "")
    assert summary(jobs_of(SWEEP)[0]) == before
    assert summary(jobs_of(SWEEP)[1])["status"] == "completed"


def test_what_a_sweep_leaves(whole: Path) -> None:
    listed = json.loads((whole / "sweep.json").read_text())
    assert [job["folder"] for job in listed["jobs"]] == sorted(path.name for path in whole.iterdir() if path.is_dir())
    assert "seed=2" in listed["jobs"][2]["overrides"]
    assert [(row["job"], row["seed"], row["status"]) for row in table(whole)] == [
        (str(number), str(number), "completed") for number in range(3)
    ]
    for row, job in zip(table(whole), jobs_of(whole), strict=True):
        assert float(row["test accuracy"]) == summary(job)["metrics"]["test/accuracy"]
        assert "epoch 2/2" in (job / "output.txt").read_text()
    one, other = (weights(job)["front_end.weight"] for job in jobs_of(whole)[1:])
    assert not torch.equal(one, other)


def test_a_job_that_is_killed_takes_nothing_with_it_and_is_repeated(here: Callable, whole: Path) -> None:
    def kill() -> None:
        path, end = SWEEP / "1_edge_init_digits_seed1" / "metrics.csv", time.monotonic() + 60
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.005)
        for process in multiprocessing.active_children():
            process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    outcome = here(*JOBS)
    killer.join()
    assert outcome.status == 1
    assert outcome.err == "cnnlab: job 1 failed: its process was ended by SIGKILL\n"
    assert "job 1: its process was ended by SIGKILL" in outcome.out
    assert [row["status"] for row in table(SWEEP)] == ["completed", "failed", "completed"]
    again = here(f"resume={SWEEP}")
    assert (again.status, again.err) == (0, "")
    assert "2 of 3 jobs were completed before" in again.out
    assert_same_sweep(SWEEP, whole)
    assert [summary(job).get("resumed", 0) for job in jobs_of(SWEEP)] == [0, 1, 0]


@pytest.mark.cli
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_sweep_that_is_killed_goes_on_to_the_same_results(
    background: Callable, here: Callable, whole: Path, number: int
) -> None:
    second = SWEEP / "1_edge_init_digits_seed1"
    outcome = background(*JOBS).when((second / "checkpoints" / "last.ckpt").exists).send(number)
    assert len(jobs_of(SWEEP)) == 3
    assert not jobs_of(SWEEP)[2].exists()
    if number == signal.SIGTERM:
        assert outcome.status == 143
        assert "go on with: resume=sweep" in outcome.out
        assert summary(second)["status"] == "interrupted"
    again = here(f"resume={SWEEP}")
    assert (again.status, again.err) == (0, "")
    assert again.folder == SWEEP
    assert_same_sweep(SWEEP, whole)


@pytest.mark.cli
def test_sweeps_that_start_in_the_same_instant_have_folders_of_their_own(background: Callable) -> None:
    started = [background("-m", "seed=-1,-2") for _ in range(3)]  # refused jobs: it is the folders that count
    ended = [sweep.wait() for sweep in started]
    assert [outcome.status for outcome in ended] == [1] * 3
    assert len({outcome.folder for outcome in ended}) == 3
    assert {path.name for path in Path("outputs/sweep").iterdir()} == {outcome.folder.name for outcome in ended}
    assert all(len(table(outcome.folder)) == 2 for outcome in ended)


@pytest.mark.cli
def test_jobs_of_several_processes_make_no_folders_beside_their_own(outside: Callable) -> None:
    several = ("trainer=ddp", "trainer.devices=2", "data.train_size=200", "seed=3")
    outcome = outside("-m", *QUICK, *several)
    assert (outcome.status, outcome.err) == (0, "")
    assert [path.name for path in Path("outputs").iterdir()] == ["sweep"]
    (folder,) = Path("outputs/sweep").iterdir()
    assert sorted(path for path in folder.iterdir() if path.is_dir()) == jobs_of(folder)
    assert [summary(job)["steps"] for job in jobs_of(folder)] == [1]  # 180 images, two batches of 64 at a time


WRONG = {
    "no JSON": ("{", "is not a list of jobs"),
    "another list": (
        '{"overrides": [], "hydra_overrides": [], "jobs": [{}], "program": "train"}',
        "is not a list of jobs",
    ),
    "another program": ("train.py", "there is no program 'train.py'"),
    "a flag": ("--experimental-rerun=x", "is refused"),
    "an environment": ("hydra.job.env_set={PATH:here}", "is refused"),
    "an appended environment": ("+hydra.job.env_set={PATH:here}", "is refused"),
    "a callback": ("+hydra.callbacks.x={_target_:cnnlab.cli.sweep.Path}", "is refused"),
    "a launcher's class": ("hydra.launcher._target_=os.system", "is refused"),
    "a launcher's script": ("hydra.launcher.setup=[rm]", "is refused"),
    "a folder": ("data.root=${new_folder:/tmp/made}", "is refused"),
    "another folder": ("hydra.sweep.subdir=../x", "is refused"),
    "logging": ("hydra/job_logging=default", "is refused"),
    "a search path": ("hydra.searchpath=[file:///tmp]", "is refused"),
    "configurations": ("CONFIGS", "if you trust them: resume=sweep --config-dir=mine"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_list_that_was_tampered_with_is_refused(here: Callable, name: str) -> None:
    text, words = WRONG[name]
    content = {"overrides": [], "hydra_overrides": [], "jobs": [], "program": "train", "config_dir": None}
    if text == "CONFIGS":
        text = json.dumps(content | {"config_dir": "mine"})
    elif not text.startswith("{"):
        where = {"another program": {"program": text}, "a flag": {"overrides": [text]}}
        text = json.dumps(content | where.get(name, {"hydra_overrides": [text]}))
    SWEEP.mkdir()
    (SWEEP / "sweep.json").write_text(text)
    outcome = here(f"resume={SWEEP}")
    assert outcome.status == 2
    assert words in outcome.err
    assert [path.name for path in SWEEP.iterdir()] == ["sweep.json"]


def test_a_sweep_takes_no_options_beside_resume_and_no_second_process(here: Callable, whole: Path) -> None:
    outcome = here(f"resume={whole}", "seed=1")
    assert outcome.status == 2
    assert "resume takes no other options" in outcome.err
    with held(whole):
        outcome = here(f"resume={whole}")
    assert outcome.status == 2
    assert "still running in another process" in outcome.err


def test_a_sweep_whose_configurations_have_changed_is_refused(here: Callable) -> None:
    assert here("-m", "seed=-1,-2", "hydra.sweep.dir=sweep").status == 1
    content = json.loads((SWEEP / "sweep.json").read_text())
    content["overrides"] = ["seed=-1,-3"]
    (SWEEP / "sweep.json").write_text(json.dumps(content))
    outcome = here(f"resume={SWEEP}")
    assert outcome.status == 2
    assert "has other jobs than its options give today" in outcome.err


def told(folder: Path, job: str, status: str) -> None:
    (folder / job).mkdir(exist_ok=True)
    (folder / job / "summary.json").write_text(json.dumps({"status": status}))


def test_the_progress_counts_what_ended_since_it_began(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(tmp_path, "0", "completed")
    told(tmp_path, "1", "running")  # left by a sweep that was killed
    progress = SweepProgress(tmp_path, ["0", "1", "2", "3"], every=0.005)
    progress.started = (tmp_path / "1" / "summary.json").stat().st_mtime + 1e-6
    assert progress.look() == []
    assert progress.words() == "1 of 4 jobs ended"
    progress.start()
    time.sleep(0.02)
    told(tmp_path, "1", "completed")
    told(tmp_path, "2", "running")
    time.sleep(0.1)
    told(tmp_path, "2", "failed")
    progress.stop()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "sweep: 1 of 4 jobs were completed before"
    assert lines[1].startswith("sweep: 2 of 4 jobs ended, about 0 s left")
    assert lines[2].startswith("sweep: 3 of 4 jobs ended, 1 with an error, about 0 s left")
    assert len(lines) == 3


def test_on_a_terminal_the_progress_is_one_line_with_the_job_that_runs(tmp_path: Path) -> None:
    screen = StringIO()
    progress = SweepProgress(tmp_path, ["0_edge", "1_edge"], every=0.005)
    told(tmp_path, "0_edge", "failed")
    told(tmp_path, "1_edge", "running")
    thread = threading.Thread(target=progress.draw, args=(Console(file=screen, force_terminal=True, width=120),))
    thread.start()
    until = time.monotonic() + 30
    while "1_edge" not in screen.getvalue() or "1 of 2 jobs ended, 1 with" not in screen.getvalue():
        assert time.monotonic() < until
        time.sleep(0.02)
    progress.stop()
    thread.join()
    assert "1 of 2 jobs ended, 1 with an error" in screen.getvalue()
    assert "1_edge" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[2K")  # the line is wiped
