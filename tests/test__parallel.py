"""Threads of torch."""

import subprocess
import sys
from contextlib import suppress

import pytest
import torch

from cnnlab._parallel import torch_threads


def test_inside_torch_has_so_many_threads_and_afterwards_those_of_before_also_after_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = [4]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    with suppress(ZeroDivisionError), torch_threads(2):
        assert threads[-1] == 2
        raise ZeroDivisionError
    assert threads == [4, 2, 4]


def test_as_a_decorator_it_works_at_every_call() -> None:
    @torch_threads(1)
    def threads() -> int:
        return torch.get_num_threads()

    assert [threads(), threads()] == [1, 1]


def test_the_bar_is_loaded_only_when_it_is_drawn() -> None:
    check = "import sys, cnnlab._parallel; assert 'rich' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)
