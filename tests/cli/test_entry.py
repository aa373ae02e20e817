"""The programs by name, as `python -m cnnlab` has them, and the versions."""

import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cnnlab.cli import entry


def module(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "cnnlab", *arguments], capture_output=True, text=True, timeout=100)


def test_every_installed_command_is_one_of_the_programs() -> None:
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    commands = re.findall(r'^cnnlab-([a-z-]+) = "cnnlab\.cli\.entry:(\w+)"$', pyproject, re.M)
    assert [name.replace("-", "_") for name, _ in commands] == [function for _, function in commands]
    assert {function for _, function in commands} == set(entry.PROGRAMS)
    assert all(callable(getattr(entry, program)) for program in entry.PROGRAMS)


@pytest.mark.cli
def test_without_a_program_all_are_listed() -> None:
    for arguments in ((), ("--help",)):
        listed = module(*arguments)
        assert (listed.returncode, listed.stderr) == (0, "")
        for program, line in entry.PROGRAMS.items():
            assert f"  {program:16}  {line}\n" in listed.stdout


@pytest.mark.cli
def test_a_program_runs_by_its_name() -> None:
    mistaken = module("train", "modle=edge_init")
    assert mistaken.returncode == 2
    assert mistaken.stderr.startswith("cnnlab: there is no option 'modle' (did you mean 'model'?)")
    unknown = module("trian")
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("cnnlab: unknown program 'trian' (did you mean 'train'?); valid: train, evaluate")
    assert "== Values" in module("receptive-fields", "--help").stdout


def test_versions_are_those_of_the_packages_that_make_the_numbers(here: Callable) -> None:
    said = here("--version", program="evaluate")
    assert said.status == 0
    for package in ("cnnlab", "torch", "lightning", "hydra-core"):
        assert f"{package} {importlib.metadata.version(package)}" in said.out
