"""summary.json is whole and true at any moment."""

import json
import multiprocessing
import time
from pathlib import Path

import pytest

from cnnlab._files import write_text
from cnnlab.runs.record import RunRecord, git_commit, read_summary, versions


def test_a_record_is_written_at_every_change(tmp_path: Path) -> None:
    record = RunRecord(tmp_path, seed=3)
    assert read_summary(tmp_path)["status"] == "running"
    assert read_summary(tmp_path)["seed"] == 3
    record.add(metrics={"test/accuracy": 0.5})
    assert read_summary(tmp_path)["metrics"] == {"test/accuracy": 0.5}
    record.finish("completed", epochs=2)
    content = read_summary(tmp_path)
    assert (content["status"], content["epochs"], content["seed"]) == ("completed", 2, 3)
    assert {"started", "seconds", "command", "versions", "git_commit"} <= set(content)
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_a_run_that_goes_on_keeps_what_it_was_and_counts_further(tmp_path: Path) -> None:
    first = RunRecord(tmp_path, seed=3)
    time.sleep(0.02)
    first.finish("failed", error="the disk is full", parameters=7)
    before = read_summary(tmp_path)
    again = RunRecord(tmp_path, again=True, seed=3)
    content = read_summary(tmp_path)
    assert content["status"] == "running"
    assert "error" not in content
    assert (content["started"], content["command"]) == (before["started"], before["command"])
    assert content["parameters"] == 7
    assert content["resumed"] == 1
    again.finish("completed")
    assert read_summary(tmp_path)["seconds"] >= before["seconds"] >= 0.02
    assert RunRecord(tmp_path, again=True).content["resumed"] == 2


def test_a_new_run_forgets_what_lay_there(tmp_path: Path) -> None:
    RunRecord(tmp_path).finish("failed", error="x", parameters=7)
    RunRecord(tmp_path)
    assert "parameters" not in read_summary(tmp_path)


def test_only_four_endings_are_known(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        RunRecord(tmp_path).finish("done")


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "\x00"])
def test_what_is_no_summary_is_read_as_none(tmp_path: Path, text: str) -> None:
    assert read_summary(tmp_path) == {}
    (tmp_path / "summary.json").write_text(text)
    assert read_summary(tmp_path) == {}


def write_again_and_again(path: str) -> None:
    number = 0
    while True:
        write_text(Path(path), json.dumps([number] * 20_000))
        number += 1


def test_a_reader_never_sees_half_a_file_even_if_the_writer_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    write_text(path, "[0]")
    writer = multiprocessing.get_context("fork").Process(target=write_again_and_again, args=(str(path),))
    writer.start()
    seen = set()
    end = time.monotonic() + 20
    while len(seen) < 5 and time.monotonic() < end:
        numbers = json.loads(path.read_text())
        assert len(set(numbers)) == 1
        seen.add(numbers[0])
    writer.kill()
    writer.join()
    assert len(set(json.loads(path.read_text()))) == 1
    assert len(seen) >= 5


def test_a_failed_write_keeps_the_old_file_and_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "summary.json"
    write_text(path, "old")

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*summary\.json'"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_versions_are_those_that_are_installed() -> None:
    import torch

    assert versions()["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert "cnnlab" in versions()


def test_the_commit_is_a_hash_or_nothing() -> None:
    commit = git_commit()
    assert commit is None or len(commit.removesuffix("-dirty")) == 40
