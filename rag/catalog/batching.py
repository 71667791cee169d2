"""Many values in lists that are small enough for one statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

# a stock SQLite takes 32,766 values in one statement; some need several a row
BATCH = 500


def batched(values: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """The values in lists of at most `size`, which one statement takes."""
    rest = iter(values)
    while some := list(islice(rest, size)):
        yield some
