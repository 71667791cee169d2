"""What every request needs: the library, and the worker to wake after a change."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Protocol

from flask import Flask, current_app

from rag.comparing.service import Comparisons
from rag.library import Library

_KEY = "cloister"
# so that requests which are not answers always find a thread free
_SPARE_THREADS = 8


class Wakes(Protocol):
    """The part of the ingest worker that a request may use."""

    def wake(self) -> None:
        """Look at the queue now."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Where a server is reached, and the secret by which it proves that it is this one."""

    address: str
    token: str = field(repr=False)


class Served:
    """A library that is being served. `stopping` ends every answer that is under way."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.comparisons = Comparisons(library)
        self.worker: Wakes | None = None
        self.identity: Identity | None = None
        self.stopping = threading.Event()
        self._most_answers = max(1, library.settings.server_threads - _SPARE_THREADS)
        self.answers = threading.BoundedSemaphore(self._most_answers)

    def wake(self) -> None:
        """Tell the worker, where there is one yet, that the queue has changed."""
        if self.worker is not None:
            self.worker.wake()

    def stop_answers(self, seconds: float) -> None:
        """End every answer under way and wait up to `seconds` until they have ended."""
        self.stopping.set()
        until = time.monotonic() + seconds
        for _ in range(self._most_answers):
            if not self.answers.acquire(timeout=max(0.0, until - time.monotonic())):
                return


def attach(app: Flask, library: Library) -> Served:
    """Let the app serve this library."""
    app.extensions[_KEY] = Served(library)
    return served_by(app)


def served_by(app: Flask) -> Served:
    """What this app serves."""
    found: Served = app.extensions[_KEY]
    return found


def served() -> Served:
    """What the app of the current request serves."""
    return served_by(current_app)
