"""A thing that several threads use while one may put another in its place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Held(Generic[T]):
    value: T
    users: int = 0


class Hold(Generic[T]):
    """Holds one value at a time. Who uses it keeps it usable until done."""

    def __init__(self, value: T) -> None:
        self._held = _Held(value)
        self._changed = threading.Condition()

    @contextmanager
    def use(self) -> Iterator[T]:
        """The value; `replace` waits for the end of this."""
        with self._changed:
            held = self._held
            held.users += 1
        try:
            yield held.value
        finally:
            with self._changed:
                held.users -= 1
                self._changed.notify_all()

    def replace(self, value: T) -> T:
        """Let `value` be used from now on; returns the one before, used by nobody any more."""
        with self._changed:
            before, self._held = self._held, _Held(value)
            self._changed.wait_for(lambda: before.users == 0)
        return before.value

    def renew(self, meanwhile: T, make: Callable[[T], T]) -> None:
        """Hold what `make` makes of the value once nobody uses it; until then, `meanwhile`.

        Where it raises, `meanwhile` stays. One thread at a time may call this or `replace`.
        """
        made = make(self.replace(meanwhile))
        with self._changed:
            self._held = _Held(made)
