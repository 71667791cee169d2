"""One completion that is wanted: its prompt, how its tokens are chosen, and who waits for them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rag.errors import ModelError

if TYPE_CHECKING:
    from rag.models.batch.sampling import Sampler

NO_MEMORY = (
    "There was not enough memory for this answer beside the others. Ask again, shorten the "
    "question, or lower llm.concurrency or llm.cache_mb."
)


class Request:
    """A prompt of token ids that wants up to `sampler.most` further ones, given out as they come.

    The thread that wants them iterates over `tokens`; the one that makes them calls `give`, and
    `end` or `fail` once. `stop`, an event, or `leave` gives the rest up.
    """

    def __init__(self, ids: list[int], sampler: Sampler, stop: threading.Event | None) -> None:
        self.ids = ids
        self.sampler = sampler
        self.written: list[int] = []
        self._stop = stop
        self._left = False
        self._ended = False
        self._events: queue.SimpleQueue[int | Exception | None] = queue.SimpleQueue()

    @property
    def columns(self) -> int:
        """The most tokens whose keys and values it may need at once."""
        return len(self.ids) + self.sampler.most

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for it, and the program's main thread still runs."""
        stopped = self._stop is not None and self._stop.is_set()
        return not (self._left or stopped) and threading.main_thread().is_alive()

    @property
    def done(self) -> bool:
        """Whether its last token is written: one that ends a text, or the last that it may have."""
        return bool(self.written) and (
            len(self.written) >= self.sampler.most or self.written[-1] in self.sampler.ends
        )

    def give(self, token: int) -> None:
        """Write a token."""
        self.written.append(token)
        self._events.put(token)

    def end(self) -> None:
        """No further token comes."""
        if not self._ended:
            self._ended = True
            self._events.put(None)

    def fail(self, error: Exception) -> None:
        """No further token comes, because of an error."""
        if not self._ended:
            self._ended = True
            self._events.put(error)

    def leave(self) -> None:
        """Nobody waits for it any more."""
        self._left = True

    def tokens(self) -> Iterator[int]:
        """The tokens as they are written. Raises ModelError where it failed."""
        while True:
            event = self._events.get()
            if event is None:
                return
            if isinstance(event, ModelError):
                raise event
            if isinstance(event, Exception):
                raise _failed(event) from event
            yield event


def _failed(error: Exception) -> ModelError:
    """What is told of an error that ended a request, whichever thread wrote it."""
    from rag.models.batch.shortage import is_shortage  # torch, which the writer has loaded

    if is_shortage(error):
        return ModelError(NO_MEMORY)
    reason = str(error).strip().partition("\n")[0][:200].rstrip(" .") or type(error).__name__
    return ModelError(
        f"The LLM could not answer this question: {reason}. Ask again; if it stays, start Cloister "
        "anew or choose another llm.model."
    )
