"""Turns: a bounded line in which nobody can crowd the others out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from rag.errors import Busy
from rag.turns import Turns


class Askers:
    """Threads that each take a turn and note who had one, until they are let go."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.began: list[str] = []
        self.refused: list[str] = []
        self._threads: list[threading.Thread] = []
        self._go = threading.Event()

    def ask(self, asker: str) -> None:
        """Ask in a thread, which is in the line or has its turn afterwards."""
        before = self.turns.waiting + self.turns.held + len(self.refused)

        def work() -> None:
            try:
                with self.turns.turn(threading.Event(), asker, 60):
                    self.began.append(asker)
                    self._go.wait(20)
            except Busy:
                self.refused.append(asker)

        thread = threading.Thread(target=work)
        thread.start()
        self._threads.append(thread)
        until(lambda: self.turns.waiting + self.turns.held + len(self.refused) > before)

    def all(self) -> list[str]:
        """Let all have their turns; in which order they began."""
        self._go.set()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()
        return self.began


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_each_asker_has_a_turn_in_its_turn() -> None:
    askers = Askers(Turns(1, 10))
    for asker in ("a", "a", "a", "a", "b", "c", "b"):
        askers.ask(asker)
    assert askers.all() == ["a", "b", "c", "a", "b", "a", "a"]


def test_who_holds_fewest_is_next() -> None:
    turns = Turns(2, 10)
    holder, leaver, line = Askers(turns), Askers(turns), Askers(turns)
    holder.ask("a")
    leaver.ask("b")
    line.ask("a")
    line.ask("c")
    leaver.all()
    until(lambda: bool(line.began))
    assert line.began == ["c"]
    holder.all()
    assert line.all() == ["c", "a"]


def test_one_who_fills_the_line_gives_way() -> None:
    askers = Askers(Turns(1, 3))
    for asker in ("a", "a", "a", "a"):
        askers.ask(asker)
    with pytest.raises(Busy, match="Too many"), askers.turns.turn(threading.Event(), "a", 1):
        pass
    askers.ask("b")
    until(lambda: askers.refused == ["a"])
    with pytest.raises(Busy, match="Too many"), askers.turns.turn(threading.Event(), "b", 1):
        pass  # it has one place, the other two: no more is its due
    assert askers.all() == ["a", "b", "a", "a"]


def test_nothing_is_held_when_all_are_gone() -> None:
    turns = Turns(2, 50)
    stop = threading.Event()

    def work(number: int) -> None:
        try:
            with turns.turn(stop, str(number % 3), 0.05 * (number % 4)):
                time.sleep(0.01)
        except Busy:
            pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert (turns.held, turns.waiting) == (0, 0)
    with turns.turn(threading.Event(), "x", 0) as begun:
        assert begun
