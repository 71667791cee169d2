"""The catalog: the truth about the library, in one SQLite file.

Chroma and tantivy are indexes of it and can be rebuilt from it. Several processes may read and
write it at once; each function here is one transaction.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert

from rag.catalog.engine import open_engine, translated
from rag.catalog.schema import facts


class Catalog:
    """An open catalog. `read()` and `write()` are its transactions."""

    def __init__(self, path: Path) -> None:
        self._engine = open_engine(path)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the catalog throughout."""
        with translated(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is the only writer until it ends.

        Raises Busy when another process writes for too long, StorageError on a full disk.
        """
        with (
            translated(),
            self._engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    def fact(self, name: str) -> str | None:
        """The value noted under `name`, or None."""
        with self.read() as connection:
            return connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar()

    def note(self, name: str, value: str | None) -> None:
        """Note `value` under `name`; None forgets it."""
        with self.write() as connection:
            if value is None:
                connection.execute(delete(facts).where(facts.c.name == name))
                return
            statement = insert(facts).values(name=name, value=value)
            connection.execute(
                statement.on_conflict_do_update(index_elements=["name"], set_={"value": value})
            )

    def truncate_log(self) -> None:
        """Write the WAL back and empty it, so that erased text is not left in it."""
        with translated(), self._engine.connect() as connection:
            connection.rollback()
            cursor = connection.connection.cursor()
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.close()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def now() -> str:
    """This moment in UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def queue_time() -> float:
    """Seconds for ordering the queue."""
    return time.time()
