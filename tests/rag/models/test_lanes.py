"""Threads that compute on one core each, and leave all others as they are."""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing

import pytest
import torch

from rag.models.lanes import Lanes, lanes_for


def test_each_lane_computes_on_one_core_and_others_as_before() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        lanes = Lanes(2)
        together = threading.Barrier(2, timeout=10)

        def threads(_item: int) -> int:
            together.wait()
            torch.ones(64, 64) @ torch.ones(64, 64)
            return torch.get_num_threads()

        assert list(lanes.map(threads, range(2))) == [1, 1]
        assert torch.get_num_threads() == 3
        elsewhere: list[int] = []
        thread = threading.Thread(target=lambda: elsewhere.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert elsewhere == [3]
    finally:
        torch.set_num_threads(before)


def test_results_keep_their_order() -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.05 if item == 0 else 0)
        return item * 2

    assert list(Lanes(3).map(slow_first, range(7))) == [item * 2 for item in range(7)]


def test_what_has_not_begun_is_dropped_when_it_is_closed() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        time.sleep(0.02)
        return item

    with closing(Lanes(1).map(work, range(50))) as results:
        assert next(results) == 0
    count = len(begun)
    assert count < 10
    time.sleep(0.1)
    assert len(begun) == count


def test_an_error_is_raised_where_the_results_are_read() -> None:
    def fails(item: int) -> int:
        raise ValueError(str(item))

    with pytest.raises(ValueError, match="0"):
        list(Lanes(2).map(fails, range(4)))


def test_a_gpu_has_one_lane() -> None:
    assert lanes_for("cuda:0") == 1
    assert lanes_for("cpu") >= 1


@pytest.mark.timeout(30)
def test_a_fork_computes_in_threads_of_its_own() -> None:
    lanes = Lanes(2)
    assert list(lanes.map(abs, [-1, -2])) == [1, 2]
    child = os.fork()
    if child == 0:
        os._exit(0 if list(lanes.map(abs, [-3, -4, -5])) == [3, 4, 5] else 1)
    assert os.waitpid(child, 0)[1] == 0
