"""Many values in lists that are small enough for one statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from sqlalchemy import ColumnElement, bindparam, func, select

from rag.catalog.schema import chunks

T = TypeVar("T")

# a stock SQLite takes 32,766 values in one statement; some need several a row
BATCH = 500


def batched(values: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """The values in lists of at most `size`, which one statement takes."""
    rest = iter(values)
    while some := list(islice(rest, size)):
        yield some


def among_ids() -> ColumnElement[bool]:
    """Chunks whose ids are in the JSON array that the statement is given as `ids`.

    However many there are, the statement stays the same, and is compiled once.
    """
    each = func.json_each(bindparam("ids")).table_valued("value", name="asked")
    return chunks.c.id.in_(select(each.c.value))
