"""Pieces of work side by side: in order, few at a time, and ended together."""

import threading
import time

import pytest

from cnnlab._parallel import Stopped, in_turn


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_order_whatever_takes_longest(threads: int) -> None:
    def work(number: int) -> int:
        time.sleep(0.02 if number % 5 == 0 else 0)
        return number * number

    assert list(in_turn(work, range(30), threads)) == [number * number for number in range(30)]


def test_one_thread_is_this_one() -> None:
    assert set(in_turn(lambda _: threading.get_ident(), range(5), 1)) == {threading.get_ident()}


@pytest.mark.parametrize("threads", [2, 4])
def test_what_is_at_work_ends_with_an_error_and_cleans_up(threads: int) -> None:
    """However long it would have gone on."""
    started, cleaned = [], []

    def work(number: int) -> None:
        try:
            started.append(number)
            if number == threads - 1:
                while len(started) < threads:
                    time.sleep(0.001)
                raise KeyError(number)
            while True:
                time.sleep(0.001)
        except Stopped:
            cleaned.append(number)
            raise

    def ordered(number: int) -> None:
        return work(threads - 1 - number)  # so that the one that fails is the first that is waited for

    with pytest.raises(KeyError):
        list(in_turn(ordered, range(100), threads))
    assert set(started) >= set(range(threads))
    assert set(cleaned) == set(started) - {threads - 1}
    assert len(started) < 3 * threads


def test_a_reader_that_goes_away_ends_it() -> None:
    begun, ended = threading.Event(), threading.Event()

    def work(number: int) -> int:
        if not number:
            begun.wait(5)
        try:
            while number:
                begun.set()
                time.sleep(0.001)
        except Stopped:
            ended.set()
            raise
        return number

    results = in_turn(work, range(2), 2)
    assert next(results) == 0
    results.close()
    assert ended.wait(5)
