"""A part is made once, whoever asks."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rag.once import Once


def test_it_is_made_at_the_first_call_and_only_then() -> None:
    made: list[int] = []
    met = threading.Barrier(8)

    def make() -> None:
        made.append(len(made))  # what is made may be None

    part = Once(make)
    assert made == []

    def ask(_: int) -> None:
        met.wait(10)
        assert part() is None

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert made == [0]


def test_what_could_not_be_made_is_tried_again() -> None:
    tries = iter([OSError("full"), None])

    def make() -> str:
        if error := next(tries):
            raise error
        return "made"

    part = Once(make)
    with pytest.raises(OSError, match="full"):
        part()
    assert part() == "made"
    assert part() == "made"
