"""Turns at something that only so many may use at once: a bounded line, fair to each asker."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rag.errors import Busy

# one that was given up leaves the line within this time
_LOOK_SECONDS = 0.25
# askers of whom it is known when they had a turn
_REMEMBERED = 1000
_TOO_MANY = "Too many questions are waiting for the LLM; try again in a minute."
_TOO_LONG = "The LLM was busy with other questions for too long; try again."


class Turns:
    """`most` turns at once, and `line` places to wait for one.

    A free turn goes to the asker who holds the fewest, among equals to the one whose last turn is
    longest ago; each asker's own come in their order. Where the line is full, one who has at least
    two more places in it than a newcomer loses the newest of them to that newcomer.
    """

    def __init__(self, most: int, line: int) -> None:
        self._most = most
        self._line_places = line
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._line: list[_Place] = []
        # when each asker last began a turn, counted in turns, the latest last
        self._begun: dict[str, int] = {}
        self._count = 0

    @contextmanager
    def turn(self, stop: threading.Event, asker: str, seconds: float) -> Iterator[bool]:
        """Wait for a turn and hold it; False, and none, where `stop` was set before there was one.

        Raises Busy where the line is full, or for one who waited so many seconds.
        """
        place = self._enter(asker)
        try:
            begun = place.ready.is_set() or self._wait(place, stop, seconds)
            yield begun and not stop.is_set()
        finally:
            self._leave(place)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._line)

    @property
    def held(self) -> int:
        """How many turns are held."""
        return self._held.total()

    def _enter(self, asker: str) -> _Place:
        place = _Place(asker)
        with self._lock:
            if self._held.total() >= self._most and len(self._line) >= self._line_places:
                self._make_way(asker)
            self._line.append(place)
            self._give()
        return place

    def _make_way(self, asker: str) -> None:
        """Take the newest place of whoever has most of them. Raises Busy where that is unfair."""
        waiting = Counter(place.asker for place in self._line)
        greedy, places = max(waiting.items(), key=lambda item: item[1], default=("", 0))
        if places < waiting[asker] + 2:
            raise Busy(_TOO_MANY)
        newest = next(place for place in reversed(self._line) if place.asker == greedy)
        self._line.remove(newest)
        newest.refused = True
        newest.ready.set()

    def _wait(self, place: _Place, stop: threading.Event, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not place.ready.wait(_LOOK_SECONDS):
            if stop.is_set():
                return False
            if time.monotonic() > until:
                raise Busy(_TOO_LONG)
        if place.refused:
            raise Busy(_TOO_MANY)
        return True

    def _leave(self, place: _Place) -> None:
        with self._lock:
            if place.holds:
                place.holds = False
                self._held[place.asker] -= 1
                self._give()
            elif place in self._line:
                self._line.remove(place)
            if not self._held[place.asker]:
                del self._held[place.asker]

    def _give(self) -> None:
        """Give the free turns out."""
        while self._line and self._held.total() < self._most:
            place = min(self._line, key=self._due)
            self._line.remove(place)
            self._held[place.asker] += 1
            self._count += 1
            self._begun.pop(place.asker, None)
            self._begun[place.asker] = self._count
            if len(self._begun) > _REMEMBERED:
                del self._begun[next(iter(self._begun))]
            place.holds = True
            place.ready.set()

    def _due(self, place: _Place) -> tuple[int, int]:
        """Whose turn is next: the least is."""
        return self._held[place.asker], self._begun.get(place.asker, 0)


class _Place:
    """One who waits for a turn, or holds it."""

    def __init__(self, asker: str) -> None:
        self.asker = asker
        self.ready = threading.Event()
        self.holds = self.refused = False
