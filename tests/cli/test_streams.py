"""Output that nobody reads, signals before a job, and terminals without colours: as a shell meets them."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.cli
QUICK = "trainer.fast_dev_run=true trainer.accelerator=cpu model.widths=[8] hydra.run.dir=run"


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """A line of bash, `cnnlab` in it for `python -m cnnlab`."""
    line = "set -o pipefail; " + line.replace("cnnlab ", f"{sys.executable} -m cnnlab ")
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize("end", ["| true", ">&-", "> /dev/full"])
def test_a_training_goes_on_when_nobody_reads_what_it_prints(end: str) -> None:
    done = shell(f"cnnlab train {QUICK} {end}")
    assert '"status": "completed"' in Path("run/summary.json").read_text()
    assert "Traceback" not in done.stderr
    if end == "> /dev/full":
        assert (done.returncode, done.stderr) == (1, "cnnlab: standard output: No space left on device\n")
    else:
        assert (done.returncode, done.stderr) == (0, "")


def test_help_that_is_cut_says_nothing_of_it() -> None:
    done = shell("cnnlab train --help | head -1")
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


def test_what_is_printed_never_goes_into_a_file_that_took_its_number() -> None:
    shell(f"cnnlab train {QUICK} >&- 2>&-")
    assert '"status": "completed"' in Path("run/summary.json").read_text()
    texts = [path.read_bytes() for path in Path("run").rglob("*") if path.is_file()]
    assert not any(b"test accuracy  " in text for text in texts)


@pytest.mark.parametrize(("number", "words"), [(signal.SIGTERM, "terminated"), (signal.SIGINT, "interrupted")])
def test_a_signal_while_a_configuration_is_composed_is_no_mistake(number: int, words: str) -> None:
    """At any moment: by the signal itself as long as Python and Hydra are imported, then with a status and a word."""
    ended = []
    for wait in (0.3, 0.5, 0.7, 0.9, 1.1, 1.3):
        command = [sys.executable, "-m", "cnnlab", "study", "arms=[kaiming,jet]", "--cfg", "job"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(wait)
        process.send_signal(number)
        ended.append((process.wait(), process.communicate()[1]))
    assert set(ended) <= {(-number, ""), (128 + number, f"cnnlab: {words}\n"), (0, "")}
    assert list(Path.cwd().iterdir()) == []


def test_no_color_leaves_no_codes_at_all() -> None:
    main, terminal = pty.openpty()
    environment = os.environ | {"NO_COLOR": "1", "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "cnnlab", "train", *QUICK.split()]
    process = subprocess.Popen(command, stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(main, 10_000):
            shown += piece
    except OSError:  # its other end is closed
        pass
    assert process.wait() == 0
    assert b"run" in shown
    assert b"\x1b" not in shown
