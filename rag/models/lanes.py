"""Threads that compute on one core each.

A batch of a few short texts keeps one core busy, and hardly two: on a processor several batches
side by side are done sooner than one after the other on all cores, and far sooner where other
programs compute too, since no core waits for another.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from rag.cores import usable_cores
from rag.models.threads import on_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

# more than there are batches in a slice of the ingest would have nothing to do
_MOST = 16


class Lanes:
    """A pool of threads, each of which computes on one core. Safe to use from several threads."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._threads = ThreadPoolExecutor(self.count, "lane", on_cores, (1,))

    def map(
        self, work: Callable[[Item], Result], items: Iterable[Item]
    ) -> Generator[Result, None, None]:
        """The results in the order of the items. What has not begun is dropped when it is closed.

        It ends, and raises what `work` raised, only when no thread works for it any more.
        """
        if self._process != os.getpid():
            self._begin()  # a fork has none of its parent's threads
        futures: list[Future[Result]] = []
        try:
            futures += (self._threads.submit(work, item) for item in items)
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()
            for future in futures:
                if not future.cancelled():
                    future.exception()


def lanes_for(device: str) -> int:
    """How many batches are computed at once on a torch device: one a core on a processor."""
    return 1 if device != "cpu" else min(_MOST, usable_cores())
