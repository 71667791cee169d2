"""The LLM that answers now. Another may take its place while answers are under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rag.errors import Busy
from rag.generation import WAIT_SECONDS, Generator
from rag.model_pick import name_in_use
from rag.records import NO_MODEL, ModelInfo

# a question that was given up leaves the line within this time
LOOK_SECONDS = 0.25


@dataclass(slots=True, eq=False)
class Seat:
    """An LLM in use, and how many answers it is writing; None: answers are quotes."""

    generator: Generator | None
    users: int = 0


class CurrentLLM:
    """Holds the LLM in use. Who uses it keeps it until done, also where another one follows."""

    def __init__(self) -> None:
        """Without one: who wants to use it waits."""
        self._seat: Seat | None = None
        self._info = NO_MODEL
        self._wanted = True
        self._changed = threading.Condition()
        self._loads = threading.Lock()
        self._used: list[Seat] = []
        self._held: list[str] = []

    @contextmanager
    def loads(self, given_up: Callable[[], bool]) -> Iterator[None]:
        """Within this block nothing else loads or changes an LLM, so that memory can be measured.

        Raises Busy where `given_up` says so while it waits.
        """
        while not self._loads.acquire(timeout=LOOK_SECONDS):
            if given_up():
                raise Busy("Another model is being loaded. Try again in a few minutes.")
        try:
            yield
        finally:
            self._loads.release()

    @contextmanager
    def holds(self, name: str) -> Iterator[None]:
        """Within this block a model, as a question names it, is one of those that are `busy`."""
        with self._changed:
            self._held.append(name)
        try:
            yield
        finally:
            with self._changed:
                self._held.remove(name)

    @property
    def busy(self) -> tuple[str, ...]:
        """What is held beside the LLM in use, and what still answers in whose place it came."""
        with self._changed:
            left = [seat.generator for seat in self._used if seat is not self._seat]
            return (*self._held, *(name_in_use(one.info) for one in left if one))

    @property
    def info(self) -> ModelInfo:
        """Which LLM answers, or while none does, which one did last."""
        return self._info

    @property
    def wanted(self) -> bool:
        """Whether answers are to be written by an LLM, be it one that is still being loaded."""
        return self._wanted

    @property
    def seat(self) -> Seat | None:
        """What is in use; None while it is being changed and nothing is."""
        return self._seat

    @contextmanager
    def use(self, stop: threading.Event) -> Iterator[Generator | None]:
        """The LLM, None where answers are quotes; waits while it is being changed.

        None too where `stop` was set meanwhile. Raises Busy where the wait is too long.
        """
        seat = self._take(stop)
        try:
            yield seat.generator if seat else None
        finally:
            if seat:
                with self._changed:
                    seat.users -= 1
                    if not seat.users:
                        self._used.remove(seat)
                    self._changed.notify_all()

    def put(self, generator: Generator | None) -> Seat | None:
        """Let new answers use this one; returns what was in use, which may be in use still."""
        return self.restore(Seat(generator))

    def restore(self, seat: Seat) -> Seat | None:
        """As `put`, with what was in use before."""
        with self._changed:
            before, self._seat = self._seat, seat
            self._info = seat.generator.info if seat.generator else NO_MODEL
            self._wanted = seat.generator is not None
            self._changed.notify_all()
        return before

    def take_away(self) -> Seat | None:
        """Let new answers wait; returns what was in use, which may be in use still."""
        with self._changed:
            before, self._seat = self._seat, None
        return before

    def wait_until_left(self, seat: Seat, seconds: float, stop: threading.Event) -> bool:
        """Whether no answer uses it any more, within so many seconds and before `stop` is set."""
        until = time.monotonic() + seconds
        with self._changed:
            while seat.users:
                left = until - time.monotonic()
                if left <= 0 or stop.is_set():
                    return False
                self._changed.wait(min(left, LOOK_SECONDS))
        return True

    def _take(self, stop: threading.Event) -> Seat | None:
        until = time.monotonic() + WAIT_SECONDS
        with self._changed:
            while (seat := self._seat) is None:
                if stop.is_set():
                    return None
                if time.monotonic() > until:
                    raise Busy("The LLM is being changed; ask again in a few minutes.")
                self._changed.wait(LOOK_SECONDS)
            seat.users += 1
            if seat.users == 1:
                self._used.append(seat)
            return seat
