"""An answer under way: a thread asks, and the request takes the events as they come.

The thread is there so that the request can look, while nothing comes, whether its client is
still there. When it is not, or the server stops, the library's iterator is closed, which ends
generation.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from types import GeneratorType
from typing import Any

from werkzeug.exceptions import ClientDisconnected

from rag.errors import Busy
from rag.records import Event, Question
from web.connection import client_socket, has_gone
from web.served import Served

# a vanished client is noticed within this time
_LOOK_SECONDS = 0.25
_Item = Event | BaseException


class AnswerEnded(Exception):
    """There is no further event."""


class Answering:
    """One question being answered. In the end `stop()` must be called, which `last()` does."""

    def __init__(self, served: Served, question: Question) -> None:
        """Begin. Raises Busy when as many answers are under way as the server has room for."""
        if not served.answers.acquire(blocking=False):
            raise Busy("Too many answers are under way. Ask again in a moment.")
        self._served = served
        self._question = question
        self._items: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._events: Iterator[Event] | None = None
        self._client = client_socket()
        self._next_look = 0.0
        threading.Thread(target=self._ask, name="answer", daemon=True).start()

    def take(self, seconds: float) -> Event | None:
        """The next event, or None if none comes within `seconds`.

        Raises what the library raised, Busy when the server stops, ClientDisconnected when
        nobody waits for the answer any more, and AnswerEnded after the last event.
        """
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            self._look()
            try:
                item = self._items.get(timeout=max(0.0, min(_LOOK_SECONDS, left)))
            except queue.Empty:
                if left <= 0:
                    return None
                continue
            if isinstance(item, BaseException):
                raise item
            return item

    def last(self) -> Event:
        """Wait for the last event, `done` or `error`, and stop. Raises as `take` does."""
        try:
            while True:
                event = self.take(seconds=60)
                if event is not None and event.name in ("done", "error"):
                    return event
        finally:
            self.stop()

    def stop(self) -> None:
        """End generation, whether or not it has ended by itself."""
        self._stopped.set()
        close = getattr(self._events, "close", None)
        # a generator can be closed only by the thread that runs it, after its next event
        if close is not None and not isinstance(self._events, GeneratorType):
            close()

    def _look(self) -> None:
        """Now and then, see whether the answer is still wanted."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_SECONDS
        if self._served.stopping.is_set():
            raise Busy("Cloister is stopping. Ask again when it is back.")
        if self._client is not None and has_gone(self._client):
            raise ClientDisconnected

    def _ask(self) -> None:
        events: Any = None
        try:
            events = self._events = self._served.library.ask(self._question)
            for event in events:
                self._items.put(event)
                if self._stopped.is_set():
                    break
            self._items.put(AnswerEnded())
        except Exception as error:  # noqa: BLE001  # handed to the request, which knows how to report it
            self._items.put(error)
        finally:
            if isinstance(events, GeneratorType):
                events.close()
            self._served.answers.release()
