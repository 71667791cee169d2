"""Attempts: what may do harm is tried again by itself, and given up in the end."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, select, update

from rag.catalog import Catalog, now
from rag.catalog.queue import STARTED, Task, put_back, requeue, still
from rag.catalog.schema import documents
from rag.errors import UnsupportedFormat

# a document during whose parsing the whole process died is given up after this many times
MAX_ATTEMPTS = 3


def recover(catalog: Catalog, recipe: str) -> None:
    """Called by the worker that owns the library, at its start.

    Puts back what a killed worker had begun, gives up what was being parsed MAX_ATTEMPTS times
    when it died, and queues what an older recipe made or failed at.
    """
    begun = documents.c.state.in_(("parsing", "embedding"))
    was_parsed = (documents.c.state == "parsing") & (documents.c.progress >= STARTED)
    with catalog.write() as connection:
        connection.execute(
            update(documents).where(was_parsed).values(attempts=documents.c.attempts + 1)
        )
        _give_up(
            connection,
            was_parsed,
            recipe,
            "parser-stopped",
            "Cloister stopped each time it read this file; it is left alone until it changes or "
            "is retried.",
        )
        connection.execute(update(documents).where(begun).values(state="pending", progress=0.0))
        old = select(documents.c.id).where(
            documents.c.state.in_(("live", "failed")), documents.c.recipe != recipe
        )
        requeue(connection, connection.execute(old).scalars())


def queue_unconverted(catalog: Catalog, kinds: Collection[str]) -> None:
    """Queue documents of these kinds that failed for want of a converter: there is one now."""
    waiting = select(documents.c.id).where(
        documents.c.state == "failed",
        documents.c.kind.in_(kinds),
        documents.c.error_code == UnsupportedFormat("").code,
    )
    with catalog.read() as connection:
        if not connection.execute(waiting.limit(1)).first():
            return
    with catalog.write() as connection:
        requeue(connection, list(connection.execute(waiting).scalars()))


def set_back(catalog: Catalog, tasks: Sequence[Task], recipe: str, message: str) -> None:
    """Put tasks back that failed unexpectedly; the MAX_ATTEMPTS-th time each fails for good."""
    with catalog.write() as connection:
        for task in tasks:
            here = still(task)
            connection.execute(
                update(documents).where(here).values(attempts=documents.c.attempts + 1)
            )
            _give_up(connection, here, recipe, "document-error", message)
        connection.execute(put_back(tasks))


def _give_up(
    connection: Connection, which: ColumnElement[bool], recipe: str, code: str, message: str
) -> None:
    connection.execute(
        update(documents)
        .where(which, documents.c.attempts >= MAX_ATTEMPTS)
        .values(state="failed", recipe=recipe, error_code=code, error=message, updated_at=now())
    )
